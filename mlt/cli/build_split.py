"""`mlt build-split`: build a long-tailed split from annotations."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlt.data import LabelTable, Split

DESCRIPTION = """\
Build a long-tailed training split from annotations, print it and save it.

  mlt build-split voc-mlt  --root data/VOCdevkit --output voc_mlt.json
  mlt build-split coco-mlt --root data/coco --output coco_mlt.json [--image-ids img_id.pkl]
  mlt build-split pareto   --config my.yaml --max 500 --output my_split.json
  mlt build-split pareto   --coco annotations.json --b 6 --max 800 --output my_split.json

Pass the saved file to training with `data.split`; without it, training builds the split itself."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "recipe",
        choices=["voc-mlt", "coco-mlt", "pareto"],
        help="a published split, or the Pareto recipe for other data",
    )
    parser.add_argument("--output", metavar="SPLIT.json", required=True, help="the file to write")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")
    parser.add_argument(
        "--root",
        metavar="DATA_ROOT",
        help="folder with VOC2012/ and VOC2007/, or with COCO's annotations/ and train2017/",
    )
    parser.add_argument(
        "--image-ids",
        metavar="FILE",
        help="a list of image ids, one a line: take exactly these (voc-mlt, coco-mlt)",
    )
    pareto = parser.add_argument_group("pareto: where the annotations are (one of these)")
    source = pareto.add_mutually_exclusive_group()
    source.add_argument("--config", metavar="CONFIG", help="the training data of a configuration")
    source.add_argument("--coco", metavar="FILE", help="a COCO instances file")
    source.add_argument("--csv", metavar="FILE", help="a table with the columns path and labels")
    recipe = parser.add_argument_group("pareto: the recipe")
    recipe.add_argument("--b", type=float, default=6.0, help="shape (default: %(default)s)")
    recipe.add_argument("--max", type=int, default=800, help="images of the most frequent class")
    recipe.add_argument("--min", type=int, default=1, help="images of the rarest class")
    recipe.add_argument("--seed", type=int, default=0, help="seed of the draw")
    show = parser.add_argument_group("what is shown")
    show.add_argument("--head", type=int, default=100, help="head classes have >= HEAD images")
    show.add_argument("--tail", type=int, default=20, help="tail classes have < TAIL images")
    show.add_argument("--plot", metavar="FILE", help="also draw the counts (.png, .svg or .pdf)")


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    from mlt.class_groups import GroupLimits
    from mlt.cli.split_tables import split_summary
    from mlt.errors import OutputExistsError

    limits = GroupLimits(head=arguments.head, tail=arguments.tail)
    if Path(arguments.output).exists() and not arguments.overwrite:
        raise OutputExistsError(f"--output: {arguments.output} exists; --overwrite replaces it")
    if arguments.plot:
        from mlt.report.class_counts_plot import check_plot

        check_plot(arguments.plot)
    table, split = _published(arguments) if arguments.recipe != "pareto" else _pareto(arguments)
    counts = split.apply(table).class_counts(limits)
    split.save(arguments.output)
    for note in table.notes:
        print(note)
    print(split_summary(split, counts))
    print(f"written to {arguments.output}")
    if arguments.plot:
        from mlt.report.class_counts_plot import plot_class_counts

        plot_class_counts(counts, arguments.plot, title=f"{split.name}: {counts.total} images")
        print(f"drawn in {arguments.plot}")
    return 0


def _published(arguments: argparse.Namespace) -> tuple[LabelTable, Split]:
    from mlt.data.sources.coco_mlt import CocoMltData
    from mlt.data.sources.voc_mlt import VocMltData
    from mlt.errors import ConfigError

    if arguments.root is None:
        raise ConfigError(f"--root: say where the data of {arguments.recipe} is")
    values = {"root": arguments.root, "image_ids": arguments.image_ids}
    config = (
        VocMltData(name="voc_mlt", **values)
        if arguments.recipe == "voc-mlt"
        else CocoMltData(name="coco_mlt", **values)
    )
    source = config.source()
    table = source.train()
    return table, source.build_split(table, source.files())


def _pareto(arguments: argparse.Namespace) -> tuple[LabelTable, Split]:
    from mlt.data import build_pareto_split, read_coco, read_csv
    from mlt.errors import ConfigError

    if arguments.image_ids or arguments.root:
        raise ConfigError("--root and --image-ids belong to voc-mlt and coco-mlt, not to pareto")
    if arguments.config:
        from mlt.config import load_config

        source = load_config(arguments.config).data.source()
        table, sources = source.train(), source.files()
    elif arguments.coco:
        table, sources = read_coco(arguments.coco, "."), [arguments.coco]
    elif arguments.csv:
        table, sources = read_csv(arguments.csv, ".", labels_column="labels"), [arguments.csv]
    else:
        raise ConfigError("pareto needs --config, --coco or --csv: where are the annotations?")
    split = build_pareto_split(
        table,
        Path(arguments.output).stem,
        b=arguments.b,
        max=arguments.max,
        min=arguments.min,
        seed=arguments.seed,
        sources=sources,
    )
    return table, split
