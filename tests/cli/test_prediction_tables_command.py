"""`mlt evaluate`, `mlt report` and `mlt compare` on predictions of other tools."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import average_precision_score, roc_auc_score

from mlt.cli import main
from mlt.config.yaml_text import dump_yaml
from mlt.predictions import Predictions

NAMES = ["cat", "dog", "yeti"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`truth.csv`, `train.csv` and the probabilities of two models, `a.csv` and `b.csv`."""
    rng = np.random.default_rng(0)
    targets = {part: rng.random((200, 3)) < [0.6, 0.3, 0.05] for part in ("truth", "train")}
    for part, of_part in targets.items():
        rows = [f"{i}.jpg,{','.join(map(str, row))}" for i, row in enumerate(of_part.astype(int))]
        (tmp_path / f"{part}.csv").write_text("\n".join(["id,cat,dog,yeti", *rows]) + "\n")
    for model, skill in (("a", 0.5), ("b", 2.5)):
        logits = rng.normal(size=(200, 3)) + skill * targets["truth"]
        shares = (1 / (1 + np.exp(-logits)))[:, [2, 0, 1]]
        rows = [f"{i}.jpg,{','.join(map(repr, shares[i].tolist()))}" for i in rng.permutation(200)]
        (tmp_path / f"{model}.csv").write_text("\n".join(["image,yeti,cat,dog", *rows]) + "\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(file: Path) -> tuple[list[str], np.ndarray]:
    head, *lines = [line.split(",") for line in file.read_text().splitlines()]
    lines.sort()
    return head[1:], np.array([line[1:] for line in lines], float)


def test_evaluate_says_what_scikit_learn_says(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["evaluate", "--predictions", "a.csv", "--probabilities", "--targets", "truth.csv"]
    more = ["--train-targets", "train.csv", "--auroc", "--classes", "--beta", "2"]
    assert main([*command, *more, "--output", "out"]) == 0
    printed = capsys.readouterr().out
    values = json.loads((folder / "out" / "metrics.json").read_text())
    _, targets = read(folder / "truth.csv")
    order, shares = read(folder / "a.csv")
    shares = shares[:, [order.index(name) for name in NAMES]]
    for of_class, y, p in zip(values["per_class"], targets.T, shares.T, strict=True):
        assert of_class["AP"] == pytest.approx(average_precision_score(y, p), abs=1e-9)
        assert of_class["AUROC"] == pytest.approx(roc_auc_score(y, p), abs=1e-9)
        assert f"{100 * of_class['AUROC']:.2f}" in printed
    assert values["AUROC"]["total"] == pytest.approx(roc_auc_score(targets, shares), abs=1e-9)
    assert values["F_beta"]["beta"] == 2
    assert "F2 at logit 0" in printed
    assert f"{100 * values['mAP_corrected']['total']:.2f}" in printed
    assert [c["n_train"] for c in values["per_class"]] == read(folder / "train.csv")[1].sum(
        axis=0
    ).tolist()
    saved = Predictions.load(folder / "out" / "predictions.npz")
    assert saved.class_names == tuple(NAMES)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--targets", "truth.csv"], "say what the scores of a.csv are, --logits or --probab"),
        (["--logits"], "say what a.csv is to be evaluated against: --targets FILE, a table of the "
         "true labels, or CONFIG"),
        (["--logits", "--targets", "truth.csv", "--set", "seed=1"], "--set changes a config"),
        (["--logits", "--targets", "nowhere.csv"], "there is no CSV file nowhere.csv"),
        (["--logits", "--targets", "x.npz", "--train-targets", "train.csv"], "--train-targets go"),
        (["--probabilities", "--targets", "train.csv", "--id-column", "key"], "no column 'key'"),
    ],
)  # fmt: skip
def test_what_is_not_said_is_asked_for(
    folder: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert main(["evaluate", "--predictions", "a.csv", *options]) == 2
    assert message in capsys.readouterr().err


def test_options_for_tables_are_refused_without_one(
    tiny_run: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = str(tiny_run / "predictions.npz")
    assert main(["evaluate", "--predictions", saved, "--logits", "--subset"]) == 2
    assert "--logits, --subset: for tables of scores" in capsys.readouterr().err
    assert main(["report", str(tiny_run), "--targets", "truth.csv"]) == 2
    assert "--targets: for tables of scores" in capsys.readouterr().err
    assert main(["evaluate", "--predictions", "missing.csv"]) == 2
    assert "there is no file missing.csv" in capsys.readouterr().err


def test_a_configuration_has_the_truth_too(
    tiny_values: dict[str, Any], tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run's own predictions, written as a table, evaluate to the same."""
    saved = Predictions.load(tiny_run / "predictions.npz")
    lines = [",".join(["id", *saved.class_names])]
    lines += [
        f"{image},{','.join(map(repr, row))}"
        for image, row in zip(saved.image_ids.tolist(), saved.logits.astype(float).tolist())
    ]
    table, config = tmp_path / "scores.csv", tmp_path / "tiny.yaml"
    table.write_text("\n".join(lines) + "\n")
    config.write_text(dump_yaml(tiny_values))
    table = table.rename(tmp_path / "validation.csv")  # a name that says nothing
    assert main(["evaluate", str(config), "--predictions", str(table), "--logits"]) == 0
    printed = capsys.readouterr().out
    evaluation = tiny_values["evaluation"]
    limits = ["--head", str(evaluation["head"]), "--tail", str(evaluation["tail"])]
    own = str(tiny_run / "predictions.npz")
    assert main(["evaluate", "--predictions", own, *limits]) == 0
    assert capsys.readouterr().out == printed
    command = ["evaluate", "--predictions", str(table), "--logits", "--targets", own, *limits]
    assert main(command) == 0
    assert capsys.readouterr().out == printed


def test_logits_of_a_softmax(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a common offset per image they order images otherwise than probabilities do."""
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, 200)
    logits = rng.normal(size=(200, 3)) + 2 * np.eye(3)[labels] + 9 * rng.normal(size=(200, 1))
    for name, rows in (("one", np.eye(3, dtype=int)[labels]), ("c", logits)):
        lines = [f"{i},{','.join(map(repr, row.tolist()))}" for i, row in enumerate(rows)]
        (folder / f"{name}.csv").write_text("\n".join(["id,cat,dog,yeti", *lines]) + "\n")
    command = ["evaluate", "--predictions", "c.csv", "--targets", "one.csv", "--output", "out"]
    assert main([*command, "--logits", "--softmax"]) == 0
    values = json.loads((folder / "out" / "metrics.json").read_text())
    expected = average_precision_score(np.eye(3)[labels], softmax(logits, axis=1))
    assert values["mAP"]["total"] == pytest.approx(expected)
    assert main([*command, "--overwrite", "--probabilities", "--softmax"]) == 2
    assert "--softmax goes with --logits" in capsys.readouterr().err


def test_tables_are_compared_and_reported(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = ["--probabilities", "--targets", "truth.csv", "--train-targets", "train.csv"]
    assert main(["compare", "a.csv", "b.csv", *said, "--output", "cmp"]) == 0
    printed = capsys.readouterr().out
    assert "a (baseline)" in printed
    assert "Differences from a, in points of AUROC" in printed
    assert printed.count("▲ better") >= 2
    assert "<h1>a and b</h1>" in (folder / "cmp" / "report.html").read_text()
    assert main(["report", "b.csv", *said, "--output", "b.html"]) == 0
    page = (folder / "b.html").read_text()
    assert "<h1>b</h1>" in page
    assert "AUROC" in page
    assert main(["report", "a.csv", *said[:3], "--output", "c.html"]) == 2
    assert "give their labels, --train-targets FILE" in capsys.readouterr().err
    assert main(["compare", "a.csv", *said, "--output", "cmp"]) == 2
    assert "at least two" in capsys.readouterr().err
    assert main(["compare", "a.csv", "b.csv", *said, "--output", "x", "--losses", "bce"]) == 2
    assert "are for configurations, not predictions" in capsys.readouterr().err


def test_tables_are_compared_without_training_labels(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = ["--probabilities", "--targets", "truth.csv"]
    assert main(["compare", "a.csv", "b.csv", *said, "--output", "cmp"]) == 0
    printed = capsys.readouterr().out
    assert "--train-targets FILE adds head, medium and tail" in printed
    rows = [line.split() for line in printed.splitlines()]
    _, targets = read(folder / "truth.csv")
    for model in ("a", "b"):
        order, shares = read(folder / f"{model}.csv")
        shares = shares[:, [order.index(name) for name in NAMES]]
        (row,) = [row for row in rows if row[:1] == [model] and row[1] not in ("mAP", "AUROC")]
        assert row[1] == f"{100 * average_precision_score(targets, shares):.2f}"
        assert row[6] == f"{100 * roc_auc_score(targets, shares):.2f}"
    assert [row[1] for row in rows if row[:1] == ["b"]][1:] == ["mAP", "AUROC"]
    assert "b,mAP," in (folder / "cmp" / "differences.csv").read_text()


def test_a_table_stands_beside_saved_predictions(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = ["--probabilities", "--targets", "truth.csv", "--train-targets", "train.csv"]
    assert main(["evaluate", "--predictions", "a.csv", *said, "--output", "ours"]) == 0
    Path("ours/predictions.npz").rename("saved.npz")
    against = ["--probabilities", "--targets", "saved.npz"]
    assert main(["compare", "saved.npz", "b.csv", *against, "--output", "cmp"]) == 0
    assert "saved (baseline)" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["table", "saved"])
def test_evaluating_predictions_does_not_import_torch(folder: Path, kind: str) -> None:
    command = ["evaluate", "--predictions", "a.csv", "--probabilities", "--targets", "truth.csv",
               "--output", "out"]  # fmt: skip
    if kind == "saved":
        assert main(command) == 0
        command = ["evaluate", "--predictions", "out/predictions.npz"]
    command += ["--auroc", "--classes", "--rates"]
    program = (
        "import sys; from mlt.cli import main; code = main(sys.argv[1:]); "
        "print(*sys.modules, file=sys.stderr); raise SystemExit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *command], capture_output=True, text=True, env=os.environ
    )
    assert done.returncode == 0, done.stderr
    heavy = {"torch", "torchvision", "timm", "sklearn", "matplotlib", "scipy.stats"}
    assert not heavy & set(done.stderr.split())
    assert "AUROC" in done.stdout


def test_the_patients_of_a_table_are_what_intervals_are_over(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = (folder / "truth.csv").read_text().splitlines()
    rows = [f"{line},p{i // 4}" for i, line in enumerate(lines[1:])]
    (folder / "patients.csv").write_text("\n".join([f"{lines[0]},patient", *rows]) + "\n")
    said = ["--probabilities", "--targets", "patients.csv", "--targets-set", "group=patient"]
    assert main(["evaluate", "--predictions", "a.csv", *said, "--output", "out"]) == 0
    assert "over 200 test images of 50 groups (patients or the like)" in capsys.readouterr().out
    assert json.loads((folder / "out" / "metrics.json").read_text())["num_groups"] == 50
    assert main(["compare", "a.csv", "b.csv", *said, "--output", "cmp"]) == 0
    assert "over 200 images of 50 groups (patients or the like)" in capsys.readouterr().out
