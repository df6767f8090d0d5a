"""Images a second through the loader, beside a plain script with Pillow and torchvision.

    python benchmarks/loader.py FOLDER_OF_PHOTOGRAPHS [--size 224] [--workers 0 1] [--passes 5]
    python benchmarks/loader.py FOLDER_OF_PHOTOGRAPHS --images 64 --workers 0 --passes 1  # quick

Both give batches of float32 tensors, squashed to a square and normalised. The loaders take turns in
one process, with one thread each; a rate is the median over the passes. CPU time is that of this
process and its workers, in milliseconds an image. The rows ``ram`` and ``disk`` read images that
`data.cache` decoded before. Prints Markdown. Needs Linux's /proc where there
are workers.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from mlt.data.dataset import ImageDataset
from mlt.data.decode_once import decode_once
from mlt.data.labels import LabelTable
from mlt.data.loader import build_loader
from mlt.data.transform_settings import ModernTransforms, PublishedTransforms
from mlt.data.transforms import build_transforms

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Plain(Dataset):
    """What most training scripts do."""

    def __init__(self, files: list[Path], size: int) -> None:
        self.files = files
        self.transform = transforms.Compose(
            [
                transforms.Resize((size, size)),
                transforms.ToTensor(),
                transforms.Normalize(MEAN, STD),
            ]
        )

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, row: int) -> torch.Tensor:
        return self.transform(Image.open(self.files[row]).convert("RGB"))


def cpu_seconds() -> float:
    """CPU time of this process and its living workers."""
    workers = multiprocessing.active_children()
    return time.process_time() + sum(cpu_seconds_of(worker.pid) for worker in workers)


def cpu_seconds_of(process: int) -> float:
    """User and system time of another process, from fields 14 and 15 of its /proc stat."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(
    loaders: dict[str, Iterable[object]], passes: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Median wall and CPU seconds of a pass of each loader, after one to warm up."""
    wall: dict[str, list[float]] = {name: [] for name in loaders}
    cpu: dict[str, list[float]] = {name: [] for name in loaders}
    for number in range(passes + 1):
        for name, loader in loaders.items():
            start = time.perf_counter(), cpu_seconds()
            for _ in loader:
                pass
            if number:
                wall[name].append(time.perf_counter() - start[0])
                cpu[name].append(cpu_seconds() - start[1])
    return tuple({n: statistics.median(v) for n, v in taken.items()} for taken in (wall, cpu))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--passes", type=int, default=5)
    parser.add_argument("--images", type=int, help="only the first so many")
    options = parser.parse_args()
    torch.set_num_threads(1)
    files = sorted(p for p in options.folder.iterdir() if p.suffix.lower() in (".jpg", ".png"))
    files = files[: options.images]
    names = [file.name for file in files]
    table = LabelTable.from_lists(
        range(len(names)), names, ["any"], [[0]] * len(names), options.folder
    )
    published = PublishedTransforms(name="published", size=options.size)
    modern = ModernTransforms(name="modern", size=options.size)
    uncoloured = ModernTransforms(name="modern", size=options.size, color_jitter=0.0)
    ours = {
        "evaluation": build_transforms(modern, MEAN, STD, train=False),
        "training, published": build_transforms(published, MEAN, STD, train=True),
        "training, modern": build_transforms(modern, MEAN, STD, train=True),
        "training, modern, no colours": build_transforms(uncoloured, MEAN, STD, train=True),
    }
    print(f"{len(files)} images, {options.size} pixels\n")
    print("| workers | loader | images a second | CPU, ms an image | times plain | CPU |")
    print("| ---: | --- | ---: | ---: | ---: | ---: |")
    kept = tempfile.TemporaryDirectory()
    for workers in options.workers:
        loaders: dict[str, Iterable[object]] = {
            "plain": DataLoader(
                Plain(files, options.size),
                batch_size=32,
                num_workers=workers,
                persistent_workers=workers > 0,
            )
        }
        for name, transform in ours.items():
            loaders[name] = build_loader(ImageDataset(table, transform), 32, workers=workers)
        reduced = ImageDataset(table, ours["training, modern"], decoding="reduced")
        loaders["training, modern, reduced"] = build_loader(reduced, 32, workers=workers)
        for name, transform in ours.items():
            for cache, folder in {"ram": None, "disk": kept.name}.items():
                dataset = ImageDataset(table, transform)
                decode_once(dataset, folder)
                loaders[f"{name}, {cache}"] = build_loader(dataset, 32, workers=workers)
        wall, cpu = measure(loaders, options.passes)
        for name in loaders:
            print(
                f"| {workers} | {name} | {len(files) / wall[name]:.0f} "
                f"| {cpu[name] / len(files) * 1e3:.2f} | {wall['plain'] / wall[name]:.2f} "
                f"| {cpu['plain'] / cpu[name]:.2f} |"
            )


if __name__ == "__main__":
    main()
