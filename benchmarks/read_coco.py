"""Reading COCO annotations: `read_coco` against pycocotools, on the same file in one run.

Writes a synthetic file with the numbers of instances_train2017.json (118,287 images, 860,001
annotations with polygons, about 450 MB), then reads it with each reader in a process of its own.
Prints Markdown.

    python benchmarks/read_coco.py               # a tenth of train2017
    python benchmarks/read_coco.py --scale 1
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

IMAGES, ANNOTATIONS, CATEGORIES = 118_287, 860_001, 80


def write(path: Path, scale: float) -> None:
    """A file like instances_train2017.json with ``scale`` times its images and annotations."""
    rng = random.Random(0)
    images = max(int(IMAGES * scale), 1)
    with path.open("w") as file:
        file.write('{"info": {}, "licenses": [], "images": [')
        for i in range(images):
            url = f"http://images.cocodataset.org/train2017/{i:012d}.jpg"
            record = {"license": 3, "file_name": f"{i:012d}.jpg", "coco_url": url, "height": 427}
            record |= {"width": 640, "date_captured": "2013-11-14 11:18:45", "flickr_url": url}
            file.write((", " if i else "") + json.dumps({**record, "id": i}))
        file.write('], "categories": ')
        categories = [{"supercategory": "s", "id": c, "name": f"c{c}"} for c in range(CATEGORIES)]
        file.write(json.dumps(categories) + ', "annotations": [')
        for i in range(int(ANNOTATIONS * scale)):
            box = [round(rng.uniform(0, 300), 2) for _ in range(4)]
            polygon = [round(rng.uniform(0, 600), 2) for _ in range(2 * rng.randint(5, 45))]
            record = {"segmentation": [polygon], "area": box[2] * box[3], "iscrowd": 0}
            record |= {"image_id": rng.randrange(images), "bbox": box, "id": i}
            record |= {"category_id": rng.randrange(CATEGORIES)}
            file.write((", " if i else "") + json.dumps(record))
        file.write("]}")


def read(reader: str, path: Path) -> None:
    """Read the file and print seconds and peak MB, imports not counted in the time."""
    if reader == "mlt":
        from mlt.data.formats.coco import read_coco

        start = time.perf_counter()
        read_coco(path, ".")
    else:
        from pycocotools.coco import COCO

        start = time.perf_counter()
        COCO(str(path))
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps([seconds, peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6]))


def main() -> None:
    """Write the file, read it with both, print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--scale", type=float, default=0.1, help="of train2017")
    parser.add_argument("--reader", choices=["mlt", "pycocotools"], help=argparse.SUPPRESS)
    parser.add_argument("--path", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.reader:
        read(arguments.reader, arguments.path)
        return
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "instances.json"
        write(path, arguments.scale)
        size = path.stat().st_size / 1e6
        for reader in ("pycocotools", "mlt"):
            command = [sys.executable, __file__, "--reader", reader, "--path", str(path)]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            results[reader] = json.loads(output.splitlines()[-1])
    print(f"| {size:,.0f} MB | time | peak memory |\n| --- | --- | --- |")
    for reader, (seconds, peak) in results.items():
        print(f"| {reader} | {seconds:.1f} s | {peak:,.0f} MB |")
    ours, peer = results["mlt"], results["pycocotools"]
    print(f"| ratio | {peer[0] / ours[0]:.1f} | {peer[1] / ours[1]:.1f} |")


if __name__ == "__main__":
    main()
