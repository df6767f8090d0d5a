"""A table of the size of Open Images: 9 million images, 3 of 600 classes each.

Measures, each in a process of its own: reading it from CSV and from Parquet, to the first batch;
loading it from a saved label table, to the first batch; what each of two loader workers has of its
own (unique set size; Linux alone); cutting a tenth out for the test. All images are one JPEG. Time
is the wall's, imports not counted; memory is the peak of the whole process. Prints Markdown.

    python benchmarks/large_table.py               # a hundredth
    python benchmarks/large_table.py --scale 1
"""

from __future__ import annotations

import argparse
import io
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image
from pyarrow import csv, parquet
from tables import MB, paths, peak_mb

from mlt.data import LabelTable, read_csv
from mlt.data.dataset import ImageDataset
from mlt.data.loader import build_loader
from mlt.data.splits.parts import cut_rows
from mlt.data.transforms import Preprocessing, eval_transform

IMAGES, CLASSES, LABELS = 9_000_000, 600, 3


class OneImage:
    """An image reader with the same small JPEG for every path."""

    def __init__(self) -> None:
        stream = io.BytesIO()
        Image.new("RGB", (64, 64), "grey").save(stream, "JPEG")
        self.content = stream.getvalue()

    def read(self, path: str) -> bytes:
        """The encoded image."""
        return self.content


def write(folder: Path, images: int) -> None:
    """Write the table as CSV and as Parquet, with distinct classes of each image."""
    first = np.random.default_rng(0).integers(0, CLASSES, images)
    numbers = (first[:, None] + np.array([0, 7, 19])) % CLASSES
    names = pa.array([f"/m/{c:04d}" for c in range(CLASSES)])
    ends = pa.array(np.arange(images + 1) * LABELS, pa.int32())
    lists = pa.ListArray.from_arrays(ends, names.take(pa.array(numbers.reshape(-1))))
    table = pa.table({"path": paths(images), "labels": pc.binary_join(lists, "|")})
    csv.write_csv(table, folder / "table.csv", csv.WriteOptions(quoting_style="none"))
    parquet.write_table(table, folder / "table.parquet")
    del table, lists
    print(
        f"| {images:,} images | CSV {size(folder / 'table.csv')}, Parquet "
        f"{size(folder / 'table.parquet')} | |"
    )


def read(file: Path, save: bool) -> None:
    """Read the table and take the first batch."""
    start = time.perf_counter()
    table = read_csv(file, file.parent)
    say(f"read {file.suffix}", start)
    first_batch(table, 0)
    say(f"read {file.suffix}, to the first batch", start)
    if save:
        start = time.perf_counter()
        table.save(file.with_suffix(".npz"))
        say(f"save as label table, {size(file.with_suffix('.npz'))}", start)


def cut(file: Path) -> None:
    """Cut a tenth out for the test."""
    table = LabelTable.load(file)
    start = time.perf_counter()
    cut_rows(table, {"test": 0.1})
    say("cut a tenth by iterative stratification", start)


def load(file: Path) -> None:
    """Load the saved table and take the first batch."""
    start = time.perf_counter()
    table = LabelTable.load(file)
    say("load the label table", start)
    first_batch(table, 0)
    say("load the label table, to the first batch", start)


def workers(file: Path, method: str) -> None:
    """What each of two workers has of its own after the first batch."""
    multiprocessing.set_start_method(method)
    table = LabelTable.load(file)
    start = time.perf_counter()
    kept = first_batch(table, 2)
    pids = [process.pid for process in multiprocessing.active_children()]
    own = [own_mb(pid) for pid in pids if pid is not None]
    seconds = time.perf_counter() - start
    print(
        f"| first batch from 2 workers, {method} | {seconds:.1f} s | "
        f"{' and '.join(f'{mb:,.0f}' for mb in own)} MB of their own |",
        flush=True,
    )
    del kept


def first_batch(table: LabelTable, number: int) -> object:
    """Make a loader and take its first batch; what keeps its workers alive."""
    transform = eval_transform(Preprocessing(32, (0.5,) * 3, (0.5,) * 3))
    table = replace(table, images=OneImage())
    iterator = iter(build_loader(ImageDataset(table, transform), 64, workers=number))
    next(iterator)
    return iterator


def own_mb(pid: int) -> float:
    """Memory that no other process shares, in MB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 / MB for line in lines if line.startswith("Private"))


def say(what: str, start: float) -> None:
    """Print a row."""
    passed = time.perf_counter() - start
    print(f"| {what} | {passed:.1f} s | {peak_mb():,.0f} MB |", flush=True)


def size(file: Path) -> str:
    """The size of a file."""
    return f"{file.stat().st_size / MB:,.0f} MB"


STEPS: dict[str, Callable[[Path], None]] = {
    "csv": lambda folder: read(folder / "table.csv", save=True),
    "parquet": lambda folder: read(folder / "table.parquet", save=False),
    "load": lambda folder: load(folder / "table.npz"),
    "fork": lambda folder: workers(folder / "table.npz", "fork"),
    "spawn": lambda folder: workers(folder / "table.npz", "spawn"),
    "cut": lambda folder: cut(folder / "table.npz"),
}


def main() -> None:
    """Write the tables and run each step in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--scale", type=float, default=0.01, help="of 9 million images")
    parser.add_argument("--skip", nargs="*", choices=list(STEPS), default=[])
    parser.add_argument("--step", choices=["write", *STEPS], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step == "write":
        write(arguments.folder, int(IMAGES * arguments.scale))
    elif arguments.step:
        STEPS[arguments.step](arguments.folder)
    else:
        print("| step | time | peak memory |\n| --- | ---: | ---: |", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            for step in ("write", *STEPS):
                if step not in arguments.skip:
                    command = [sys.executable, __file__, "--step", step, "--folder", folder]
                    scale = ["--scale", str(arguments.scale)]
                    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
                    subprocess.run([*command, *scale], check=True, env=environment)


if __name__ == "__main__":
    main()
