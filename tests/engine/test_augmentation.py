"""Mixed labels, repeated images and warm restarts, from the configuration to the run."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import mlt
from mlt.config import parse_config
from mlt.config.training import OptimizerConfig, ScheduleConfig
from mlt.engine.optim import build_optimizer, build_scheduler
from mlt.engine.own import Own
from mlt.engine.setup import prepare
from mlt.errors import ConfigError
from mlt.losses import create_loss, list_losses
from mlt.losses.loss_config import resolve_preset

SIGMOID = list_losses("sigmoid")


@pytest.mark.parametrize("name", SIGMOID)
def test_losses_say_truly_whether_they_take_soft_targets(name: str) -> None:
    """Those that do tell 0.7 from 0.9; for the others both are a 1."""
    loss = create_loss(name, [30, 20, 3], 60, generator=torch.Generator().manual_seed(0))
    logits = torch.tensor([[0.3, -1.0, 0.5], [-0.2, 0.4, 0.1]])
    soft = [torch.tensor([[y, 0.0, 1.0], [0.0, 1.0, 0.0]]) for y in (0.7, 0.9)]
    differs = not torch.equal(*(loss.eval()(logits, targets) for targets in soft))
    assert loss.takes_soft_targets == differs == resolve_preset(name).takes_soft_targets
    assert differs == (name not in ("zlpr", "two_way"))


@pytest.mark.parametrize("name", SIGMOID)
def test_mixed_labels_are_refused_by_losses_that_would_round_them(
    tiny_values: dict[str, Any], name: str
) -> None:
    tiny_values["loss"] = {"preset": name}
    tiny_values["transforms"] |= {"mix": {"mixup": 0.2, "labels": "union"}}
    parse_config(tiny_values)
    tiny_values["transforms"]["mix"]["labels"] = "mix"
    if name in ("zlpr", "two_way"):
        with pytest.raises(ConfigError, match=r"transforms\.mix\.labels.*labels: union"):
            parse_config(tiny_values)
    else:
        parse_config(tiny_values)


class Binary(nn.Module):
    """A loss of one's own that says that it needs 0 and 1."""

    takes_soft_targets = False

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return (logits * (1 - 2 * targets.round())).mean()


@pytest.mark.parametrize("loss", [Binary(), create_loss("zlpr")], ids=["own", "zlpr"])
def test_so_are_they_with_a_loss_of_ones_own(tiny_values: dict[str, Any], loss: nn.Module) -> None:
    tiny_values["transforms"] |= {"mix": {"cutmix": 1.0}}
    own = Own.of(None, None, loss, 0)
    with pytest.raises(ConfigError, match="needs targets of 0 and 1"):
        prepare(parse_config(tiny_values), None, own)
    tiny_values["transforms"]["mix"]["labels"] = "union"
    prepare(parse_config(tiny_values), None, own)


def test_counts_are_those_of_the_split_and_evaluation_mixes_nothing(
    tiny_values: dict[str, Any],
) -> None:
    plain = prepare(parse_config(tiny_values), None)
    tiny_values["transforms"] |= {"mix": {"mixup": 1.0}, "repeats": 3}
    mixed = prepare(parse_config(tiny_values), None)
    assert mixed.class_counts.counts.tolist() == plain.class_counts.counts.tolist()
    assert mixed.updates_per_epoch == plain.updates_per_epoch
    for one, two in zip(plain.test_loader, mixed.test_loader, strict=True):
        assert torch.equal(one.images, two.images)
        assert torch.equal(one.targets, two.targets)
    batch = next(iter(mixed.train_loader))
    assert ((batch.targets > 0) & (batch.targets < 1)).any()
    assert batch.indices.unique().numel() == -(-len(batch.indices) // 3)


def test_a_run_that_goes_on_in_the_middle_of_an_epoch_ends_as_one_without_a_stop(
    tiny_values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_values["transforms"] |= {
        "mix": {"mixup": 0.4, "cutmix": 1.0, "probability": 0.8},
        "repeats": 2,
        "policy": {"name": "trivial"},
        "erase": 0.5,
    }
    tiny_values["training"] |= {"epochs": 2, "batch_size": 12, "save_every": {"updates": 1}}
    whole = parse_config(tiny_values | {"output": str(tmp_path / "whole")})
    mlt.train(whole)
    halves = parse_config(tiny_values | {"output": str(tmp_path / "halves")})
    from mlt.engine import loop

    backward, calls = loop._backward, []

    def stops(*arguments: Any) -> float:
        calls.append(1)
        if len(calls) == 7:  # the third of four batches of the second epoch
            raise KeyboardInterrupt
        return backward(*arguments)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(loop, "_backward", stops)
        mlt.train(halves)
    mlt.train(halves, resume=True)
    one, two = (load_file(tmp_path / n / "last.safetensors") for n in ("whole", "halves"))
    assert one.keys() == two.keys()
    assert all(torch.equal(one[key], two[key]) for key in one)


def rates(config: ScheduleConfig, epochs: int, updates_per_epoch: int) -> list[float]:
    """The rate before each update, and after the last."""
    optimizer = build_optimizer(OptimizerConfig(name="sgd"), nn.Linear(1, 1))
    scheduler = build_scheduler(config, optimizer, 1.0, epochs, updates_per_epoch)
    for group in optimizer.param_groups:
        group["initial_lr"] = 1.0
    scheduler.base_values = [1.0] * len(optimizer.param_groups)
    found = []
    for update in range(epochs * updates_per_epoch + 1):
        scheduler.step_update(update)
        found.append(optimizer.param_groups[0]["lr"])
    return found


def sgdr(cycles: int, mul: float, decay: float, total: int) -> list[float]:
    """Loshchilov & Hutter, eq. 5, with exact fractions for where cycles begin."""
    from fractions import Fraction

    first = Fraction(total) / sum(Fraction(mul) ** i for i in range(cycles))
    lengths = [first * Fraction(mul) ** i for i in range(cycles)]
    starts = [sum(lengths[:i], Fraction(0)) for i in range(cycles)]
    found = []
    for update in range(total):
        cycle = max(i for i in range(cycles) if starts[i] <= update)
        share = float((update - starts[cycle]) / lengths[cycle])
        found.append(decay**cycle * 0.5 * (1 + math.cos(math.pi * share)))
    return [*found, 0.0]


@pytest.mark.parametrize("epochs", [1, 3, 7, 30])
@pytest.mark.parametrize("updates_per_epoch", [1, 7, 60])
@pytest.mark.parametrize(
    ("cycles", "mul", "decay"),
    [(1, 1, 1), (2, 1, 1), (3, 1, 0.5), (3, 2, 1), (4, 1.5, 0.9), (6, 1, 1), (5, 3, 1)],
)
def test_warm_restarts(
    epochs: int, updates_per_epoch: int, cycles: int, mul: float, decay: float
) -> None:
    config = ScheduleConfig(cycles=cycles, cycle_mul=mul, cycle_decay=decay)
    found = rates(config, epochs, updates_per_epoch)
    expected = sgdr(cycles, mul, decay, epochs * updates_per_epoch)
    assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    "values",
    [{"name": "constant", "cycles": 2}, {"cycle_mul": 2}, {"cycle_decay": 0.5}, {"cycles": 0}],
)
def test_restarts_without_sense_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="cycles"):
        ScheduleConfig.model_validate(values)
