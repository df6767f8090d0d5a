"""What tuned thresholds and calibration change."""

from __future__ import annotations

from mlt.report.decision_tables import calibration_table, held_out_table, threshold_table
from mlt.report.methods import Report
from mlt.report.render import Section

__all__ = ["thresholds_section"]


def thresholds_section(report: Report) -> Section | None:
    """Gather what `mlt tune` stored with the first run; None where it tuned no thresholds."""
    run = report.baseline.first
    thresholds = run.decision.thresholds if run.decision else None
    if thresholds is None:
        return None
    return Section(
        "thresholds",
        {
            "goal": thresholds.goal,
            "target": f"{thresholds.target:g}",
            "shrinkage": f"{thresholds.shrinkage:g}",
            "held_out": held_out_table(run.checks),
            "calibration": calibration_table(run.checks),
            "per_class": threshold_table(report, run, thresholds),
        },
    )
