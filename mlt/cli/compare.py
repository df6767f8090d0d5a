"""`mlt compare`: several configurations over several seeds, and a report of what differs."""

from __future__ import annotations

import argparse

from mlt.cli.arguments import add_overrides
from mlt.cli.prediction_tables import add_table_arguments, is_table, refuse_table_arguments

DESCRIPTION = """\
Train every configuration with every seed, and report which differences are more than chance.

  mlt compare digits_mlt_bce digits_mlt_cb_focal --seeds 5 --output runs/digits
  mlt compare my.yaml --losses bce focal cb_focal db_focal --seeds 3 --output runs/mine

The first configuration (or loss) is what the others are compared with. Runs that are there already
are not trained again, interrupted ones are resumed: repeat the command to go on.

Predictions of other tools, or saved ones, are compared without training:

  mlt compare a.csv b.csv --logits --targets truth.csv --train-targets train.csv --output runs/ab"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "configs", metavar="CONFIG", nargs="+", help="YAML files, or names of mlt's"
    )
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="seeds 0 to N-1 (3)")
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
    from pathlib import Path

    from mlt.config import load_config
    from mlt.errors import ConfigError

    if any(is_table(source) or source.endswith(".npz") for source in arguments.configs):
        return _compare_predictions(arguments)
    refuse_table_arguments(arguments, "CONFIG says where the labels are")
    if arguments.seeds < 1:
        raise ConfigError(f"--seeds must be at least 1, got {arguments.seeds}")
    configs = {}
    for source in arguments.configs:
        for loss in arguments.losses or [None]:
            name = "-".join(filter(None, [_stem(source, arguments), loss]))
            if name in configs:
                raise ConfigError(f"two runs would be called {name!r}; give the files other names")
            preset = [] if loss is None else [f"loss={{preset: {loss}}}"]
            configs[name] = load_config(source, [*preset, *arguments.overrides])
    from mlt.engine.compare import plan_runs, train_missing

    plans = plan_runs(configs, range(arguments.seeds), arguments.output)
    if arguments.dry_run:
        for plan in plans:
            state = "finished" if plan.finished else "begun" if plan.begun else "to train"
            print(f"{plan.name:40} {state}")
        return 0
    trained = train_missing(plans)
    if trained.runs:
        from mlt.cli.report import report_runs

        output = Path(arguments.report or Path(arguments.output) / "report.html")
        # The runs of a baseline that failed with every seed are not there; then it is the first.
        report_runs(trained.runs, output)
    for name, reason in trained.failed.items():
        print(f"{name} failed: {reason}")
    return 1 if trained.failed else 0


def _compare_predictions(arguments: argparse.Namespace) -> int:
    """Compare what has been predicted already: tables, runs and files of predictions."""
    from pathlib import Path

    from mlt.cli.report import read_runs, report_runs
    from mlt.errors import ConfigError

    if arguments.losses or arguments.overrides or arguments.dry_run:
        raise ConfigError("--losses, --set and --dry-run are for configurations, not predictions")
    if len(arguments.configs) < 2:
        raise ConfigError("give at least two files of predictions to compare")
    output = Path(arguments.report or Path(arguments.output) / "report.html")
    tables = ("auroc", "differences", "auroc-differences")
    report_runs(read_runs(arguments, arguments.configs), output, printed=tables)
    return 0


def _stem(source: str, arguments: argparse.Namespace) -> str | None:
    """The file's name; None where the names of losses say enough."""
    from pathlib import Path

    alone = len(arguments.configs) == 1 and arguments.losses
    return None if alone else Path(source).stem
