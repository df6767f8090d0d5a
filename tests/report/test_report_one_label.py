"""Comparisons of data with exactly one label per image: top-1 error, recall and precision."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, precision_score, recall_score

from mlt.cli import main
from mlt.metrics import compare_seeds, holm
from mlt.report.methods import load_report
from mlt.report.page import make_page

ONE_LABEL = np.eye(4, dtype=bool)[np.arange(32) % 7 % 4]


@pytest.fixture
def runs(make_run):
    """A weak baseline and a far better method, three seeds each."""
    config = {"loss": {}}
    weak = [make_run(f"weak-seed{s}", seed=s, skill=0.0, targets=ONE_LABEL) for s in range(3)]
    return weak + [
        make_run(f"good-seed{s}", seed=s, skill=0.0, config=config, targets=ONE_LABEL,
                 logits=np.random.default_rng(s).normal(size=(32, 4)) + 2.5 * ONE_LABEL)
        for s in range(3)
    ]  # fmt: skip


def test_values_are_those_of_scikit_learn(runs) -> None:
    report = load_report(runs)
    table = {t.name: t for t in make_page(report).tables}["one-label"]
    truth = ONE_LABEL.argmax(axis=1)
    for method, row in zip(report.methods, table.rows, strict=True):
        cells = dict(zip([c.title for c in table.columns], row, strict=True))
        chosen = [p.logits.argmax(axis=1) for p in method.predictions]
        error = [1 - accuracy_score(truth, c) for c in chosen]
        recall = np.array([recall_score(truth, c, average=None) for c in chosen])
        precision = [precision_score(truth, c, average="macro", zero_division=0) for c in chosen]
        assert cells["runs"] == 3
        assert cells["top-1 error"].value == pytest.approx(np.mean(error))
        assert cells["top-1 error"].sd == pytest.approx(np.std(error, ddof=1))
        interval = cells["95 % interval"]
        assert interval.low < np.mean(error) < interval.high
        assert interval.centre == pytest.approx(np.mean(error))
        assert cells["macro recall"].value == pytest.approx(recall.mean())
        for group, members in report.groups.items():
            assert cells[f"recall, {group}"].value == pytest.approx(recall[:, members].mean())
        assert cells["macro precision"].value == pytest.approx(np.mean(precision))
    assert table.rows[1][2].verdict == "better"


def test_differences_are_paired_and_corrected_together(runs) -> None:
    report = load_report(runs)
    table = {t.name: t for t in make_page(report).tables}["one-label-differences"]
    rows = {row[1]: row for row in table.rows}
    good, weak = report.methods[1].predictions, report.baseline.predictions
    accuracy = compare_seeds(good, weak, groups=report.groups, metric="accuracy")["total"]
    error = rows["top-1 error"][2]
    assert (error.value, error.low, error.high) == (-accuracy.value, -accuracy.high, -accuracy.low)
    assert error.value < 0
    assert rows["top-1 error"][5] == "better"
    recall = compare_seeds(good, weak, groups=report.groups, metric="recall")
    assert rows["macro recall"][2] == recall["total"]
    assert rows["recall, tail"][2] == recall["tail"]
    corrected = holm(np.array([row[3] for row in table.rows]))
    np.testing.assert_allclose([row[4] for row in table.rows], corrected)
    turned = {t.name: t for t in make_page(load_report(runs, "good")).tables}
    assert turned["one-label-differences"].rows[0][5] == "worse"


def test_other_data_has_no_such_tables(make_run) -> None:
    page = make_page(load_report([make_run("a"), make_run("b", config={"loss": {}})]))
    assert not {"one-label", "one-label-differences"} & {t.name for t in page.tables}
    assert "op-1 error" not in page.html


def test_files_and_printed_tables(runs, tmp_path, capsys) -> None:
    paths = list(map(str, runs))
    tables = tmp_path / "tables"
    output = tmp_path / "report.html"
    assert main(["report", *paths, "--output", str(output), "--tables", str(tables)]) == 0
    lines = list(csv.DictReader(io.StringIO((tables / "one-label.csv").read_text())))
    assert 0 < float(lines[1]["top-1 error"]) < float(lines[0]["top-1 error"]) < 1
    assert lines[0]["recall, tail interval low"]
    assert "top-1 error" in (tables / "one-label.tex").read_text()
    differences = (tables / "one-label-differences.csv").read_text()
    assert differences.splitlines()[0].startswith("method,of,difference,difference low")
    assert "Differences from weak in top-1 error" in output.read_text()
    capsys.readouterr()
    files = [f"{path}/predictions.npz" for path in (paths[0], paths[3])]
    assert main(["compare", *files, "--output", str(tmp_path / "compared")]) == 0
    printed = capsys.readouterr().out
    assert "Top-1 error, recall and precision of each method, in percent" in printed
    assert "in top-1 error, recall and precision\n" in printed
