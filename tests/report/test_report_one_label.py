"""Comparisons of data with exactly one label per image: top-1 error, recall and precision."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, precision_score, recall_score

from mlt.cli import main
from mlt.metrics import compare_seeds, holm
from mlt.predictions import Predictions
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


def test_a_single_method_has_the_means_over_its_seeds(runs) -> None:
    page = make_page(load_report(runs[3:]))
    truth = ONE_LABEL.argmax(axis=1)
    errors = [
        100 * (1 - accuracy_score(truth, p.logits.argmax(axis=1)))
        for p in load_report(runs[3:]).baseline.predictions
    ]
    assert np.std(errors) > 0
    shown = f"<dt>top-1 error</dt><dd>{np.mean(errors):.2f} ± {np.std(errors, ddof=1):.2f} %"
    assert shown in page.html


def test_predictions_without_training_counts_are_compared(runs, tmp_path, capsys) -> None:
    files = []
    for run in (runs[0], runs[3]):
        predictions = replace(Predictions.load(run / "predictions.npz"), class_counts=None)
        files.append(tmp_path / f"{run.name}.npz")
        predictions.save(files[-1])
    output = tmp_path / "compared"
    assert main(["compare", *map(str, files), "--output", str(output)]) == 0
    assert "top-1 error" in capsys.readouterr().out
    lines = list(csv.DictReader(io.StringIO((output / "comparison.csv").read_text())))
    loaded = [Predictions.load(file) for file in files]
    truth = ONE_LABEL.argmax(axis=1)
    for line, predictions in zip(lines, loaded, strict=True):
        chosen = predictions.logits.argmax(axis=1)
        assert float(line["top-1 error"]) == pytest.approx(1 - accuracy_score(truth, chosen))
        macro = recall_score(truth, chosen, average="macro")
        assert float(line["macro recall"]) == pytest.approx(macro)
    tests = list(csv.DictReader(io.StringIO((output / "differences.csv").read_text())))
    found = {line["of"]: float(line["difference"]) for line in tests}
    assert set(found) == {"mAP", "AUROC", "top-1 error", "macro recall", "macro precision"}
    assert found["top-1 error"] == pytest.approx(
        float(lines[1]["top-1 error"]) - float(lines[0]["top-1 error"])
    )
