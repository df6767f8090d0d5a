"""What a run is built of, against what its configuration says."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from mlt.config import parse_config
from mlt.engine.setup import prepare


@pytest.mark.parametrize(
    "loss",
    [
        {"preset": "bce"},
        {"preset": "cb_focal", "options": {"beta": 0.9}},
        {"preset": "logit_adjusted"},
        {"preset": "logit_adjusted", "options": {"tau": 0.5}},
        {"preset": "ldam"},
        {"preset": "ldam", "options": {"s": 4.0}},
    ],
)
def test_training_starts_where_the_loss_sees_each_class_at_its_prior(
    tiny_values: dict[str, Any], loss: dict[str, Any]
) -> None:
    """Whatever the loss adds to a logit or multiplies it by; the bias makes up for it."""
    setup = prepare(parse_config({**tiny_values, "loss": loss}), None)
    bias = setup.training.model.head[-1].bias.detach()
    odds = torch.tensor([math.log(p / (1 - p)) for p in setup.class_counts.prior])
    tau = loss.get("options", {}).get("tau", 1.0)
    scale = loss.get("options", {}).get("s", 30.0)
    expected = {"logit_adjusted": odds - tau * odds, "ldam": odds / scale}
    torch.testing.assert_close(bias, expected.get(loss["preset"], odds), atol=1e-5, rtol=1e-5)


def test_a_shift_that_comes_later_is_not_made_up_for(tiny_values: dict[str, Any]) -> None:
    loss = {"preset": "logit_adjusted", "options": {"start_epoch": 2}}
    setup = prepare(parse_config({**tiny_values, "loss": loss}), None)
    odds = torch.tensor([math.log(p / (1 - p)) for p in setup.class_counts.prior])
    torch.testing.assert_close(setup.training.model.head[-1].bias.detach(), odds)


@pytest.mark.parametrize(
    ("warmup", "warned"),
    [
        ({}, False),
        ({"warmup_updates": 3}, False),
        ({"warmup_updates": 4}, True),
        ({"warmup_epochs": 0.7}, False),
        ({"warmup_epochs": 1}, True),
    ],
)
def test_a_warmup_that_outlasts_the_run_is_warned_about(
    tiny_values: dict[str, Any], warmup: dict[str, float], warned: bool
) -> None:
    tiny_values["schedule"] = {"name": "cosine"} | warmup
    tiny_values["training"] |= {"epochs": 1, "batch_size": 12}
    setup = prepare(parse_config(tiny_values), None)
    assert setup.updates_per_epoch == 4
    assert any("never reaches its learning rate" in note for note in setup.notes) == warned


@pytest.mark.parametrize(
    ("loss", "warned"),
    [
        ({"preset": "cb_focal"}, True),
        ({"weighting": {"name": "effective_number"}}, True),
        ({"preset": "cb_focal", "options": {"beta": 0.9}}, False),
        ({"preset": "inverse"}, False),
    ],
)
def test_weights_of_beta_auto_that_differ_by_much_are_warned_about(
    tiny_values: dict[str, Any], loss: dict[str, Any], warned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = prepare(parse_config({**tiny_values, "loss": loss}), None)
    assert not any("beta auto" in note for note in setup.notes)
    monkeypatch.setattr("mlt.engine.stage_notes.HARSH_SPAN", 1.1)
    notes = [note for note in setup.notes if "beta auto" in note]
    assert bool(notes) == warned
    if warned:
        counts = setup.class_counts
        rarest, commonest = (
            counts.names[int(k)] for k in (counts.counts.argmin(), counts.counts.argmax())
        )
        assert f"class {rarest!r} weighs " in notes[0]
        assert f"as class {commonest!r}" in notes[0]
