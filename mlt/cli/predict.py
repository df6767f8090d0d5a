"""`mlt predict`: the labels of image files."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from mlt.cli.arguments import add_ensemble, add_path_table
from mlt.cli.process import import_timm

if TYPE_CHECKING:
    from mlt.inference.prediction import NoPrediction, Prediction
    from mlt.runtime.processes import Processes

DESCRIPTION = """\
Predict the labels of image files with a checkpoint, which is all that is needed. Several
checkpoints are an ensemble: the mean of their probabilities is predicted.

  mlt predict runs/mine/last.safetensors photographs/ more/*.jpg
  mlt predict last.safetensors list.csv --images photographs/ --format csv --output labels.csv
  mlt predict last.safetensors train.csv --path-column Path --images data/
  mlt predict last.safetensors photographs/ --format jsonl | jq .labels
  mlt predict a.safetensors b.safetensors photographs/ --views "whole, mirror, {size: 288}"

Exit code 1 says that some images have no prediction, mostly because they could not be read. Each
has a line of its own with the error; the others were predicted."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="a .safetensors file of a run")
    parser.add_argument(
        "paths",
        metavar="PATHS",
        nargs="+",
        help="images, folders, patterns, or .csv tables of paths; before them there may be more "
        "checkpoints",
    )
    parser.add_argument(
        "--format", choices=["table", "csv", "jsonl"], default="table", help="default: %(default)s"
    )
    parser.add_argument("--output", metavar="FILE", help="write to this file, not to the screen")
    parser.add_argument("--overwrite", action="store_true", help="replace that file")
    parser.add_argument(
        "--top",
        type=int,
        metavar="K",
        help="the K most probable labels of each image, whatever their thresholds",
    )
    parser.add_argument("--batch-size", type=int, default=32, metavar="N", help="default: 32")
    parser.add_argument("--workers", type=int, metavar="N", help="processes that load images")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda", "mps"])
    parser.add_argument(
        "--mirror", action="store_true", help="average each image with its mirror image"
    )
    parser.add_argument(
        "--views",
        metavar="LIST",
        help="average over these views, as evaluation.views says them: whole, mirror, five_crops, "
        "ten_crops, {size: N}, {zoom: Z}",
    )
    parser.add_argument(
        "--average",
        choices=["logits", "probabilities"],
        default="logits",
        help="what is averaged over views (default: %(default)s)",
    )
    add_ensemble(parser)
    add_path_table(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    from mlt.runtime.processes import joined

    with joined() as processes:
        return _predict(arguments, processes)


def _predict(arguments: argparse.Namespace, processes: Processes) -> int:
    from mlt.errors import ConfigError, DataError, OutputExistsError

    output = None if arguments.output is None else Path(arguments.output)
    with processes.together():
        if arguments.top is not None and arguments.top < 1:
            raise ConfigError(f"--top must be at least 1, got {arguments.top}")
        if output is not None and output.exists() and not arguments.overwrite:
            raise OutputExistsError(f"--output: {output} exists already; --overwrite replaces it")
        import_timm()
        from mlt.config.parse_views import parse_views
        from mlt.inference.output import check_names, write_predictions
        from mlt.inference.paths import list_images
        from mlt.inference.predictor import Predictor

        views = parse_views(arguments.views or "whole", "--views")
        more = [path for path in arguments.paths if path.endswith(".safetensors")]
        given = [path for path in arguments.paths if path not in more]
        ids = list_images(given, arguments.path_column, arguments.images)
        paths = list(ids)
        if not paths:
            raise DataError(f"there is no image in {', '.join(given) or 'the arguments'}")
        predictor = Predictor.from_checkpoint(
            [arguments.checkpoint, *more],
            arguments.device,
            processes=processes,
            views=views,
            average=arguments.average,
            ensemble=arguments.ensemble,
        )
        check_names(predictor.class_names, arguments.format)
    problems: dict[Path, str] = {}
    predictions = predictor.predict_each(
        paths,
        batch_size=arguments.batch_size,
        workers=arguments.workers,
        mirror=arguments.mirror,
        # On a terminal the lines themselves show how far it is.
        progress=output is not None or not sys.stdout.isatty(),
    )
    if not processes.is_main:
        for _ in predictions:  # the first process has them
            pass
        return 0
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
    # Written in place, image by image: after an interruption what was computed is there.
    with (
        nullcontext(sys.stdout)
        if output is None
        else output.open("w", encoding="utf-8", newline="") as file
    ):
        count = write_predictions(
            file,
            _note_problems(predictions, problems),
            predictor.class_names,
            arguments.format,
            top=arguments.top,
            width=max(len(str(path)) for path in paths),
            ids=ids,
        )
    if output is not None:
        print(f"{count} images in {output}", file=sys.stderr)
    if problems:
        print(f"{len(problems)} of {len(paths)} images have no prediction:", file=sys.stderr)
        for problem in _summed_up(problems):
            print(f"  {problem}", file=sys.stderr)
    return 1 if problems else 0


def _note_problems(
    predictions: Iterable[Prediction | NoPrediction], problems: dict[Path, str]
) -> Iterator[Prediction | NoPrediction]:
    """Pass predictions on, and keep the errors for the end."""
    for prediction in predictions:
        error = getattr(prediction, "error", None)
        if error is not None:
            problems[prediction.path] = error
        yield prediction


def _summed_up(problems: Mapping[Path, str]) -> Iterator[str]:
    """Each error, those of files that do not exist in one line."""
    absent = {path: error for path, error in problems.items() if not path.exists()}
    if absent:
        are = "is" if len(absent) == 1 else "are"
        yield (
            f"{len(absent)} {are} not there, first {next(iter(absent))}. The paths of a table "
            "start from its own folder, or from --images FOLDER"
        )
    yield from (error for path, error in problems.items() if path not in absent)
