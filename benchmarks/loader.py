"""Images a second through the loader, beside torchvision's classic transforms on Pillow images.

    python benchmarks/loader.py FOLDER_OF_PHOTOGRAPHS [--size 224] [--workers 0 1 2]

Both decode with Pillow, squash to a square and normalise. Prints Markdown.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from pathlib import Path

import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from mlt.data.dataset import ImageDataset
from mlt.data.labels import LabelTable
from mlt.data.loader import build_loader
from mlt.data.transform_settings import ModernTransforms, PublishedTransforms
from mlt.data.transforms import build_transforms

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Classic(Dataset):
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


def rate(loader: Iterable[object], number: int) -> float:
    """Images a second, in the second pass: workers are up and files in the system's cache."""
    for _ in range(2):
        start = time.perf_counter()
        for _ in loader:
            pass
    return number / (time.perf_counter() - start)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    files = sorted(p for p in options.folder.iterdir() if p.suffix.lower() in (".jpg", ".png"))
    names = [file.name for file in files]
    table = LabelTable.from_lists(
        range(len(names)), names, ["any"], [[0]] * len(names), options.folder
    )
    published = PublishedTransforms(name="published", size=options.size)
    modern = ModernTransforms(name="modern", size=options.size)
    print(f"{len(files)} images, {options.size} pixels, images a second\n")
    print("| workers | classic, test | ours, test | ratio | ours, published | ours, modern |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for workers in options.workers:
        classic = rate(
            DataLoader(
                Classic(files, options.size),
                batch_size=32,
                num_workers=workers,
                persistent_workers=workers > 0,
            ),
            len(files),
        )
        ours = []
        for config, train in ((modern, False), (published, True), (modern, True)):
            data = ImageDataset(table, build_transforms(config, MEAN, STD, train))
            ours.append(rate(build_loader(data, 32, workers=workers), len(files)))
        print(
            f"| {workers} | {classic:.0f} | {ours[0]:.0f} | {ours[0] / classic:.2f} "
            f"| {ours[1]:.0f} | {ours[2]:.0f} |"
        )


if __name__ == "__main__":
    main()
