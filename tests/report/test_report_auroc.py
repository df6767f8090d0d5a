"""AUROC, and the value that each interval of average precision is around, in every report."""

from __future__ import annotations

import pytest

from mlt.metrics import auroc, average_precision_intervals
from mlt.report.methods import load_report
from mlt.report.page import make_page


def test_auroc_and_the_corrected_value_stand_beside_every_interval(make_run) -> None:
    """Of one method: in the tiles, in both tables, in the drawing and in what the script shows."""
    report = load_report([make_run("a")])
    page, run = make_page(report), report.baseline.first
    tables = {table.name: table for table in page.tables}
    means = average_precision_intervals(
        run.predictions.targets, run.predictions.logits, groups=report.class_counts.groups
    )
    areas = auroc(run.predictions.targets, run.predictions.logits)
    rows = {row[0]: row for row in tables["summary"].rows}
    assert rows["total"][5] == pytest.approx(means.means["total"].centre)
    assert rows["total"][7].value == pytest.approx(areas.mean())
    for c, row in zip(report.order.tolist(), tables["classes"].rows, strict=True):
        assert row[5] == pytest.approx(means.per_class[c].centre)
        assert row[8].value == pytest.approx(areas[c])
        assert row[6].low <= row[5] <= row[6].high
    shown = f"{100 * means.means['total'].centre:.2f}"
    assert f"corrected {shown}</dd>" in page.html
    assert f"AP {100 * run.ap[0]:.2f}, corrected {100 * means.per_class[0].centre:.2f}" in page.html
    assert f"{100 * areas.mean():.2f} % (" in page.html


def test_methods_are_compared_in_auroc_too(make_run) -> None:
    runs = [make_run("a", skill=0.3), make_run("b", skill=4.0, config={"loss": {"preset": "bce"}})]
    tables = {table.name: table for table in make_page(load_report(runs)).tables}
    total = tables["auroc"].rows[1][2]
    assert total.verdict == "better"
    assert total.value == pytest.approx(load_report(runs).methods[1].auroc.mean())
    assert tables["auroc-differences"].rows[0][5] == "better"
    assert tables["comparison"].rows[0][3] == tables["comparison"].rows[0][4].centre
    assert [c.title for c in tables["classes"].columns][-2:] == ["a AUROC", "b AUROC"]
