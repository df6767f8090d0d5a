"""`mlt explain`: where the labels of image files were seen."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mlt.cli.arguments import add_path_table
from mlt.cli.process import import_timm

DESCRIPTION = """\
Show where a model saw the labels of image files: a picture per image and label with a map over it,
and one HTML file that shows all. A head on the feature map shows its attention, any other Grad-CAM.

  mlt explain runs/mine photographs/
  mlt explain runs/mine/best.safetensors a.jpg b.jpg --classes dog "traffic light"
  mlt explain runs/mine list.csv --images photographs/ --top 3 --format png npz --output looked

Without --classes and --top, the labels that reach their thresholds are shown; where none does, the
most probable one. Exit code 1 says that some images could not be read; the others are there."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "checkpoint",
        metavar="CHECKPOINT_OR_RUN",
        help="a .safetensors file of a run, or its folder, of which last.safetensors is taken",
    )
    parser.add_argument(
        "paths", metavar="PATHS", nargs="+", help="images, folders, patterns, or .csv tables"
    )
    parser.add_argument("--classes", metavar="NAME", nargs="+", help="look for these classes")
    parser.add_argument(
        "--top", type=int, metavar="K", help="the K most probable classes of each image"
    )
    parser.add_argument(
        "--method",
        choices=["attention", "grad_cam"],
        help="by default the attention of the head where it has one, else Grad-CAM",
    )
    parser.add_argument(
        "--format",
        choices=["jpg", "png", "npz"],
        nargs="+",
        default=["jpg"],
        help="pictures of each label, or the maps of an image as numbers (default: jpg)",
    )
    parser.add_argument(
        "--output", metavar="DIR", default="explained", help="a new folder (default: %(default)s)"
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace files of the same names in that folder"
    )
    parser.add_argument("--batch-size", type=int, default=32, metavar="N", help="default: 32")
    parser.add_argument("--workers", type=int, metavar="N", help="processes that load images")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda", "mps"])
    add_path_table(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    from mlt.errors import ConfigError
    from mlt.explain.files import PAGE, check_folder, write_explanations

    output = Path(arguments.output)
    if arguments.top is not None and arguments.classes:
        raise ConfigError("give either --classes or --top")
    check_folder(output, arguments.overwrite)
    import_timm()
    from mlt.explain.explanation import explain
    from mlt.inference.paths import find_images
    from mlt.inference.predictor import Predictor
    from mlt.run_folder import RunFolder

    given = Path(arguments.checkpoint)
    checkpoint = RunFolder(given).last if given.is_dir() else given
    paths = find_images(arguments.paths, arguments.path_column, arguments.images)
    predictor = Predictor.from_checkpoint(checkpoint, arguments.device)
    explanations = explain(
        predictor,
        paths,
        classes=arguments.classes,
        top=arguments.top,
        method=arguments.method,
        batch_size=arguments.batch_size,
        workers=arguments.workers,
        progress=True,
    )
    problems = write_explanations(
        explanations,
        output,
        predictor.class_names,
        formats=arguments.format,
        subtitle=str(checkpoint),
    )
    print(f"{len(paths) - len(problems)} images explained, see {output / PAGE}")
    if problems:
        print(f"{len(problems)} of {len(paths)} images have no prediction:", file=sys.stderr)
        for error in problems.values():
            print(f"  {error}", file=sys.stderr)
    return 1 if problems else 0
