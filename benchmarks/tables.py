"""Reading tables of labels: `read_csv` against pyarrow alone, on the same file in one run.

pyarrow reads the columns, takes lists apart and gives every distinct name a number, which is the
least that a label table needs; `read_csv` also makes the sparse array, and checks that no image is
listed twice, no cell is damaged and no name looks wrong. Both readers alternate, each in a process
of its own. Time is the wall's, imports not counted; memory is the peak of the process less what it
had after its imports. Prints Markdown: the medians.

    python benchmarks/tables.py                      # a tenth of 2 million rows, under a minute
    python benchmarks/tables.py --scale 1 --repeats 5
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv, parquet
from pyarrow import json as arrow_json

ROWS, CLASSES, LABELS = 2_000_000, 80, 3
WIDE_CLASSES = 40
MB = 1e6

Options = dict[str, Any]
LAYOUTS: dict[str, tuple[str, Options]] = {
    "lists.csv": ("CSV, names in a column", {}),
    "quoted.csv": ("CSV, names in a column, quoted", {"separator": ","}),
    "lists.jsonl": ("JSON lines, lists of names", {}),
    "lists.parquet": ("Parquet, lists of names", {}),
    "joined.parquet": ("Parquet, names in a column", {}),
    "long.csv": ("CSV, a line per image and class", {"layout": "long"}),
    "long.parquet": ("Parquet, a line per image and class", {"layout": "long"}),
    "wide.csv": ("CSV, a column per class", {"labels_column": None}),
    "wide.parquet": ("Parquet, a column per class", {"labels_column": None}),
}


def write(file: Path, rows: int) -> None:
    """Write a table of one of the layouts with paths as Open Images has them."""
    kind = file.stem
    images = rows // LABELS if kind == "long" else rows // 10 if kind == "wide" else rows
    table = {"path": paths(images)}
    rng = np.random.default_rng(0)
    names = pa.array([f"class {c:03d}" for c in range(CLASSES)])
    # Distinct classes of each image, the first ones more often.
    first = (rng.random(images) ** 2 * CLASSES).astype(np.int64)
    chosen = (first[:, None] + np.array([0, 7, 19])) % CLASSES
    listed = names.take(pa.array(chosen.reshape(-1)))
    if kind == "long":
        table = {"path": table["path"].take(pa.array(np.repeat(np.arange(images), LABELS)))}
        table["labels"] = listed
    elif kind == "wide":
        cells = rng.random((images, WIDE_CLASSES)) < LABELS / WIDE_CLASSES
        table |= {
            f"class {c:03d}": pa.array(cells[:, c].astype(np.int8)) for c in range(WIDE_CLASSES)
        }
    else:
        lists = pa.ListArray.from_arrays(
            pa.array(np.arange(images + 1) * LABELS, pa.int32()), listed
        )
        separator = "," if kind == "quoted" else "|"
        table["labels"] = (
            lists if kind == "lists" and file.suffix != ".csv" else pc.binary_join(lists, separator)
        )
    made = pa.table(table)
    if file.suffix == ".parquet":
        parquet.write_table(made, file)
    elif file.suffix == ".csv":
        quoting = "needed" if kind == "quoted" else "none"
        csv.write_csv(made, file, csv.WriteOptions(quoting_style=quoting))
    else:
        with file.open("w") as stream:
            for batch in made.to_batches(10_000):
                stream.writelines(json.dumps(record) + "\n" for record in batch.to_pylist())


def paths(images: int) -> pa.Array:
    """Distinct paths of 16 hexadecimal digits."""
    rng = np.random.default_rng(1)
    high = rng.integers(0, 2**32, images, dtype=np.uint64) << np.uint64(32)
    numbers = high | np.arange(images, dtype=np.uint64)
    shifts = np.arange(60, -1, -4, dtype=np.uint64)
    digits = np.frombuffer(b"0123456789abcdef", np.uint8)
    text = digits[(numbers[:, None] >> shifts) & np.uint64(15)]
    ends = pa.py_buffer(np.arange(images + 1, dtype=np.int32) * 16)
    ids = pa.StringArray.from_buffers(images, ends, pa.py_buffer(text.tobytes()))
    return pc.binary_join_element_wise("train/", ids, ".jpg", "")


def read_with_pyarrow(file: Path, options: Options) -> None:
    """Read the columns, take lists apart, number the names."""
    if file.suffix == ".csv":
        strings = {name: pa.string() for name in csv.open_csv(file).schema.names}
        table = csv.read_csv(file, convert_options=csv.ConvertOptions(column_types=strings))
    else:
        table = (
            parquet.read_table(file) if file.suffix == ".parquet" else arrow_json.read_json(file)
        )
    for name in table.column_names[1:]:
        column = table.column(name)
        if file.stem in ("lists", "joined", "quoted"):
            if not pa.types.is_list(column.type):
                column = pc.split_pattern(column, options.get("separator", "|"))
            column = pc.list_flatten(column)
        column.dictionary_encode()
    if file.stem == "long":
        table.column("path").dictionary_encode()


def read_with_mlt(file: Path, options: Options) -> None:
    """Read a label table."""
    from mlt.data import read_csv

    read_csv(file, ".", **options)


READERS: dict[str, Callable[[Path, Options], None]] = {
    "pyarrow": read_with_pyarrow,
    "mlt": read_with_mlt,
}


def peak_mb() -> float:
    """Peak resident memory of this process in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / MB if sys.platform == "darwin" else peak * 1024 / MB


def measure(reader: str, file: Path) -> None:
    """Read the file once and print seconds and MB."""
    from mlt.data import read_csv

    options = LAYOUTS[file.name][1]
    # Imports that only a reader needs are made by reading something small before.
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder, file.name)
        write(small, 60)
        read_csv(small, ".", **options)
        READERS[reader](small, options)
    idle, start = peak_mb(), time.perf_counter()
    READERS[reader](file, options)
    print(json.dumps([time.perf_counter() - start, peak_mb() - idle]))


def run(*arguments: object) -> str:
    """Run this file with arguments that are not for users; its output."""
    command = [sys.executable, __file__, *map(str, arguments)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def main() -> None:
    """Write each layout, read it with both in turn, print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--scale", type=float, default=0.1, help="of 2 million rows")
    parser.add_argument("--repeats", type=int, default=3, help="times that each reader reads")
    parser.add_argument("--layouts", nargs="+", choices=list(LAYOUTS), default=list(LAYOUTS))
    parser.add_argument("--reader", choices=list(READERS), help=argparse.SUPPRESS)
    parser.add_argument("--rows", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--path", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.reader:
        measure(arguments.reader, arguments.path)
        return
    if arguments.rows:
        write(arguments.path, arguments.rows)
        return
    print("| layout | file | pyarrow | mlt | ratio | pyarrow | mlt | ratio |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |", flush=True)
    for name in arguments.layouts:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, name)
            # Not in this process: the peak of one counts for those that it starts, too.
            run("--rows", int(ROWS * arguments.scale), "--path", file)
            found: dict[str, list[list[float]]] = {reader: [] for reader in READERS}
            for _ in range(arguments.repeats):
                for reader, results in found.items():
                    results.append(json.loads(run("--reader", reader, "--path", file)))
            cells = [LAYOUTS[name][0], f"{file.stat().st_size / MB:,.0f} MB"]
            for place, unit in enumerate(("s", "MB")):
                peer, ours = (
                    statistics.median(r[place] for r in found[reader]) for reader in READERS
                )
                digits = 2 if unit == "s" else 0
                cells += [
                    f"{peer:.{digits}f} {unit}",
                    f"{ours:.{digits}f} {unit}",
                    f"{ours / peer:.2f}",
                ]
            print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
