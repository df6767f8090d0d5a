"""`mlt split`: cut one table into training, validation and test images, or into folds."""

from __future__ import annotations

import argparse
import json
import os.path
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlt.data.labels import LabelTable
    from mlt.data.settings import DataConfig

DESCRIPTION = """\
Cut one table into parts, every class by its share (iterative stratification), and save which image
is in which part.

  mlt split labels.csv --test 0.2 --validation 0.1 --output split.json
  mlt split labels.csv --test 0.2 --group patient --output split.json
  mlt split train.csv --test 0.2 --group-pattern 'patient\\d+' --output split.json
  mlt split annotations.json --folds 5 --output folds.json
  mlt split --config my.yaml --test 0.2 --output split.json

TABLE is a table with the columns path and labels, or a COCO file; --set says how else a table looks
(--set labels_column=null path_column=Image), and --config takes the training images of a
configuration. Use the file with `data.split: split.json`, and folds with `mlt compare CONFIG
--folds folds.json`."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("table", metavar="TABLE", nargs="?", help="a table, or a COCO .json file")
    parser.add_argument("--config", metavar="CONFIG", help="cut the training images of this")
    parser.add_argument("--output", metavar="SPLIT.json", required=True, help="the file to write")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")
    parts = parser.add_argument_group("parts")
    parts.add_argument("--test", type=float, metavar="SHARE", help="share of all images to test on")
    parts.add_argument(
        "--validation", type=float, metavar="SHARE", help="share of all images to validate on"
    )
    parts.add_argument("--folds", type=int, metavar="K", help="cut into K folds of one size")
    how = parser.add_argument_group("how")
    how.add_argument(
        "--group",
        metavar="COLUMN",
        help="images with one value of this column (patient, video) stay in one part",
    )
    how.add_argument(
        "--group-pattern",
        metavar="PATTERN",
        help="regular expression of the group within the cells of --group, or else within the "
        r"image paths: patient\d+",
    )
    how.add_argument(
        "--check-duplicates",
        metavar="HOW",
        nargs="?",
        const="content",
        choices=["content", "near"],
        help="keep the same picture in one part: content (default) finds files that are the same "
        "byte for byte, near also pictures that look the same",
    )
    how.add_argument(
        "--order",
        type=int,
        choices=[1, 2],
        default=1,
        help="1 balances classes (default), 2 also pairs of classes that occur together",
    )
    how.add_argument("--seed", type=int, default=0, help="another seed is another cut")
    table = parser.add_argument_group("how TABLE looks")
    table.add_argument("--images", metavar="DIR", help="folder of its images, for duplicates")
    table.add_argument(
        "--set",
        dest="overrides",
        metavar="KEY=VALUE",
        nargs="+",
        action="extend",
        default=[],
        help="keys of `data` for TABLE (blank=unknown); of the configuration for --config",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    from mlt.cli.part_tables import class_counts_of_parts, parts_table
    from mlt.data.splits.parts import cut_partition, part_notes
    from mlt.errors import ConfigError, OutputExistsError

    if arguments.seed < 0:
        raise ConfigError(f"--seed must be at least 0, got {arguments.seed}")
    fractions = _fractions(arguments)
    if Path(arguments.output).exists() and not arguments.overwrite:
        raise OutputExistsError(f"--output: {arguments.output} exists; --overwrite replaces it")
    source = _settings(arguments).source()
    table = _grouped(source.read_all(), arguments)
    if arguments.check_duplicates:
        table = _without_torn_duplicates(table, arguments.check_duplicates)
    partition = cut_partition(
        Path(arguments.output).stem,
        table,
        fractions,
        order=arguments.order,
        seed=arguments.seed,
        files=source.files(),
        group=_group(arguments),
        duplicates=arguments.check_duplicates,
    )
    rows = {part: table.find(images.image_ids) for part, images in partition.parts.items()}
    partition.save(arguments.output)
    for note in table.notes:
        print(note)
    print(parts_table(table, rows))
    print(class_counts_of_parts(table, rows))
    for note in part_notes(table, rows, fractions)[1:]:
        print(note)
    use = f"mlt compare CONFIG --folds {arguments.output}" if arguments.folds else "data.split"
    print(f"written to {arguments.output}, for {use}")
    return 0


def _fractions(arguments: argparse.Namespace) -> dict[str, float]:
    """Part to its share; the first is what the others leave."""
    from mlt.data.splits.parts import fold_fractions
    from mlt.errors import ConfigError

    given = {
        part: share
        for part in ("validation", "test")
        if (share := getattr(arguments, part)) is not None
    }
    if arguments.folds is not None:
        if given:
            raise ConfigError("--folds cuts all images: give it without --test/--validation")
        if arguments.folds < 2:
            raise ConfigError(f"--folds must be at least 2, got {arguments.folds}")
        return fold_fractions(arguments.folds)
    if not given:
        raise ConfigError("say what to cut: --test SHARE, --validation SHARE, or --folds K")
    for part, share in given.items():
        if not 0 < share < 1:
            raise ConfigError(f"--{part} is a share between 0 and 1, got {share:g}")
    if (rest := 1 - sum(given.values())) < 1e-9:
        raise ConfigError(f"--validation and --test take {sum(given.values()):g} of all images")
    return {"train": rest, **given}


def _settings(arguments: argparse.Namespace) -> DataConfig:
    """The data section that reads TABLE, or that of the configuration."""
    from mlt.config import load_config
    from mlt.config.load import parse_data
    from mlt.errors import ConfigError

    if (arguments.table is None) == (arguments.config is None):
        raise ConfigError("give either TABLE or --config CONFIG: where are the labels?")
    if arguments.config:
        group = _group(arguments)
        chosen = [] if group is None else [f"data.group={json.dumps(group)}"]
        return load_config(arguments.config, [*arguments.overrides, *chosen]).data
    file = Path(arguments.table)
    images = "." if arguments.images is None else os.path.relpath(arguments.images, file.parent)
    values: dict[str, Any] = {"root": str(file.parent), "test": {"fraction": 0.5}}
    if file.name.endswith((".json", ".json.gz")):
        values |= {"name": "coco", "train": {"annotations": file.name, "images": images}}
    else:
        values |= {"name": "csv", "train": file.name, "images": images}
        values |= {"group": _group(arguments)}
    return parse_data(values, arguments.overrides)


def _group(arguments: argparse.Namespace) -> str | dict[str, str | None] | None:
    """The key `group` of `data`."""
    if arguments.group_pattern is None:
        return arguments.group
    return {"column": arguments.group, "pattern": arguments.group_pattern}


def _grouped(table: LabelTable, arguments: argparse.Namespace) -> LabelTable:
    """The table with its groups; those of a COCO file are a field of its images."""
    from dataclasses import replace

    from mlt.data.columns import StringColumn
    from mlt.data.formats.coco_groups import image_groups
    from mlt.data.formats.group_cells import groups_by_pattern, path_note, without_blanks
    from mlt.errors import ConfigError

    if table.groups is not None:
        return table
    of_coco = (arguments.table or "").endswith((".json", ".json.gz"))
    column, pattern = arguments.group, arguments.group_pattern
    if column is None and pattern is None:
        remedy = "--group-pattern 'PATTERN'"
        found = path_note(table.paths.array, remedy) if of_coco and table.paths else []
        return replace(table, notes=(*table.notes, *found))
    if not of_coco:
        raise ConfigError("--group: this data has no groups; a table (CSV) or a COCO file may")
    groups = (
        table.paths if column is None else image_groups(arguments.table, column, table.image_ids)
    )
    assert groups is not None
    if pattern is not None:
        groups = StringColumn(groups_by_pattern(groups.array, pattern, column or "file_name"))
    groups, notes = without_blanks(groups.array, column or "file_name")
    return replace(table, groups=groups, notes=(*table.notes, *notes))


def _without_torn_duplicates(table: LabelTable, how: str) -> LabelTable:
    """The table with each picture that is there more than once as a group; says which."""
    from mlt.data.near_duplicates import near_groups
    from mlt.data.splits.grouping import kept_together, rows_together
    from mlt.inspection.duplicates import same_pictures

    same = [[place.row for place in places] for places in same_pictures({"train": table})]
    print(_duplicates("files with the same content", same, table))
    if how == "near":
        found = {row: number for number, rows in enumerate(same) for row in rows}
        near = [
            rows
            for rows in rows_together(near_groups(table))
            if len({found.get(row, -1 - row) for row in rows}) > 1
        ]
        print(_duplicates("pictures that look the same", near, table))
        same += near
    return kept_together(table, same) if same else table


def _duplicates(what: str, same: list[list[int]], table: LabelTable, shown: int = 5) -> str:
    if not same:
        return f"{what}: none"
    named = [" = ".join(str(table.paths[row]) for row in rows[:3]) for rows in same[:shown]]  # type: ignore[index]
    more = f" and {len(same) - shown} more" if len(same) > shown else ""
    images = sum(map(len, same))
    return f"{what}: {images} images, {len(same)} times the same: {'; '.join(named)}{more}"
