"""From the data section of a configuration to the labels of its training and test images."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from mlt.data.cache import cached_table
from mlt.data.digits import write_digits
from mlt.data.formats.coco import read_coco
from mlt.data.formats.csv import read_csv
from mlt.data.formats.voc import read_voc
from mlt.data.labels import LabelTable
from mlt.data.names import name_difference
from mlt.data.published import COCO_MLT, VOC_CLASSES, VOC_MLT, PublishedSplit
from mlt.data.settings import (
    CocoData,
    CocoMltData,
    CocoPart,
    CsvData,
    DataConfig,
    DigitsMltData,
    VocData,
    VocMltData,
)
from mlt.errors import DataError, MissingFileError

__all__ = [
    "annotation_files",
    "how_to_get",
    "part_source",
    "read_test",
    "read_train",
    "read_validation",
]


def annotation_files(config: DataConfig) -> list[Path]:
    """The files or folders that the training labels of a configuration are read from."""
    root = Path(config.root)
    match config:
        case CocoMltData():
            return [root / "annotations/instances_train2017.json"]
        case VocMltData():
            return [_voc_folder(root, "VOC2012") / "Annotations"]
        case DigitsMltData():
            return [root / _digits("train").annotations]
        case CocoData():
            return [root / config.train.annotations]
        case VocData():
            return [_voc_folder(root, config.train_folder) / "Annotations"]
        case CsvData():
            return [root / config.train]


def part_source(config: DataConfig, part: str) -> str:
    """Name the file that lists the images of a part, for messages.

    Args:
        config: Where the data is.
        part: ``"training"``, ``"validation"`` or ``"test"``.

    Returns:
        The file; the data's folder for formats whose files a configuration does not name.
    """
    given = getattr(config, {"training": "train"}.get(part, part), None)
    if isinstance(given, CocoPart):
        given = given.annotations
    return str(Path(config.root, given) if isinstance(given, str) else config.root)


def read_train(config: DataConfig, cache: Path | None = None) -> LabelTable:
    """Read the labels of all images that the training split may be cut from.

    Args:
        config: Where the annotations are.
        cache: Folder for label tables.

    Raises:
        MissingFileError: If they are absent; says what to put where.
    """
    root = Path(config.root)
    match config:
        case CocoMltData():
            part = _coco_mlt(root, "train2017")
            return _coco(config, part, "coco_mlt_train", cache, min_image_size=32)
        case VocMltData():
            _require(VOC_MLT, root, _voc_folder(root, "VOC2012") / "Annotations")
            return _voc(config, "VOC2012", "trainval", VOC_CLASSES, cache)
        case DigitsMltData():
            write_digits(root)
            return _coco(config, _digits("train"), "digits_mlt_train", cache)
        case CocoData():
            return _coco(config, config.train, "coco_train", cache, config.min_image_size)
        case VocData():
            return _voc(config, config.train_folder, config.train_set, config.class_names, cache)
        case CsvData():
            return _csv(config, config.train, "data.train", config.class_names)


def read_test(
    config: DataConfig, cache: Path | None = None, class_names: Sequence[str] | None = None
) -> LabelTable:
    """Read the labels of the test images.

    Args:
        config: Where the annotations are.
        cache: Folder for label tables.
        class_names: The classes of the training data, which the test data must have too; None
            reads the training data to learn them where the test data does not name its own.

    Raises:
        MissingFileError: If they are absent; says what to put where.
        DataError: If the test data has other classes.
    """
    root = Path(config.root)
    class_names = class_names or _declared_classes(config, cache)
    match config:
        case CocoMltData():
            table = _coco(config, _coco_mlt(root, "val2017"), "coco_mlt_test", cache)
        case VocMltData():
            folder = _voc_folder(root, "VOC2007")
            test_set = folder / "ImageSets" / "Main" / "test.txt"
            _require(VOC_MLT, root, folder / "Annotations")
            if test_set.parent.is_dir():  # VOC2007's training archive alone has no test set
                _require(VOC_MLT, root, test_set)
            table = _voc(config, "VOC2007", "test", VOC_CLASSES, cache)
        case DigitsMltData():
            write_digits(root)
            table = _coco(config, _digits("test"), "digits_mlt_test", cache)
        case CocoData():
            table = _coco(config, config.test, "coco_test", cache)
        case VocData():
            table = _voc(config, config.test_folder, config.test_set, class_names, cache)
        case CsvData():
            table = _csv(config, config.test, "data.test", class_names)
    return _with_classes(table, class_names, "test")


def read_validation(
    config: DataConfig, cache: Path | None = None, class_names: Sequence[str] | None = None
) -> LabelTable | None:
    """Read the labels of the validation images; None where the configuration names none.

    Args:
        config: Where the annotations are.
        cache: Folder for label tables.
        class_names: As of :func:`read_test`.

    Raises:
        MissingFileError: If they are absent.
        DataError: If the validation data has other classes.
    """
    match config:
        case CocoData(validation=CocoPart() as part):
            return _with_classes(
                _coco(config, part, "coco_validation", cache), class_names, "validation"
            )
        case VocData(validation_set=str(name)):
            names = class_names or _declared_classes(config, cache)
            table = _voc(config, config.validation_folder, name, names, cache)
            return _with_classes(table, names, "validation")
        case CsvData(validation=str(file)):
            names = class_names or _declared_classes(config, cache)
            table = _csv(config, file, "data.validation", names)
            return _with_classes(table, names, "validation")
    return None


def _declared_classes(config: DataConfig, cache: Path | None) -> Sequence[str] | None:
    """The classes of formats whose images do not name them all; None for COCO's, which do."""
    if not isinstance(config, (VocData, CsvData)):
        return None
    return config.class_names or read_train(config, cache).class_names


def _with_classes(table: LabelTable, class_names: Sequence[str] | None, part: str) -> LabelTable:
    """Give the table; refuse it if the training data has other classes."""
    if class_names is not None:
        difference = name_difference(class_names, table.class_names, "training", part)
        if difference:
            raise DataError(f"data: training and {part} data have different classes: {difference}")
    return table


def _coco_mlt(root: Path, part: str) -> CocoPart:
    annotations = f"annotations/instances_{part}.json"
    _require(COCO_MLT, root, root / annotations)
    return CocoPart(annotations=annotations, images=part)


def _require(published: PublishedSplit, root: Path, *paths: Path) -> None:
    """Refuse to go on without a part of a published data set; says how to get it."""
    for path in paths:
        if not path.exists():
            raise MissingFileError(how_to_get(published, root, path.relative_to(root).as_posix()))


def _digits(part: str) -> CocoPart:
    return CocoPart(annotations=f"annotations/instances_{part}.json", images=part)


def _coco(
    config: DataConfig, part: CocoPart, name: str, cache: Path | None, min_image_size: int = 0
) -> LabelTable:
    root = Path(config.root)
    file = root / part.annotations
    if not file.is_file():
        raise MissingFileError(f"data: there is no annotation file {file} (data.root: {root})")
    read = partial(read_coco, file, root / part.images, min_image_size=min_image_size)
    if cache is None:
        return read()
    arguments = {"root": str(root / part.images), "min_image_size": min_image_size}
    return _through_cache(cache, name, [file], arguments, read)


def _voc(
    config: VocMltData | VocData,
    folder: str,
    image_set: str,
    class_names: Sequence[str] | None,
    cache: Path | None,
) -> LabelTable:
    root = Path(config.root)
    names = None if class_names is None else list(class_names)
    place = _voc_folder(root, folder)
    read = partial(read_voc, root, folder, image_set, class_names=names)
    if cache is None or not place.is_dir():
        return read()
    sources = [place / "Annotations"]
    image_sets = place / "ImageSets" / "Main" / f"{image_set}.txt"
    sources += [image_sets] if image_sets.is_file() else []
    arguments = {"root": str(place), "image_set": image_set, "class_names": names}
    return _through_cache(cache, f"{config.name}_{image_set}", sources, arguments, read)


def _voc_folder(root: Path, folder: str) -> Path:
    """The VOC folder, which may also lie in the VOCdevkit/ that the archives unpack to."""
    inside = root / "VOCdevkit" / folder
    return inside if inside.is_dir() and not (root / folder).is_dir() else root / folder


def _csv(config: CsvData, file: str, key: str, class_names: Sequence[str] | None) -> LabelTable:
    root = Path(config.root)
    if not (root / file).is_file():
        raise MissingFileError(f"{key}: there is no table {root / file} (data.root: {root})")
    return read_csv(
        root / file,
        root / config.images,
        path_column=config.path_column,
        labels_column=config.labels_column,
        separator=config.separator,
        id_column=config.id_column,
        class_names=class_names,
        blank=config.blank,
        uncertain=config.uncertain,
        delimiter=config.delimiter,
    )


def _through_cache(
    cache: Path,
    name: str,
    sources: list[Path],
    arguments: dict[str, Any],
    read: Callable[[], LabelTable],
) -> LabelTable:
    # Runs on other data that share the folder keep files of their own.
    key = hashlib.sha256(arguments["root"].encode()).hexdigest()[:8]
    table, _ = cached_table(cache / f"{name}-{key}.npz", sources, arguments, read)
    return table


def how_to_get(published: PublishedSplit, root: Path, missing: str) -> str:
    """Say what to download and where to put it.

    Args:
        published: The data set.
        root: Where it was looked for.
        missing: What is not there.
    """
    archives = "\n".join(f"    {archive}" for archive in published.archives)
    where = {
        "coco_mlt": "annotations/, train2017/ and val2017/ (https://cocodataset.org/#download)",
        "voc_mlt": "VOC2012/ and VOC2007/ (http://host.robots.ox.ac.uk/pascal/VOC/)",
    }
    return (
        f"data.root: there is no {missing} in {root}. This data set is not part of mlt; download\n"
        f"{archives}\n"
        f"  and unpack them so that the folder holds {where[published.name]}.\n"
        "  If you have it elsewhere: --set data.root=FOLDER\n"
        "  To try mlt without it, on the embedded data: mlt train digits_mlt_cb_focal"
    )
