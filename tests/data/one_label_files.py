"""Small made-up files of ImageNet-LT, Places-LT, iNaturalist and EGTEA, in their exact formats."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

IMAGENET = ("n01440764", "n01443537", "n01484850")
VERBS = ("Take", "Put", "Divide/Pull Apart")
ACTIONS = ("Take eating_utensil", "Put pan", "Divide/Pull Apart lettuce", "Take plate")
TRAIN = {  # clip: action, verb
    "OP01-R01-PastaSalad-1002316-1004005-F024051-F024101": (1, 1),
    "OP01-R01-PastaSalad-1004110-1021110-F024057-F024548": (3, 3),
    "P20-R03-BaconAndEggs-364927-367600-F008752-F008829": (4, 1),
}
TEST = {"P26-R05-Cheeseburger-1048918-1053237-F025164-F025288": (2, 2)}
OTHER = {"P26-R05-Cheeseburger-432635-435124-F010377-F010449": (3, 3)}


def write_image(file: Path) -> None:
    """An image that differs from all others by its pixels."""
    file.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([*file.as_posix().encode()])
    Image.fromarray(rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(file)


def write_list(file: Path, paths: Sequence[str], numbers: Sequence[int]) -> None:
    """A list of class numbers, and the images that it names."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{path} {n}\n" for path, n in zip(paths, numbers)))
    for path in paths:
        write_image(file.parent / path)


def write_imagenet_lt(root: Path) -> Path:
    """Three synsets: 4, 2 and 1 training images; the test list is flat, as the archive is."""
    train = [f"train/{IMAGENET[c]}/{IMAGENET[c]}_{n}.JPEG" for c in range(3) for n in range(4 >> c)]
    write_list(root / "ImageNet_LT_train.txt", train, [0, 0, 0, 0, 1, 1, 2])
    val = [f"train/{name}/{name}_9{c}.JPEG" for c, name in enumerate(IMAGENET)]
    write_list(root / "ImageNet_LT_val.txt", val, [0, 1, 2])
    test = [f"val/ILSVRC2012_val_0000000{n}.JPEG" for n in range(3)]
    write_list(root / "ImageNet_LT_test.txt", test, [2, 0, 2])
    return root


def write_places_lt(root: Path) -> Path:
    """Folders of folders, of which the last is not enough of a name."""
    train = ["data_256/a/apartment_building/outdoor/1.jpg", "data_256/z/zen_garden/2.jpg"]
    train += ["data_256/h/hangar/outdoor/3.jpg"]
    write_list(root / "Places_LT_train.txt", train, [0, 2, 1])
    write_list(root / "Places_LT_val.txt", ["val_256/Places365_val_00000001.jpg"], [1])
    write_list(root / "Places_LT_test.txt", ["val_256/Places365_val_00000002.jpg"], [2])
    return root


def write_inaturalist(root: Path, year: int) -> Path:
    """Two species in COCO's form, without boxes: 4 training images and 2 test images."""
    folder = {2017: "train_val_images", 2018: "train_val2018"}[year]
    root.mkdir(parents=True, exist_ok=True)
    for part, count in (("train", 4), ("val", 2)):
        images = [
            {"id": 100 * count + n, "width": 8, "height": 8, "license": 1, "rights_holder": "x",
             "file_name": f"{folder}/Plantae/{n % 2}/{part}{n}.jpg"}
            for n in range(count)
        ]  # fmt: skip
        annotations = [
            {"id": image["id"], "image_id": image["id"], "category_id": n % 2}
            for n, image in enumerate(images)
        ]
        categories = [
            {"id": c, "name": name, "supercategory": "Plantae"}
            for c, name in enumerate(("Abies alba", "Acer rubrum"))
        ]
        content = {
            "info": {}, "images": images, "licenses": [], "annotations": annotations,
            "categories": categories,
        }  # fmt: skip
        (root / f"{part}{year}.json").write_text(json.dumps(content))
        for image in images:
            write_image(root / str(image["file_name"]))
    return root


def session(clip: str) -> str:
    """The recording of a clip."""
    return "-".join(clip.split("-")[:3])


def write_egtea_lists(folder: Path) -> None:
    """The lists of two splits, and the names of verbs and actions."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, split, clips in (
        ("train", 1, TRAIN), ("test", 1, TEST), ("train", 2, OTHER), ("test", 2, TRAIN),
    ):  # fmt: skip
        lines = [f"{clip} {action} {verb} 2 7\n" for clip, (action, verb) in clips.items()]
        (folder / f"{part}_split{split}.txt").write_text("".join(lines))
    for label, names in (("verb", VERBS), ("action", ACTIONS)):
        lines = [f"{name} {number}\n" for number, name in enumerate(names, 1)]
        (folder / f"{label}_idx.txt").write_text("".join(lines))


def write_egtea(root: Path) -> Path:
    """Lists in the folder that their archive unpacks to, and 11 frames of each clip."""
    write_egtea_lists(root / "action_annotation")
    for clip in (*TRAIN, *TEST, *OTHER):
        for number in range(1, 12):
            write_image(root / f"extracted_frames/{session(clip)}/{clip}/{number}.jpg")
    return root
