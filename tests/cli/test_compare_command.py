"""`mlt compare` as users type it: from configurations to a report, and again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mlt.cli import main
from mlt.config.yaml_text import dump_yaml
from mlt.data import Split
from mlt.data.sources.base import DataSource
from mlt.data.splits.partition import Partition
from mlt.metrics import summarize
from mlt.predictions import Predictions


@pytest.fixture
def config(tiny_values: dict[str, Any], tmp_path: Path) -> str:
    file = tmp_path / "tiny.yaml"
    file.write_text(dump_yaml(tiny_values))
    return str(file)


def test_losses_are_compared_over_seeds(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "all"
    command = ["compare", config, "--losses", "bce", "cb_focal", "--seeds", "2"]
    command += ["--output", str(output), "--set", "training.epochs=1"]
    assert main([*command, "--dry-run"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split() for line in listed] == [
        [name, "to", "train"]
        for name in ("bce-seed0", "cb_focal-seed0", "bce-seed1", "cb_focal-seed1")
    ]
    assert not output.exists()

    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "bce (baseline)" in printed
    assert "cb_focal" in printed
    page = (output / "report.html").read_text()
    assert all(name in page for name in ("bce-seed1", "cb_focal-seed1"))

    assert main([*command, "--dry-run"]) == 0
    assert capsys.readouterr().out.count("finished") == 4
    assert main([*command, "training.epochs=2"]) == 2
    assert "another configuration (training.epochs differ)" in capsys.readouterr().err


def test_configurations_are_named_by_their_files(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(Path(config).read_text())
    command = ["compare", config, str(other), "--seeds", "1", "--output", str(tmp_path / "all")]
    assert main([*command, "--dry-run"]) == 0
    assert capsys.readouterr().out.split()[::3] == ["tiny-seed0", "other-seed0"]
    assert main([*command, "--losses", "bce", "--dry-run"]) == 0
    assert capsys.readouterr().out.split()[::3] == ["tiny-bce-seed0", "other-bce-seed0"]


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--seeds", "0"], "--seeds must be at least 1"),
        (["--losses", "bce", "bce"], "two runs would be called 'bce'"),
        (["--losses", "bec"], "no loss 'bec'"),
        (["--set", "training.epoch=1"], "training.epoch"),
    ],
)
def test_mistakes(
    config: str, tmp_path: Path, extra: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", config, "--output", str(tmp_path / "all"), *extra]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "all").exists()


def test_folds_are_trained_and_pooled(
    config: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    output = tmp_path / "all"
    command = ["compare", config, "--losses", "bce", "cb_focal", "--output", str(output)]
    command += ["--set", "training.epochs=1", "--folds", "3"]
    assert main([*command, "--dry-run"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert names == [f"{name}-fold{k}" for k in range(3) for name in ("bce", "cb_focal")]
    assert not output.exists()

    assert main(command) == 0
    printed = capsys.readouterr().out
    lines = [line.split() for line in printed.splitlines()]
    assert lines[1][:2] == ["bce", "3"] and lines[2][:2] == ["cb_focal", "3"]
    assert "folds are not independent" in printed
    assert "cb_focal - bce: " in printed
    folds = Partition.load(output / "folds.json")
    tested = []
    for k in range(3):
        run = Predictions.load(output / f"bce-fold{k}" / "predictions.npz")
        assert set(run.image_ids.tolist()) == set(folds.parts[f"fold_{k}"].image_ids)
        trained = Split.load(output / f"bce-fold{k}" / "split.json").image_ids
        assert not set(trained) & set(run.image_ids.tolist())
        tested.append(summarize(run).total)
    assert float(lines[1][2]) == pytest.approx(100 * sum(tested) / 3, abs=0.006)
    together = Predictions.load(output / "bce-all-folds.npz")
    assert sorted(together.image_ids.tolist()) == list(range(1, 49))
    assert float(lines[1][6]) == pytest.approx(100 * summarize(together).total, abs=0.006)

    assert lines[3][:4] == ["method", "folds", "mean", "AUROC"] and lines[4][:2] == ["bce", "3"]
    area = summarize(together).details.auroc.means["total"]  # type: ignore[union-attr]
    assert float(lines[4][6]) == pytest.approx(100 * area.centre, abs=0.006)
    assert "cb_focal-all-folds" in (output / "report.html").read_text()
    assert f"mlt evaluate --predictions {output / 'bce-all-folds.npz'} --auroc" in printed

    page = ["--output", str(tmp_path / "page.html")]
    assert main(["report", str(output / "bce-all-folds.npz"), *page]) == 0
    assert main(["report", *(str(output / f"bce-fold{k}") for k in range(2)), *page[:1], "x"]) == 2
    assert "give the file NAME-all-folds.npz of each method" in capsys.readouterr().err

    read, whole = [], DataSource.test
    monkeypatch.setattr(DataSource, "test", lambda self: read.append(1) or whole(self))
    assert main([*command[:-1], str(output / "folds.json"), "--dry-run"]) == 0
    assert capsys.readouterr().out.count("finished") == 6
    assert len(read) == 1


@pytest.mark.parametrize(
    ("folds", "extra", "message"),
    [
        ("1", [], "--folds must be at least 2"),
        ("3", ["--seeds", "2"], "no --seeds"),
        ("nowhere.json", [], "there is no split nowhere.json"),
    ],
)
def test_mistakes_with_folds(
    config: str,
    tmp_path: Path,
    folds: str,
    extra: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = ["compare", config, "--output", str(tmp_path / "all"), "--folds", folds]
    assert main([*command, *extra]) == 2
    assert message in capsys.readouterr().err


def test_published_data_has_no_folds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["compare", "digits_mlt_bce", "--folds", "3", "--output", str(tmp_path / "all")]
    assert main(command) == 2
    assert "folds are for data of your own" in capsys.readouterr().err
