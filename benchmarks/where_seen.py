"""Whether labels are seen on their objects: the pointing game, on VOC's boxes.

    python benchmarks/where_seen.py RUN... --voc PATH/voc-part
    python benchmarks/where_seen.py RUN --voc PATH/voc-part --images 20   # quick

For each image and each class that it has, the middle of the highest cell of the map is a hit if it
lies in a box of the class (Zhang et al., Top-down Neural Attention by Excitation Backprop, ECCV
2016, section 4; they allow 15 pixels beside the box, here there are none). Beside the runs stand
the middle of the photograph, and the share of it that the boxes cover, which a random point would
hit. A map of nothing is a miss. Prints Markdown; intervals are for other labels, taken one by one.
"""

from __future__ import annotations

import argparse
import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from mlt.data.images import load_image
from mlt.heatmaps import PhotographMaps, seen_on
from mlt.heatmaps.where_seen import Method, method_of
from mlt.inference import Predictor
from mlt.run_folder import RunFolder

Boxes = dict[str, list[tuple[float, float, float, float]]]
"""Of each class: left, top, right, bottom in pixels."""


def main() -> None:
    """Play with each run and method, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", metavar="RUN", nargs="+")
    parser.add_argument("--voc", metavar="FOLDER", type=Path, required=True)
    parser.add_argument("--images", type=int, default=300, help="of the test images (300)")
    arguments = parser.parse_args()
    ids = (arguments.voc / "ImageSets" / "Main" / "test.txt").read_text().split()
    chosen = sorted(np.random.default_rng(0).permutation(ids)[: arguments.images].tolist())
    hits: dict[str, list[bool]] = defaultdict(list)
    covered: list[float] = []
    rows = list(_rows(arguments.runs))
    for name in chosen:
        photograph = load_image(arguments.voc / "JPEGImages" / f"{name}.jpg")
        boxes = read_boxes(arguments.voc / "Annotations" / f"{name}.xml")
        width, height = photograph.size
        for inside in boxes.values():
            hits["the middle of the photograph"].append(_in_a_box(inside, width / 2, height / 2))
            covered.append(float(_mask(inside, width, height).mean()))
        for row, predictor, method in rows:
            columns = [predictor.class_names.index(label) for label in boxes]
            seen = seen_on(predictor.model, photograph, predictor.preprocessing, columns, method)
            for k, inside in enumerate(boxes.values()):
                x, y = highest(seen, k)
                hit = bool(seen.maps[k].any()) and _in_a_box(inside, x * width, y * height)
                hits[row].append(hit)
    print(f"{len(covered)} labels of {len(chosen)} images\n")
    print("| seen by | on the object, % | 95 % interval |\n| --- | ---: | ---: |")
    print(f"| a random point | {100 * np.mean(covered):.1f} | |")
    for row, found in hits.items():
        interval = binomtest(sum(found), len(found)).proportion_ci()
        low, high = 100 * interval.low, 100 * interval.high
        print(f"| {row} | {100 * np.mean(found):.1f} | {low:.1f} to {high:.1f} |")


def _rows(runs: list[str]) -> Iterator[tuple[str, Predictor, Method]]:
    for run in runs:
        predictor = Predictor.from_checkpoint(RunFolder(run).last)
        for method in dict.fromkeys((method_of(predictor.model), "grad_cam")):
            yield f"{Path(run).name}, {method}", predictor, method


def read_boxes(file: Path) -> Boxes:
    """The boxes of an image, by class."""
    boxes: Boxes = defaultdict(list)
    for item in ET.parse(file).getroot().iterfind("object"):
        sides = (float(item.findtext(f"bndbox/{side}", "")) for side in _SIDES)
        boxes[item.findtext("name", "")].append(tuple(sides))  # type: ignore[arg-type]
    return boxes


_SIDES = ("xmin", "ymin", "xmax", "ymax")


def highest(seen: PhotographMaps, k: int) -> tuple[float, float]:
    """The middle of the highest cell of a map, as shares of the photograph's width and height."""
    rows, columns = seen.maps.shape[1:]
    row, column = np.unravel_index(seen.maps[k].argmax(), (rows, columns))
    left, top, right, bottom = seen.box
    x = left + (column + 0.5) / columns * (right - left)
    return float(x), float(top + (row + 0.5) / rows * (bottom - top))


def _in_a_box(boxes: list[tuple[float, float, float, float]], x: float, y: float) -> bool:
    return any(a <= x <= c and b <= y <= d for a, b, c, d in boxes)


def _mask(
    boxes: list[tuple[float, float, float, float]], width: int, height: int
) -> NDArray[np.bool_]:
    mask = np.zeros((height, width), bool)
    for a, b, c, d in boxes:
        mask[round(b) : round(d), round(a) : round(c)] = True
    return mask


if __name__ == "__main__":
    main()
