"""Norms and noise of gradients in the log, and losses that are read several at a time."""

from __future__ import annotations

import math
import traceback
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.utils._python_dispatch import TorchDispatchMode

import mlt
from mlt.config import parse_config
from mlt.engine.loop import train_epoch
from mlt.engine.pending import Pending
from mlt.engine.position import Position
from mlt.engine.setup import Setup, prepare
from mlt.errors import TrainingError
from mlt.run_folder import RunFolder
from mlt.runtime.interrupt import GracefulStop


def norm_of(setup: Setup, images: Tensor, targets: Tensor) -> float:
    """The norm of the gradient of the mean cross entropy, in plain torch."""
    model = setup.training.model.train()
    loss = binary_cross_entropy_with_logits(model(images), targets)
    parameters = [p for p in model.parameters() if p.requires_grad]
    gradients = torch.autograd.grad(loss, parameters)
    return math.sqrt(sum(g.double().square().sum().item() for g in gradients))


@pytest.mark.parametrize("clip", [None, 1e-3])
def test_the_norm_is_that_before_clipping(plain_values: dict[str, Any], clip: float | None) -> None:
    plain_values["training"] |= {"clip_grad_norm": clip}
    config = parse_config(plain_values)
    mlt.train(config)
    setup = prepare(config, None)
    setup.train_loader.set_epoch(0)
    (batch,) = setup.train_loader
    expected = norm_of(setup, batch.images, batch.targets)
    (line,) = RunFolder(config.output).read_history()
    assert line["grad_norm"] == pytest.approx({"mean": expected, "max": expected}, rel=1e-4)
    assert "grad_noise_scale" not in line
    assert expected > 1e-2


def test_mean_and_maximum_over_the_updates_of_an_epoch() -> None:
    position = Position()
    for norm in (1.0, math.inf, 4.0, 1.0, math.nan):  # an overflow under fp16 is left out
        position.add_gradient(norm)
    assert position.gradient == {"grad_norm": {"mean": 2.0, "max": 4.0}}
    position.next_epoch()
    assert position.gradient == {}
    assert position.last_gradient == {"grad_norm": {"mean": 2.0, "max": 4.0}}


def test_the_noise_scale_of_known_noise() -> None:
    """Gradients of images are (3, 4) plus noise of variance 50 in each: 100 / 25 images."""
    generator = torch.Generator().manual_seed(0)
    position = Position()
    for _ in range(20_000):
        images = torch.tensor([3.0, 4.0]) + 50**0.5 * torch.randn(8, 2, generator=generator)
        position.add_noise(images.mean(0).norm().item(), 8, images[:2].mean(0).norm().item(), 2)
    assert position.gradient["grad_noise_scale"] == pytest.approx(4.0, rel=0.1)


def test_the_noise_of_an_update_is_that_of_its_first_batch(
    plain_values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """48 images in three batches, with batch norm at rest so that gradients add up."""
    plain_values["training"] |= {"batch_size": 16, "accumulate": 3}
    plain_values["model"] |= {"freeze_statistics": True}
    setup = prepare(parse_config(plain_values), None)
    setup.train_loader.set_epoch(0)
    batches = list(setup.train_loader)
    images, targets = (torch.cat([getattr(b, n) for b in batches]) for n in ("images", "targets"))
    whole = norm_of(setup, images, targets)
    part = norm_of(setup, batches[0].images, batches[0].targets)
    noted: list[tuple[Any, ...]] = []
    monkeypatch.setattr(Position, "add_noise", lambda self, *values: noted.append(values))
    mlt.train(parse_config(plain_values))
    assert noted == [pytest.approx((whole, 48, part, 16), rel=1e-3)]
    assert part > 1.01 * whole


def test_a_sum_over_images_has_no_noise_scale(plain_values: dict[str, Any]) -> None:
    plain_values["training"] |= {"batch_size": 16, "accumulate": 3}
    plain_values["loss"] = {"reduction": "sum"}
    setup = prepare(parse_config(plain_values), None)
    train_epoch(
        setup.training, setup.train_loader, setup.config.training, setup.device, GracefulStop()
    )
    assert list(setup.training.position.last_gradient) == ["grad_norm"]


class Diverges(nn.Module):
    """Cross entropy that is not a number in the batch with this number, from 1."""

    def __init__(self, batch: int) -> None:
        super().__init__()
        self.batch, self.seen = batch, 0

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        value = binary_cross_entropy_with_logits(logits, targets)
        if self.training and len(logits) == 4:  # not when it is tried at the start
            self.seen += 1
        return value * (math.nan if self.seen == self.batch else 1.0)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read losses and norms as on an accelerator: 16 together."""
    accelerator = torch.device("cuda")
    original = Pending.are_due
    monkeypatch.setattr(Pending, "are_due", lambda self, device: original(self, accelerator))


@pytest.fixture
def short_batches(plain_values: dict[str, Any]) -> dict[str, Any]:
    """Twelve batches in each of two epochs."""
    plain_values["training"] |= {"batch_size": 4, "epochs": 2}
    return plain_values


def test_what_is_read_late_is_the_same(
    short_batches: dict[str, Any], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    late = short_batches | {"output": str(tmp_path / "late")}
    mlt.train(parse_config(short_batches))
    request.getfixturevalue("waits")
    mlt.train(parse_config(late))
    one, two = RunFolder(short_batches["output"]), RunFolder(late["output"])
    assert one.read_history() == two.read_history()
    a, b = load_file(one.last), load_file(two.last)
    assert all(torch.equal(a[key], b[key]) for key in a)


@pytest.mark.usefixtures("waits")
@pytest.mark.parametrize("save_every", [{"minutes": 60}, {"updates": 2}])
def test_a_loss_that_is_found_late_is_named_and_nothing_is_saved_after_it(
    short_batches: dict[str, Any], save_every: dict[str, Any]
) -> None:
    short_batches["training"] |= {"save_every": save_every}
    config, folder = parse_config(short_batches), RunFolder(short_batches["output"])
    with pytest.raises(TrainingError, match=r"is nan in epoch 2, batch 3 \(rows \["):
        mlt.train(config, loss=Diverges(batch=15))
    assert all(torch.isfinite(value).all() for value in load_file(folder.last).values())
    done = torch.load(folder.state, weights_only=True)
    assert done["position"]["updates"] == (14 if "updates" in save_every else 12)
    assert all(torch.isfinite(value).all() for value in done["model"].values())


class NumbersRead(TorchDispatchMode):
    """Finds where the loop asks for the number of a tensor, which waits for an accelerator.

    What the loader asks for is on the CPU, and the losses ask on a CPU alone.
    """

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default:
            own = [f for f in traceback.extract_stack() if "/mlt/" in f.filename]
            if own and "/mlt/engine/" in own[-1].filename:
                self.found.append(f"{own[-1].filename}:{own[-1].lineno}")
        return func(*args, **(kwargs or {}))


def numbers_read(values: dict[str, Any]) -> list[str]:
    setup = prepare(parse_config(values), None)
    with NumbersRead() as read:
        train_epoch(
            setup.training, setup.train_loader, setup.config.training, setup.device, GracefulStop()
        )
    assert setup.training.position.updates == 6
    return read.found


def test_no_batch_waits_for_a_number(
    short_batches: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    short_batches["training"] |= {"clip_grad_norm": 1.0, "ema_decay": 0.9, "accumulate": 2}
    request.getfixturevalue("waits")
    assert numbers_read(short_batches) == []
