"""Where the runs are, and what they were configured to do."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from mlt.config.yaml_text import dump_yaml
from mlt.report.methods import Report
from mlt.report.render import Section
from mlt.report.tables import Column, Table

__all__ = ["run_table", "runs_section", "settings_table"]


def runs_section(report: Report) -> Section:
    """Gather the runs and their configurations."""
    config = report.baseline.first.config
    return Section(
        "runs",
        {
            "runs": run_table(report),
            "settings": None if report.single else settings_table(report),
            "config": dump_yaml(config) if config else "",
            "whose": "" if report.single else report.baseline.name,
        },
    )


def run_table(report: Report) -> Table:
    """Return one line per run: where it is, and its mAP."""
    groups = {"total": np.arange(report.class_counts.num_classes), **report.groups}
    rows = []
    for method in report.methods:
        for run in method.runs:
            epochs = [record for record in run.history if not record.get("part_of_epoch")]
            values = [run.ap[members] for members in groups.values()]
            rows.append(
                [method.name, str(run.path), run.seed, len(epochs) or None,
                 *(float(np.nanmean(v)) if np.isfinite(v).any() else math.nan for v in values)]
            )  # fmt: skip
    columns = [
        Column("method"),
        Column("folder"),
        Column("seed", "text"),
        Column("epochs", "count"),
        Column("mAP", "percent"),
        *(Column(group, "percent") for group in report.groups),
    ]
    return Table("runs", "Every run, mAP in percent", columns, rows, note=report.groups_note)


def settings_table(report: Report) -> Table | None:
    """Return the keys in which the methods differ; None if there are none."""
    flat = [_flat(method.first.settings) for method in report.methods]
    keys = [
        key for key in dict.fromkeys(k for values in flat for k in values)
        if len({values.get(key) for values in flat}) > 1
    ]  # fmt: skip
    if not keys:
        return None
    rows = [
        [method.name, *(values.get(key) for key in keys)]
        for method, values in zip(report.methods, flat)
    ]
    columns = [Column("method"), *(Column(key) for key in keys)]
    return Table("settings", "What the configurations differ in", columns, rows)


def _flat(values: Mapping[str, object], prefix: str = "") -> dict[str, str]:
    result: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            result |= _flat(value, f"{prefix}{key}.")
        else:
            result[f"{prefix}{key}"] = "none" if value is None else str(value)
    return result
