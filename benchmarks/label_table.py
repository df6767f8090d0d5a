"""What a label table of the size of Open Images takes: bytes, seconds, peak memory.

Builds a synthetic table with the shape of Open Images V6 (9 million images, 20,000 classes, 70
million labels), saves it, and loads it in a fresh process. Prints Markdown.

    python benchmarks/label_table.py               # a twentieth, a few seconds
    python benchmarks/label_table.py --scale 1     # all of it, about 15 seconds and 1.7 GB

Then writes a CSV table of as many images with 3 of 600 classes each, and goes the way of a training
run: table, image files, shared images, split; beside pyarrow, which only reads the columns.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mlt.data.columns import StringColumn
from mlt.data.labels import LabelTable
from mlt.data.sparse import csr_from_runs

IMAGES, CLASSES, LABELS_PER_IMAGE = 9_000_000, 20_000, 7.8
MB = 1e6


def fixed_width(rows: np.ndarray) -> StringColumn:
    """A column from an (N, width) array of ASCII bytes."""
    n, width = rows.shape
    return StringColumn.from_bytes(rows.reshape(-1), np.arange(n + 1, dtype=np.int64) * width)


def hexadecimal_ids(n: int, rng: np.random.Generator) -> np.ndarray:
    """(n, 16) ASCII bytes: distinct 16-digit hexadecimal ids, as Open Images has them."""
    high = rng.integers(0, 2**32, n, dtype=np.uint64) << np.uint64(32)
    numbers = high | np.arange(n, dtype=np.uint64)
    nibbles = np.empty((n, 16), np.uint8)
    for i in range(16):
        nibbles[:, i] = (numbers >> np.uint64(60 - 4 * i)) & np.uint64(15)
    return np.frombuffer(b"0123456789abcdef", np.uint8)[nibbles]


def build(scale: float) -> LabelTable:
    """A table with ``scale`` times the images of Open Images, class frequencies by Zipf's law."""
    rng = np.random.default_rng(0)
    n = int(IMAGES * scale)
    ids = hexadecimal_ids(n, rng)
    prefix = np.broadcast_to(np.frombuffer(b"train/", np.uint8), (n, 6))
    suffix = np.broadcast_to(np.frombuffer(b".jpg", np.uint8), (n, 4))
    indptr = np.zeros(n + 1, np.int32)
    np.cumsum(rng.poisson(LABELS_PER_IMAGE, n), out=indptr[1:])
    # Log-uniform class indices: frequency falls as 1 / rank. Repetitions in a row are merged.
    uniform = rng.random(indptr[-1], dtype=np.float32)
    indices = np.exp(uniform * np.log(CLASSES)).astype(np.int32) - 1
    del uniform
    return LabelTable(
        image_ids=fixed_width(ids),
        paths=fixed_width(np.concatenate([prefix, ids, suffix], axis=1)),
        class_names=tuple(f"/m/{c:05d}" for c in range(CLASSES)),
        labels=csr_from_runs(indices, indptr, CLASSES),
    )


def peak_mb() -> float:
    """Peak resident memory of this process in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / MB if sys.platform == "darwin" else peak * 1024 / MB


def save(path: Path, scale: float) -> None:
    """Build a table, print the size of its parts, save it."""
    table = build(scale)
    ids, labels = table.image_ids, table.labels
    assert isinstance(ids, StringColumn)
    parts = {
        f"image ids, {len(table):,} strings": ids.array.nbytes,
        "paths": table.paths.array.nbytes,
        f"labels, {labels.nnz:,} in {table.num_classes:,} classes": sum(
            a.nbytes for a in (labels.data, labels.indices, labels.indptr)
        ),
    }
    for name, size in {**parts, "in all": sum(parts.values())}.items():
        print(f"| {name} | {size / MB:,.0f} MB |")
    start = time.process_time()
    table.save(path)
    print(f"| save | {passed(start)}, {path.stat().st_size / MB:,.0f} MB |")
    print(f"| peak of the process that built and saved it | {peak_mb():,.0f} MB |")


def load(path: Path) -> None:
    """Load the table and use it."""
    idle, start = peak_mb(), time.process_time()
    table = LabelTable.load(path)
    print(f"| load | {time.process_time() - start:.1f} s, peak {peak_mb() - idle:,.0f} MB more |")
    some = [table.image_ids[i] for i in range(0, len(table), max(len(table) // 2000, 1))]
    start = time.process_time()
    table.find(some)
    print(f"| find {len(some):,} ids | {time.process_time() - start:.1f} s |")
    start = time.process_time()
    table.take(np.arange(0, len(table), 20))
    print(f"| take every 20th image | {time.process_time() - start:.1f} s |")
    print(f"| peak of the process that loaded it | {peak_mb():,.0f} MB |")


def write_csv(path: Path, scale: float) -> None:
    """A table ``path,labels`` with the images of Open Images and 3 of its 600 boxable classes."""
    n = int(IMAGES * scale)
    rng = np.random.default_rng(0)
    ids = hexadecimal_ids(n, rng)
    classes = rng.integers(100, 700, (n, 3))
    with path.open("w") as file:
        file.write("path,labels\n")
        for row, (a, b, c) in zip(ids, classes.tolist()):
            file.write(f"train/{row.tobytes().decode()}.jpg,/m/{a}|/m/{b}|/m/{c}\n")


def read_with_arrow(path: Path) -> None:
    """What reading the two columns takes at least."""
    from pyarrow import csv

    idle, start = peak_mb(), time.process_time()
    csv.read_csv(path)
    print(f"| pyarrow reads the columns | {passed(start)}, peak {peak_mb() - idle:,.0f} MB more |")


def read_csv_table(path: Path) -> None:
    """From the CSV file to a checked training split."""
    from mlt.data import full_split, image_files, read_csv
    from mlt.data.same_files import count_shared

    idle, start = peak_mb(), time.process_time()
    table = read_csv(path, path.parent)
    print(f"| read_csv, {table} | {passed(start)}, peak {peak_mb() - idle:,.0f} MB more |")
    # Nine million files would take longer to make than to check; their names are in the table.
    image_files.file_names = lambda folder: (path.rpartition("/")[2] for path in table.paths)
    start = time.process_time()
    image_files.check_images(table, "training")
    print(f"| check of the image files | {passed(start)}, peak {peak_mb() - idle:,.0f} MB more |")
    start = time.process_time()
    count_shared(table, table.take(np.arange(0, len(table), 10)))
    print(f"| images shared with a tenth | {passed(start)}, peak {peak_mb() - idle:,.0f} MB more |")
    start = time.process_time()
    full_split(table).apply(table)
    print(f"| split of all, applied | {passed(start)}, peak {peak_mb() - idle:,.0f} MB more |")


def passed(start: float) -> str:
    """Seconds of the processor since then."""
    return f"{time.process_time() - start:.1f} s"


STAGES: dict[str, Callable[..., None]] = {
    "save": save,
    "load": load,
    "arrow": read_with_arrow,
    "csv": read_csv_table,
}


def main() -> None:
    """Save and load one table, each in a process of its own so that peaks do not mix."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--scale", type=float, default=1 / 20, help="of 9 million images")
    parser.add_argument("--stage", choices=list(STAGES), help=argparse.SUPPRESS)
    parser.add_argument("--path", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.stage == "save":
        save(arguments.path, arguments.scale)
    elif arguments.stage:
        STAGES[arguments.stage](arguments.path)
    else:
        print("| part | |\n| --- | --- |", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            write_csv(Path(folder, "table.csv"), arguments.scale)
            for stage in STAGES:
                path = f"{folder}/table.{'npz' if stage in ('save', 'load') else 'csv'}"
                command = [sys.executable, __file__, "--scale", str(arguments.scale)]
                subprocess.run([*command, "--stage", stage, "--path", path], check=True)


if __name__ == "__main__":
    main()
