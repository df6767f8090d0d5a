"""Large data: tables of the size of COCO train2017 and of Open Images, from the file to a batch.

Writes synthetic annotations with the numbers of COCO's instances_train2017.json (118,287 images,
860,001 annotations with polygons, about 490 MB) and of Open Images (9 million images, 3 of 600
classes each; as CSV with a line per image, as CSV with a line per label, as Parquet). Each step is
a process of its own: reading with pycocotools or pyarrow, which only split and number the names,
and with mlt; the start of a run to its first batch, without and with the cache; loader workers;
splits, counts, samplers, inspection. All images are one JPEG in memory, so no disk is measured;
COCO's image files are there, empty; those of Open Images are a list of names.

Time excludes imports; memory is the peak of the whole process. A ratio is to the row above of
pycocotools or pyarrow. Prints Markdown.

    python benchmarks/large_tables.py                 # a hundredth, two minutes
    python benchmarks/large_tables.py --scale 1
    python benchmarks/large_tables.py --data coco --scale 1
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

MB = 1e6
COCO = {"images": 118_287, "annotations": 860_001, "categories": 80}
IMAGES, CLASSES, LABELS = 9_000_000, 600, 3
FILES = {
    "coco": "instances.json",
    "csv": "lists.csv",
    "long": "long.csv",
    "parquet": "lists.parquet",
}


def write_coco(folder: Path, scale: float) -> None:
    """A file like instances_train2017.json, and empty files for its images."""
    rng = random.Random(0)
    images, annotations = (max(int(COCO[key] * scale), 1) for key in ("images", "annotations"))
    (folder / "images").mkdir()
    with (folder / FILES["coco"]).open("w") as file:
        file.write('{"info": {}, "licenses": [], "images": [')
        for i in range(images):
            (folder / "images" / f"{i:012d}.jpg").touch()
            url = f"http://images.cocodataset.org/train2017/{i:012d}.jpg"
            record = {"license": 3, "file_name": f"{i:012d}.jpg", "coco_url": url, "height": 427}
            record |= {"width": 640, "date_captured": "2013-11-14 11:18:45", "flickr_url": url}
            file.write((", " if i else "") + json.dumps({**record, "id": i}))
        file.write('], "categories": ')
        names = [{"supercategory": "s", "id": c, "name": f"c{c}"} for c in range(80)]
        file.write(json.dumps(names) + ', "annotations": [')
        for i in range(annotations):
            box = [round(rng.uniform(0, 300), 2) for _ in range(4)]
            polygon = [round(rng.uniform(0, 600), 2) for _ in range(2 * rng.randint(5, 45))]
            record = {"segmentation": [polygon], "area": box[2] * box[3], "iscrowd": 0}
            record |= {"image_id": rng.randrange(images), "bbox": box, "id": i}
            # The first categories are the frequent ones.
            record |= {"category_id": int(rng.random() ** 3 * COCO["categories"])}
            file.write((", " if i else "") + json.dumps(record))
        file.write("]}")


def write_table(file: Path, scale: float) -> None:
    """A table with distinct classes of each image, the first ones more often."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import csv, parquet
    from tables import paths

    images = max(int(IMAGES * scale), 1)
    first = (np.random.default_rng(0).random(images) ** 2 * CLASSES).astype(np.int64)
    numbers = ((first[:, None] + np.array([0, 7, 19])) % CLASSES).reshape(-1)
    names = pa.array([f"/m/{c:04d}" for c in range(CLASSES)]).take(pa.array(numbers))
    column = paths(images)
    names_of_files = pc.utf8_slice_codeunits(column, len("train/"))
    with file.with_suffix(".names").open("w") as stream:
        stream.writelines(f"{name}\n" for name in names_of_files.to_pylist())
    if file.stem == "long":
        column = column.take(pa.array(np.repeat(np.arange(images), LABELS)))
    else:
        ends = pa.array(np.arange(images + 1) * LABELS, pa.int32())
        names = pa.ListArray.from_arrays(ends, names)
    if file.suffix == ".parquet":
        parquet.write_table(pa.table({"path": column, "labels": names}), file)
        return
    if file.stem == "lists":
        names = pc.binary_join(names, "|")
    table = pa.table({"path": column, "labels": names})
    csv.write_csv(table, file, csv.WriteOptions(quoting_style="none"))


def write(file: Path, scale: float) -> None:
    """Write one of the files."""
    if file.suffix == ".json":
        write_coco(file.parent, scale)
    else:
        write_table(file, scale)


@contextmanager
def measured(**more: Any) -> Iterator[dict[str, Any]]:
    """Print time and memory of the block, and what it adds to the dictionary, as JSON."""
    wall, cpu = time.perf_counter(), time.process_time()
    yield more
    more |= {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    more["peak"] = peak / MB if sys.platform == "darwin" else peak * 1024 / MB
    print(json.dumps(more))


def after_imports(work: Callable[[Path], object]) -> Callable[[Path], None]:
    """A step that measures what is done with a file, once a small one has had it done."""

    def step(file: Path) -> None:
        with tempfile.TemporaryDirectory() as folder:
            small = Path(folder, file.name)
            write(small, 1e-5)
            work(small)
        with measured():
            work(file)

    return step


def read_with_peer(file: Path) -> None:
    """Read with pycocotools or pyarrow."""
    if file.suffix == ".json":
        from pycocotools.coco import COCO as Peer  # noqa: N811

        Peer(str(file))
    else:
        from tables import read_with_pyarrow

        read_with_pyarrow(file, {})


def read_with_mlt(file: Path) -> None:
    """Read as a label table."""
    from mlt.data import read_coco, read_csv

    if file.suffix == ".json":
        read_coco(file, file.parent)
    else:
        read_csv(file, file.parent, **({"layout": "long"} if file.stem == "long" else {}))


def source_of(file: Path) -> Any:
    """What reads the data for a run, with a label cache beside the file."""
    from mlt.data.sources.coco import CocoData
    from mlt.data.sources.csv import CsvData

    if file.suffix == ".json":
        part = {"annotations": file.name, "images": "images"}
        settings: Any = CocoData(name="coco", root=str(file.parent), train=part, test=part)
    else:
        layout = "long" if file.stem == "long" else None
        settings = CsvData(
            name="csv", root=str(file.parent), train=file.name, test=file.name, layout=layout
        )
    return settings.source(file.parent / f"cache_{file.name}")


class OneImage:
    """An image reader with the same small JPEG for every path."""

    def __init__(self) -> None:
        from PIL import Image

        stream = io.BytesIO()
        Image.new("RGB", (64, 64), "grey").save(stream, "JPEG")
        self.content = stream.getvalue()

    def read(self, path: str) -> bytes:
        """The encoded image."""
        return self.content


def start(file: Path, workers: int = 0) -> object:
    """Go the way of a run: labels, split, counts, sampler, first batch; what keeps its workers."""
    from mlt.data.dataset import ImageDataset
    from mlt.data.loader import build_loader
    from mlt.data.run_data import split_of
    from mlt.data.samplers import ShuffleSampler
    from mlt.data.transforms import Preprocessing, eval_transform

    with listed_images(file):
        _, table = split_of(source_of(file))
    table.class_counts()
    transform = eval_transform(Preprocessing(32, (0.5,) * 3, (0.5,) * 3))
    dataset = ImageDataset(replace(table, images=OneImage()), transform)
    batches = iter(build_loader(dataset, 64, ShuffleSampler(len(table)), workers=workers))
    next(batches)
    return batches


@contextmanager
def listed_images(file: Path) -> Iterator[None]:
    """Have the image files of a table, of which nine million would take longer to make."""
    from unittest import mock

    from mlt.data import image_files, image_search

    if file.suffix == ".json":
        yield
        return
    names = file.with_suffix(".names")
    (file.parent / "train").mkdir(exist_ok=True)

    def listed(folder: str | Path) -> Iterator[str]:
        if Path(folder).name == "train":
            yield from names.read_text().splitlines()

    with (
        mock.patch.object(image_files, "file_names", listed),
        mock.patch.object(image_search, "file_names", listed),
    ):
        yield


def start_workers(file: Path, method: str) -> None:
    """Start from the cache with two workers, and look at what each has of its own."""
    multiprocessing.set_start_method(method)
    with tempfile.TemporaryDirectory() as folder:  # imports
        small = Path(folder, file.name)
        write(small, 1e-5)
        start(small)
    with measured() as row:
        kept = start(file, 2)
    children = [child.pid for child in multiprocessing.active_children()]
    row["workers"] = [memory(pid) for pid in children if pid is not None]
    print(json.dumps(row))
    del kept


def memory(pid: int) -> tuple[float, float]:
    """MB of a process that no other has, and its share of all it uses (Linux alone)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    sizes = {line.split(":")[0]: int(line.split()[1]) * 1024 / MB for line in lines[1:]}
    return sizes["Private_Clean"] + sizes["Private_Dirty"], sizes["Pss"]


def with_table(work: Callable[[Any], object]) -> Callable[[Path], None]:
    """A step that measures what is done to the cached table."""

    def step(file: Path) -> None:
        with listed_images(file):
            table = source_of(file).train()
        work(table.take(np.arange(10)))  # imports
        with measured():
            work(table)

    return step


def cut(table: Any) -> None:
    """Cut a tenth out by iterative stratification."""
    from mlt.data.splits.parts import cut_rows

    cut_rows(table, {"test": 0.1})


def coco_mlt(table: Any) -> None:
    """Cut a long-tailed split, as COCO-MLT was."""
    from mlt.data.splits.build import build_pareto_split

    if len(table) > 10:
        build_pareto_split(table, "longtail", max=1200 * len(table) // COCO["images"] + 1, min=1)


def sample(name: str) -> Callable[[Any], object]:
    """Build a sampler and draw its first epoch."""

    def work(table: Any) -> None:
        from mlt.data.samplers import ClassAwareSampler, RepeatFactorSampler

        kinds = {"class_aware": ClassAwareSampler, "repeat_factor": RepeatFactorSampler}
        kinds[name](table.labels).draws(0)

    return work


def inspect(table: Any) -> None:
    """Look at the labels alone, as `mlt inspect --pictures none` does."""
    from mlt.inspection.inspection import inspect_data

    inspect_data({"train": table}, pictures=0)


def check_files(file: Path) -> None:
    """Look for all image files once more."""
    from mlt.data.image_files import check_images

    with listed_images(file):
        table = source_of(file).train()
        with measured():
            check_images(table, "training")


STEPS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "peer": ("pycocotools / pyarrow", after_imports(read_with_peer)),
    "read": ("mlt reads", after_imports(read_with_mlt)),
    "cold": ("start to first batch, cold", after_imports(start)),
    "cached": ("start to first batch, from the cache", after_imports(start)),
    "fork": ("the same, 2 workers, fork", lambda file: start_workers(file, "fork")),
    "spawn": ("the same, 2 workers, spawn", lambda file: start_workers(file, "spawn")),
    "counts": ("class counts", with_table(lambda table: table.class_counts())),
    "class_aware": ("class-aware sampler, first epoch", with_table(sample("class_aware"))),
    "repeat_factor": ("repeat-factor sampler, first epoch", with_table(sample("repeat_factor"))),
    "inspect": ("inspect the labels", with_table(inspect)),
    "check": ("look for the image files", check_files),
    "coco_mlt": ("cut a long-tailed split", with_table(coco_mlt)),
    "cut": ("cut a tenth, stratified", with_table(cut)),
}
PER_FILE = ("peer", "read", "cold", "cached")


def run_step(step: str, file: Path, scale: float) -> dict[str, Any]:
    """Run a step in a process of its own; what it measured."""
    command = [sys.executable, __file__, "--step", step, "--file", str(file)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(
        [*command, "--scale", str(scale)], stdout=subprocess.PIPE, text=True, env=environment
    )
    if done.returncode:
        return {}
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    return json.loads(lines[-1]) if lines else {}


def print_row(what: str, row: dict[str, Any], peer: dict[str, Any]) -> None:
    """Print what a step measured."""
    if not row:
        print(f"| {what} | failed | | | | |", flush=True)
        return
    ratios = [f"{row[key] / peer[key]:.2f}" if peer else "" for key in ("cpu", "peak")]
    if row.get("workers"):
        what += "; own and proportional memory of each: "
        what += ", ".join(f"{own:,.0f} and {share:,.0f} MB" for own, share in row["workers"])
    times = f"{row['wall']:.2f} s | {row['cpu']:.2f} s | {row['peak']:,.0f} MB"
    print(f"| {what} | {times} | {' | '.join(ratios)} |", flush=True)


def main() -> None:
    """Take the arguments."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--scale", type=float, default=0.01, help="of the two data sets")
    parser.add_argument("--data", nargs="+", choices=list(FILES), default=list(FILES))
    parser.add_argument("--skip", nargs="*", choices=list(STEPS), default=[])
    parser.add_argument("--step", choices=["write", *STEPS], help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step == "write":
        write(arguments.file, arguments.scale)
    elif arguments.step:
        STEPS[arguments.step][1](arguments.file)
    else:
        print_tables(arguments.data, arguments.scale, arguments.skip)


def print_tables(names: list[str], scale: float, skipped: list[str]) -> None:
    """Write each file and run the steps on it."""
    columns = ("step", "time", "CPU", "peak memory", "CPU, ratio", "memory, ratio")
    for data in names:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, FILES[data])
            run_step("write", file, scale)
            print(f"\n{data}, {file.stat().st_size / MB:,.0f} MB\n")
            print(f"| {' | '.join(columns)} |\n| --- |{' ---: |' * 5}", flush=True)
            peer: dict[str, Any] = {}
            for step, (what, _) in STEPS.items():
                if step in skipped or (data in ("long", "parquet") and step not in PER_FILE):
                    continue
                row = run_step(step, file, scale)
                print_row(what, row, peer if step in PER_FILE else {})
                peer = row if step == "peer" else peer


if __name__ == "__main__":
    main()
