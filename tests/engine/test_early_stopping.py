"""Training that ends when a metric of the validation images no longer improves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn.functional import binary_cross_entropy_with_logits

import mlt
from mlt.config import parse_config
from mlt.config.training import EarlyStoppingConfig
from mlt.engine import watched_metrics
from mlt.engine.compare import Plan
from mlt.engine.early_stopping import Stop, stop_of
from mlt.engine.evaluate import evaluate_checkpoint
from mlt.errors import ConfigError
from mlt.metrics import summarize
from mlt.models.checkpoint import load_checkpoint
from mlt.predictions import Predictions
from mlt.run_folder import RunFolder


def lines(key: str, values: list[float | None]) -> list[dict[str, Any]]:
    """One line of metrics.jsonl per epoch of ten updates."""
    name, _, part = key.partition(".")
    return [
        {"epoch": e, "updates": 10 * e, name: {part: value} if part else value}
        for e, value in enumerate(values, start=1)
    ]


@pytest.mark.parametrize(
    ("metric", "values", "settings", "expected"),
    [
        # two evaluations without an improvement, the last one of which is not enough
        ("mAP.total", [0.1, 0.4, 0.3, 0.4], {"patience": 2}, Stop(4, 40, "mAP.total", 0.4, 20, 2)),
        ("mAP.total", [0.1, 0.4, 0.3, 0.5], {"patience": 2}, None),
        # 0.45 is higher, but not by more than 0.1; 0.55 is
        ("mAP.tail", [0.4, 0.45], {"min_delta": 0.1}, Stop(2, 20, "mAP.tail", 0.4, 10, 1)),
        ("mAP.tail", [0.4, 0.45, 0.55], {"patience": 2, "min_delta": 0.1}, None),
        # epochs that were not evaluated do not count
        ("AUROC.total", [0.5, None, None, 0.4], {"patience": 2}, None),
        ("AUROC.total", [0.5, None, None, 0.4], {}, Stop(4, 40, "AUROC.total", 0.5, 10, 1)),
        ("mAP.total", [], {}, None),
    ],
)  # fmt: skip
def test_when_to_stop(
    metric: Any, values: list[float | None], settings: dict[str, Any], expected: Stop | None
) -> None:
    config = EarlyStoppingConfig(metric=metric, **{"patience": 1, **settings})
    assert stop_of(config, lines(metric, values)) == expected


def test_a_loss_improves_when_it_falls() -> None:
    config = EarlyStoppingConfig(metric="loss", patience=1)
    assert stop_of(config, lines("validation_loss", [0.5, 0.4, 0.3])) is None
    stop = stop_of(config, lines("validation_loss", [0.5, 0.25, 0.3]))
    assert stop == Stop(3, 30, "loss", 0.25, 20, 1)
    assert str(stop) == "loss has not improved on 0.25 of update 20 in 1 evaluation"


@pytest.fixture
def values(tiny_values: dict[str, Any]) -> dict[str, Any]:
    """Validation images; four updates in each of up to eight epochs."""
    data = tiny_values["data"]
    return tiny_values | {
        "data": data | {"validation": data["test"], "test": data["train"]},
        "training": tiny_values["training"]
        | {"epochs": 8, "batch_size": 12, "early_stopping": {"patience": 2}},
    }


def replay(monkeypatch: pytest.MonkeyPatch, totals: list[float]) -> None:
    """Let evaluations find these mAPs, one after the other."""
    original, found = watched_metrics.measure, iter(totals)

    def measured(*arguments: Any) -> dict[str, Any]:
        line = original(*arguments)
        line["mAP"]["total"] = next(found)
        return line

    monkeypatch.setattr("mlt.engine.watch.measure", measured)


def test_a_run_stops_and_its_results_are_the_best(
    values: dict[str, Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    replay(monkeypatch, [0.2, 0.3, 0.25, 0.28])
    caplog.set_level("INFO", logger="mlt")
    config = parse_config(values)
    summary = mlt.train(config)
    folder = RunFolder(config.output)
    assert [record["epoch"] for record in folder.read_history()] == [1, 2, 3, 4]
    ended = json.loads(folder.metrics.read_text())["early_stopping"]
    assert ended == {
        "stopped": True,
        "epoch": 4,
        "updates": 16,
        "reason": "mAP.total has not improved on 0.3 of update 8 in 2 evaluations",
        "results_of": "best.safetensors",
    }
    assert ended["reason"] in caplog.text

    best = evaluate_checkpoint(config, folder.best)
    last = evaluate_checkpoint(config, folder.last)
    assert load_checkpoint(folder.best)[1].epoch == 2
    assert load_checkpoint(folder.last)[1].epoch == 4
    found = Predictions.load(folder.predictions)
    np.testing.assert_allclose(found.logits, best.logits, atol=1e-5)
    assert np.abs(found.logits - last.logits).max() > 1e-3
    assert summary.total == summarize(found).total
    validated = evaluate_checkpoint(config, folder.best, "validation").logits
    np.testing.assert_allclose(Predictions.load(folder.validation).logits, validated, atol=1e-5)


def test_a_stopped_run_goes_on_when_patience_is_raised_and_not_before(
    values: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    totals = [0.2, 0.3, 0.25, 0.28, 0.26, 0.1, 0.1, 0.1]
    patient = values | {"training": values["training"] | {"early_stopping": {"patience": 4}}}
    replay(monkeypatch, totals)
    whole = parse_config(patient | {"output": str(tmp_path / "whole")})
    mlt.train(whole)

    replay(monkeypatch, totals)
    config, folder = parse_config(values), RunFolder(values["output"])
    mlt.train(config)
    assert Plan("run", config).finished
    weights, results = folder.last.read_bytes(), folder.metrics.read_bytes()
    mlt.train(config, resume=True)
    assert len(folder.read_history()) == 4
    assert (folder.last.read_bytes(), folder.metrics.read_bytes()) == (weights, results)

    raised = parse_config(patient)
    assert not Plan("run", raised).finished
    mlt.train(raised, resume=True)
    assert folder.read_history() == RunFolder(whole.output).read_history()
    assert len(folder.read_history()) == 6
    for name, tensor in load_file(folder.last).items():
        assert torch.equal(tensor, load_file(RunFolder(whole.output).last)[name]), name


def test_all_epochs_are_trained_while_it_improves(
    values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    values["training"] |= {"epochs": 3}
    replay(monkeypatch, [0.2, 0.1, 0.3])
    mlt.train(parse_config(values))
    ended = json.loads(RunFolder(values["output"]).metrics.read_text())["early_stopping"]
    assert not ended["stopped"] and ended["reason"] == "all epochs were trained"


def test_the_validation_loss(values: dict[str, Any]) -> None:
    """The mean of the training's loss over the validation images."""
    values["training"] |= {"epochs": 1, "early_stopping": {"metric": "loss"}}
    config = parse_config(values | {"loss": {}})
    mlt.train(config)
    folder = RunFolder(config.output)
    watched = Predictions.load(folder.validation)
    expected = binary_cross_entropy_with_logits(
        torch.as_tensor(watched.logits), torch.as_tensor(watched.targets).float()
    )
    (line,) = folder.read_history()
    assert line["validation_loss"] == pytest.approx(expected.item(), rel=1e-5)
    assert line["validation_loss"] != pytest.approx(line["loss"], rel=1e-2)


def test_what_cannot_be_watched_is_refused(values: dict[str, Any]) -> None:
    data = {key: value for key, value in values["data"].items() if key != "validation"}
    with pytest.raises(ConfigError, match=r"no validation images.*data\.validation: \{fraction"):
        mlt.train(parse_config(values | {"data": data}))
    values["training"] |= {"early_stopping": {"metric": "mAP.tail"}}
    nothing_in_tail = values | {"evaluation": {"head": 1, "tail": 0}}
    with pytest.raises(ConfigError, match=r"mAP\.tail is not defined.*no tail class is there"):
        mlt.train(parse_config(nothing_in_tail))
    assert not RunFolder(values["output"]).existing
    with pytest.raises(ConfigError, match=r"early_stopping.*evaluations before the last epoch"):
        parse_config(values | {"evaluation": {"every": 0}})
