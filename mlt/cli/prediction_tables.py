"""Predictions of other tools on the command line: a table of scores, and where the truth is."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlt.config import Config
    from mlt.prediction_tables import Truth
    from mlt.predictions import Predictions

__all__ = ["add_table_arguments", "is_table", "read_predictions", "refuse_table_arguments"]

_TABLES = (".csv", ".tsv", ".txt", ".gz", ".jsonl", ".ndjson", ".parquet", ".pq")


def add_table_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what is to be said of a table of scores."""
    group = parser.add_argument_group(
        "predictions of other tools",
        "a table of scores (CSV, JSON lines or Parquet): an image per row, its id, a column per "
        "class",
    )
    kind = group.add_mutually_exclusive_group()
    kind.add_argument("--logits", action="store_true", help="the scores are logits")
    kind.add_argument(
        "--probabilities", action="store_true", help="the scores are probabilities, from 0 to 1"
    )
    group.add_argument(
        "--softmax",
        action="store_true",
        help="the logits are of a softmax over all classes, not of a sigmoid per class",
    )
    group.add_argument(
        "--targets",
        metavar="FILE",
        help="the true labels: a table (the id and a column per class, or the id and `labels`), or "
        "predictions.npz of another model on the same images",
    )
    group.add_argument(
        "--train-targets",
        metavar="FILE",
        help="a table of the training images, alike: makes head, medium and tail",
    )
    group.add_argument(
        "--id-column", metavar="NAME", help="column of the image ids; by default the first"
    )
    group.add_argument(
        "--targets-set",
        metavar="KEY=VALUE",
        nargs="+",
        action="extend",
        default=[],
        help="how --targets is written, by the keys of `data` in a configuration of tables, for "
        "example labels_column=tags negatives=[normal]",
    )
    group.add_argument(
        "--class-names", metavar="NAME", nargs="+", help="evaluate these classes, in this order"
    )
    group.add_argument(
        "--subset",
        action="store_true",
        help="evaluate the images that have scores where --targets has more",
    )


def is_table(file: str | Path) -> bool:
    """Whether predictions are a table of another tool, by the ending; not a run, not mlt's own."""
    return Path(file).suffix.lower() in _TABLES and not Path(file).is_dir()


def read_predictions(
    arguments: argparse.Namespace,
    file: str | Path,
    config: Config | None = None,
    part: str = "test",
) -> Predictions:
    """Read predictions: mlt's own, or a table of scores beside its truth.

    Args:
        arguments: Has what :func:`add_table_arguments` declares.
        file: The predictions.
        config: A configuration whose images have the truth, in place of ``--targets``.
        part: Which of its images.

    Raises:
        ConfigError: If it is not said what the scores are, or where the truth is.
        UserError: For whatever is wrong with the files.
    """
    from mlt.errors import ConfigError
    from mlt.prediction_tables import TruthTable
    from mlt.prediction_tables import read_predictions as read_table

    if not Path(file).is_file():
        from mlt.errors import MissingFileError

        raise MissingFileError(f"there is no file {file} of predictions")
    if not (arguments.logits or arguments.probabilities):
        raise ConfigError(
            f"say what the scores of {file} are, --logits or --probabilities: the file does not "
            "say, and thresholds, rates and calibration would be wrong without a word"
        )
    if arguments.softmax and not arguments.logits:
        raise ConfigError("--softmax goes with --logits; probabilities are what they are")
    if (config is None) == (arguments.targets is None):
        other = ", or CONFIG, whose data section says where they are (not both)"
        raise ConfigError(
            f"say what {file} is to be evaluated against: --targets FILE, a table of the true "
            f"labels{other if hasattr(arguments, 'config') else ''}"
        )
    if arguments.train_targets and (config is not None or not is_table(arguments.targets)):
        raise ConfigError(
            "--train-targets goes with a table of --targets; a configuration and predictions.npz "
            "have training counts of their own"
        )
    truth: Truth | TruthTable | str
    if config is not None:
        truth = _truth_of_config(config, part)
    elif is_table(arguments.targets):
        truth = TruthTable(
            file=Path(arguments.targets),
            train=Path(arguments.train_targets) if arguments.train_targets else None,
            id_column=arguments.id_column,
            form=_form(arguments.targets_set),
        )
    else:
        truth = arguments.targets
    return read_table(
        file,
        truth,
        kind="logits" if arguments.logits else "probabilities",
        id_column=arguments.id_column,
        class_names=arguments.class_names,
        subset=arguments.subset,
        activation="softmax" if arguments.softmax else "sigmoid",
    )


def refuse_table_arguments(arguments: argparse.Namespace, what: str) -> None:
    """Refuse options that say something of tables where there is none.

    Args:
        arguments: Has what :func:`add_table_arguments` declares.
        what: What there is instead.

    Raises:
        ConfigError: If one was given.
    """
    from mlt.errors import ConfigError

    names = ("logits", "probabilities", "softmax", "targets", "train_targets", "id_column",
             "targets_set", "class_names", "subset")  # fmt: skip
    given = [f"--{name.replace('_', '-')}" for name in names if getattr(arguments, name)]
    if given:
        raise ConfigError(f"{', '.join(given)}: for tables of scores; {what}")


def _form(changes: list[str]) -> dict[str, Any]:
    """KEY=VALUE, each value read as YAML."""
    if not changes:
        return {}
    from mlt.config.yaml_text import parse_yaml
    from mlt.errors import ConfigError

    form: dict[str, Any] = {}
    for change in changes:
        key, equals, text = change.partition("=")
        if not equals:
            raise ConfigError(
                f"--targets-set {change}: write it as KEY=VALUE, for example labels_column=tags"
            )
        form[key] = parse_yaml(text)
    return form


def _truth_of_config(config: Config, part: str) -> Truth:
    """The labels of the test or validation images, and the counts of the training split."""
    from mlt.data.run_data import training_split
    from mlt.errors import ConfigError
    from mlt.prediction_tables import Truth
    from mlt.run_folder import RunFolder

    cache = RunFolder(config.output).cache
    source = config.data.source(cache)
    _, train = training_split(config.data, cache)
    read = source.test if part == "test" else source.validation
    table = read(train.class_names)
    if table is None:
        raise ConfigError("data.validation: the configuration names no validation images")
    return Truth.of_table(table, f"the {part} images of the configuration", train)
