"""`mlt compare`: several configurations over several seeds, and a report of what differs."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mlt.cli.arguments import add_overrides
from mlt.cli.prediction_tables import add_table_arguments, is_table, refuse_table_arguments

if TYPE_CHECKING:
    from mlt.config import Config
    from mlt.engine.compare import Plan
    from mlt.engine.folds import FoldResults

DESCRIPTION = """\
Train every configuration with every seed, and report which differences are more than chance.

  mlt compare digits_mlt_bce digits_mlt_cb_focal --seeds 5 --output runs/digits
  mlt compare my.yaml --losses bce focal cb_focal db_focal --seeds 3 --output runs/mine
  mlt compare my.yaml --losses bce cb_focal --folds 5 --output runs/folds

The first configuration (or loss) is what the others are compared with. Runs that are there already
are not trained again, interrupted ones are resumed: repeat the command to go on.

Predictions of other tools, or saved ones, are compared without training:

  mlt compare a.csv b.csv --logits --targets truth.csv --train-targets train.csv --output runs/ab"""

ONE_LABEL_TABLES = ("one-label", "one-label-differences")
"""Tables of a report that are printed where it has them."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "configs", metavar="CONFIG", nargs="+", help="YAML files, or names of mlt's"
    )
    parser.add_argument("--seeds", type=int, metavar="N", help="seeds 0 to N-1 (3)")
    parser.add_argument(
        "--folds",
        metavar="FILE|K",
        help="cross-validation in place of seeds: train once for each fold of a file of `mlt split "
        "--folds`, or of K folds cut out of the training images of the first configuration",
    )
    parser.add_argument("--output", metavar="DIR", required=True, help="folder of all runs")
    parser.add_argument(
        "--losses",
        nargs="+",
        metavar="NAME",
        default=[],
        help="train each configuration with each of these losses, see docs/losses.md",
    )
    add_overrides(parser, "data.root=/data/coco")
    parser.add_argument("--report", metavar="FILE.html", help="default: DIR/report.html")
    parser.add_argument(
        "--dry-run", action="store_true", help="list the runs and what is there; do not train"
    )
    add_table_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    from mlt.config import load_config
    from mlt.errors import ConfigError

    if any(is_table(source) or source.endswith(".npz") for source in arguments.configs):
        return _compare_predictions(arguments)
    refuse_table_arguments(arguments, "CONFIG says where the labels are")
    if arguments.folds is not None and arguments.seeds is not None:
        raise ConfigError("--folds trains once for each fold, with the seed of CONFIG: no --seeds")
    seeds = 3 if arguments.seeds is None else arguments.seeds
    if seeds < 1:
        raise ConfigError(f"--seeds must be at least 1, got {seeds}")
    configs = {}
    for source in arguments.configs:
        for loss in arguments.losses or [None]:
            name = "-".join(filter(None, [_stem(source, arguments), loss]))
            if name in configs:
                raise ConfigError(f"two runs would be called {name!r}; give the files other names")
            preset = [] if loss is None else [f"loss={{preset: {loss}}}"]
            configs[name] = load_config(source, [*preset, *arguments.overrides])
    if arguments.folds is not None:
        return _cross_validate(arguments, configs)
    from mlt.engine.compare import plan_runs, train_missing

    plans = plan_runs(configs, range(seeds), arguments.output)
    if arguments.dry_run:
        _list(plans)
        return 0
    trained = train_missing(plans)
    if trained.runs:
        from mlt.cli.report import report_runs

        output = Path(arguments.report or Path(arguments.output) / "report.html")
        # The runs of a baseline that failed with every seed are not there; then it is the first.
        report_runs(trained.runs, output, printed=ONE_LABEL_TABLES)
    for name, reason in trained.failed.items():
        print(f"{name} failed: {reason}")
    return 1 if trained.failed else 0


def _cross_validate(arguments: argparse.Namespace, configs: dict[str, Config]) -> int:
    """Train every configuration once for each fold, and print mean and spread."""
    from mlt.cli.fold_tables import difference_table, fold_table
    from mlt.engine.compare import train_missing
    from mlt.engine.folds import fold_results, plan_folds, saved_folds

    if arguments.dry_run and arguments.folds.isdecimal():
        # Nothing is written, so there are no folds yet to plan with.
        for fold in range(int(arguments.folds)):
            for name in configs:
                finished = (Path(arguments.output) / f"{name}-fold{fold}" / "metrics.json").exists()
                print(f"{name}-fold{fold:<30} {'begun or finished' if finished else 'to train'}")
        return 0
    file, count = saved_folds(arguments.folds, next(iter(configs.values())), arguments.output)
    plans = plan_folds(configs, file, count, arguments.output)
    by_fold = [plan for of_fold in zip(*plans.values()) for plan in of_fold]
    if arguments.dry_run:
        _list(by_fold)
        return 0
    trained = train_missing(by_fold)
    found = {name: fold_results(of_method) for name, of_method in plans.items()}
    results = {name: result for name, result in found.items() if result is not None}
    if results:
        print(fold_table(results))
        if len(results) > 1:
            print(difference_table(results))
        _report_folds(arguments, results)
    for name, reason in trained.failed.items():
        print(f"{name} failed: {reason}")
    return 1 if trained.failed else 0


def _report_folds(arguments: argparse.Namespace, results: Mapping[str, FoldResults]) -> None:
    """Save the predictions of all folds together, and write a report about them."""
    from mlt.cli.report import report_runs
    from mlt.report.runs import Run

    runs = []
    for name, result in results.items():
        file = Path(arguments.output) / f"{name}-all-folds.npz"
        result.together.save(file)
        runs.append(Run(file, result.together, result.summary.limits, {}))
    # Methods of which some folds failed cannot be compared image by image.
    images = set(runs[0].predictions.image_ids.tolist())
    runs = [run for run in runs if set(run.predictions.image_ids.tolist()) == images]
    print("\nall images together, each predicted by the run that was not trained on it:")
    report = Path(arguments.report or Path(arguments.output) / "report.html")
    report_runs(runs, report, printed=ONE_LABEL_TABLES)
    for name in results:
        file = Path(arguments.output) / f"{name}-all-folds.npz"
        print(f"every class: mlt evaluate --predictions {file} --auroc --classes")


def _list(plans: Iterable[Plan]) -> None:
    for plan in plans:
        state = "finished" if plan.finished else "begun" if plan.begun else "to train"
        print(f"{plan.name:40} {state}")


def _compare_predictions(arguments: argparse.Namespace) -> int:
    """Compare what has been predicted already: tables, runs and files of predictions."""
    from mlt.cli.report import read_runs, report_runs
    from mlt.errors import ConfigError
    from mlt.report.runs import load_run

    if arguments.losses or arguments.overrides or arguments.dry_run or arguments.folds:
        raise ConfigError(
            "--losses, --set, --folds and --dry-run are for configurations, not predictions"
        )
    if len(arguments.configs) < 2:
        raise ConfigError("give at least two files of predictions to compare")
    read = read_runs(arguments, arguments.configs)
    runs = [load_run(run) if isinstance(run, str) else run for run in read]
    if any(run.predictions.class_counts is None for run in runs):
        from mlt.metrics.confidence.clusters import Clusters
        from mlt.report.page import write_tables
        from mlt.report.totals import totals_tables

        tables = totals_tables(runs)
        write_tables(tables, arguments.output)
        print("\n\n".join(table.to_text() for table in tables))
        groups = [r.predictions.groups for r in runs if r.predictions.groups is not None]
        if groups:
            size = Clusters.of(groups[0], len(groups[0])).size
            print(f"\nover {len(groups[0])} images of {size} groups (patients or the like)")
        print(
            f"\nwritten to {arguments.output} as Markdown, CSV and LaTeX; --train-targets FILE "
            "adds head, medium and tail, every class, and a page"
        )
        return 0
    output = Path(arguments.report or Path(arguments.output) / "report.html")
    printed = ("auroc", "differences", "auroc-differences", *ONE_LABEL_TABLES)
    report_runs(runs, output, printed=printed)
    return 0


def _stem(source: str, arguments: argparse.Namespace) -> str | None:
    """The file's name; None where the names of losses say enough."""
    alone = len(arguments.configs) == 1 and arguments.losses
    return None if alone else Path(source).stem
