"""The learning-rate range test: its updates, its curve, and that nothing else changes."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

import mlt
from mlt.cli import main
from mlt.config import parse_config
from mlt.config.yaml_text import dump_yaml
from mlt.engine.lr_suggestions import RangeTest, smoothed
from mlt.engine.pending import Pending
from mlt.engine.setup import prepare
from mlt.errors import ConfigError, TrainingError


def test_the_updates_are_those_of_plain_torch(plain_values: dict[str, Any]) -> None:
    """SGD on one batch per epoch, at rates from 0.001 to 1, written out by hand."""
    config = parse_config(plain_values)
    found = mlt.find_lr(config, start=1e-3, end=1.0, updates=10)
    assert found.rates == pytest.approx([1e-3 * 1000 ** (k / 9) for k in range(10)])

    setup = prepare(config, None)
    model, expected = setup.training.model.train(), []
    for epoch, rate in enumerate(found.rates):
        setup.train_loader.set_epoch(epoch)
        (batch,) = setup.train_loader
        loss = binary_cross_entropy_with_logits(model(batch.images), batch.targets)
        expected.append(loss.item())
        parameters = [p for p in model.parameters() if p.requires_grad]
        for parameter, step in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            parameter.data -= rate * step
    assert found.losses == pytest.approx(expected, rel=1e-4)


def test_groups_keep_their_proportion_and_batches_add_up(plain_values: dict[str, Any]) -> None:
    plain_values["training"] |= {"batch_size": 8, "accumulate": 3}
    plain_values["optimizer"] |= {"backbone_lr_scale": 0.1}
    seen: list[tuple[float, ...]] = []
    step = torch.optim.SGD.step

    def noting(self: torch.optim.SGD, *arguments: Any) -> Any:
        seen.append(tuple(sorted({round(group["lr"], 12) for group in self.param_groups})))
        return step(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim.SGD, "step", noting)
        found = mlt.find_lr(parse_config(plain_values), start=1e-3, end=1e-1, updates=10)
    assert len(found.losses) == len(seen) == 10  # of 30 batches
    assert seen == [pytest.approx((rate / 10, rate)) for rate in found.rates]


@pytest.mark.parametrize(
    "section", [{"model": {"freeze": "all"}}, {"training": {"head_only_epochs": 1}}]
)
def test_the_head_alone(plain_values: dict[str, Any], section: dict[str, Any]) -> None:
    """On cached features, and with a backbone that is at rest at first."""
    values = plain_values | {k: plain_values.get(k, {}) | v for k, v in section.items()}
    found = mlt.find_lr(parse_config(values), start=1e-3, end=1.0, updates=12)
    assert len(found.losses) == 12 and found.smoothed[-1] < found.smoothed[0]


def test_what_is_handed_over_stays_as_it_is(plain_values: dict[str, Any], tmp_path: Path) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 4))
    before = copy.deepcopy(model.state_dict())
    calls = []

    def loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        calls.append(len(logits))
        return binary_cross_entropy_with_logits(logits, targets)

    found = mlt.find_lr(parse_config(plain_values), model=model, loss=loss, updates=10)
    assert len(found.losses) == 10 and calls.count(48) >= 10
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert not Path(plain_values["output"]).exists()


def test_it_ends_where_the_loss_diverges(plain_values: dict[str, Any]) -> None:
    found = mlt.find_lr(parse_config(plain_values), start=1e-3, end=1e8, updates=40)
    assert 10 <= len(found.losses) < 40
    assert all(map(math.isfinite, found.losses))
    assert found.suggestion < found.rates[-1]
    with pytest.raises(TrainingError, match="begin lower"):
        mlt.find_lr(parse_config(plain_values), start=1e20, end=1e30, updates=10)


def test_it_ends_where_the_loss_is_not_finite_also_when_that_is_read_late(
    plain_values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Pending, "are_due", lambda *_: False)
    calls = []

    def loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        calls.append(len(logits))
        factor = math.inf if calls.count(48) > 15 else 1.0
        return factor * binary_cross_entropy_with_logits(logits, targets)

    found = mlt.find_lr(parse_config(plain_values), loss=loss, updates=40)
    assert 10 <= len(found.losses) <= 15 and all(map(math.isfinite, found.losses))


def test_what_cannot_be_copied_is_refused(plain_values: dict[str, Any]) -> None:
    model = nn.Linear(2, 2)
    model.stream = (number for number in range(3))
    with pytest.raises(ConfigError, match="cannot be copied"):
        mlt.find_lr(parse_config(plain_values), model=model)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": 1.0, "end": 0.1}, "0 < from < to"),
        ({"start": 0.0}, "0 < from < to"),
        ({"end": math.inf}, "0 < from < to"),
        ({"updates": 9}, "10 or more"),
    ],
)
def test_what_makes_no_curve(
    plain_values: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        mlt.find_lr(parse_config(plain_values), **options)


def test_smoothing_is_unbiased() -> None:
    assert smoothed([2.0] * 5) == pytest.approx([2.0] * 5)


def curve(losses: list[float]) -> RangeTest:
    return RangeTest(tuple(10 ** (k / 5 - 4) for k in range(len(losses))), tuple(losses), 1e-3)


def test_notes() -> None:
    falling = [1 - k / 40 for k in range(30)]
    assert "test higher rates" in curve(falling).notes(curve(falling).rates[-1])[0]
    assert curve(falling).notes(1e9) == []  # it ended by itself, before the highest rate
    assert "hardly falls" in curve([1 + k / 40 for k in range(30)]).notes(1e9)[0]


def test_the_command(
    plain_values: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, folder = tmp_path / "run.yaml", tmp_path / "lr"
    file.write_text(dump_yaml(plain_values))
    command = ["find-lr", str(file), "--updates", "12", "--output", str(folder)]
    assert main(command) == 0
    output = capsys.readouterr().out
    written = json.loads((folder / "find_lr.json").read_text())
    best = written["suggestions"][written["recommended"]]
    assert f"--set optimizer.lr={best:.2g}" in output
    assert len(written["losses"]) == 12 and written["configured"] == 0.5
    assert (folder / "find_lr.svg").read_text().lstrip().startswith("<?xml")
    assert main(command) == 2 and "--overwrite" in capsys.readouterr().err
    assert main([*command, "--overwrite"]) == 0
