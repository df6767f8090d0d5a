"""CPU time of a dry run on a few images against that of `import torch`, in turn.

    python benchmarks/start.py [--turns 5] [--images 24]

CPU time is that of the whole process, its end included. The model is `tf_efficientnet_lite0` with
random weights. Prints Markdown.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

CLASSES = ("cat", "dog", "bird", "fish")


def write_data(root: Path, images: int) -> None:
    """Write images of one class each, half of them in each of two tables."""
    rows = ["path,labels"]
    for number in range(images):
        Image.new("RGB", (160, 120), (number % 256, 0, 0)).save(root / f"{number}.png")
        rows.append(f"{number}.png,{CLASSES[number % len(CLASSES)]}")
    for part, chosen in (("train", slice(images // 2)), ("test", slice(images // 2, None))):
        lines = [rows[0], *rows[1:][chosen]]
        (root / f"{part}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def cpu_seconds(command: list[str]) -> float:
    """Run Python with these arguments and return the CPU time of its process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Time both and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--images", type=int, default=24)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_data(Path(folder), args.images)
        settings = [f"data.root={folder}", "model.weights=none"]
        commands = {
            "import torch": ["-c", "import torch"],
            "dry run": ["-m", "mlt", "train", "own_data_csv", "--dry-run", "--set", *settings],
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(args.turns):
            for name, command in commands.items():
                times[name].append(cpu_seconds(command))
    print("| | CPU time, least | most |\n| --- | ---: | ---: |")
    for name, seconds in times.items():
        print(f"| {name} | {min(seconds):.2f} s | {max(seconds):.2f} s |")


if __name__ == "__main__":
    main()
