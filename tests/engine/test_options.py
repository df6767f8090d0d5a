"""Options of the training loop, each against one or a few updates written out in plain torch."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from mlt.config import parse_config
from mlt.data.loader import Batch
from mlt.engine.loop import train_epoch
from mlt.engine.setup import Setup, prepare
from mlt.runtime.interrupt import GracefulStop

BatchLoss = Callable[[Tensor, Batch], Tensor]


def build(values: dict[str, Any], **sections: dict[str, Any]) -> Setup:
    """The parts of a run, with keys of some sections changed."""
    return prepare(
        parse_config(values | {n: values.get(n, {}) | s for n, s in sections.items()}), None
    )


def train(setup: Setup) -> float:
    """Train one epoch; give its loss."""
    train_epoch(
        setup.training, setup.train_loader, setup.config.training, setup.device, GracefulStop()
    )
    assert setup.training.position.last_loss is not None
    return setup.training.position.last_loss


def batches(setup: Setup, epoch: int = 0) -> list[Batch]:
    """The training batches of an epoch."""
    setup.train_loader.set_epoch(epoch)
    return list(setup.train_loader)


def cross_entropy(logits: Tensor, batch: Batch) -> Tensor:
    """Mean sigmoid cross entropy of all labels."""
    return binary_cross_entropy_with_logits(logits, batch.targets)


def gradients(model: nn.Module, batch: Batch, loss: BatchLoss = cross_entropy) -> dict[str, Tensor]:
    """The gradient of a batch's loss by name of the parameter; the model stays as it is."""
    own = copy.deepcopy(model).train()
    loss(own(batch.images), batch).backward()
    return {name: p.grad for name, p in own.named_parameters() if p.grad is not None}


def descend(model: nn.Module, step: dict[str, Tensor]) -> None:
    """Subtract a step from the parameters."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.sub_(step[name])


def assert_same_parameters(model: nn.Module, expected: nn.Module) -> None:
    """Compare two models' parameters by name."""
    wanted = dict(expected.named_parameters())
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter, wanted[name], rtol=1e-4, atol=2e-6, msg=name)


def pixels(setup: Setup, rows: list[int], part: str) -> Tensor:
    """Images as the network sees them without augmentation, from -1 to 1."""
    table = getattr(setup.data, part)
    images = [np.asarray(Image.open(table.image_path(row)).convert("RGB")) for row in rows]
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2) / 255 * 2 - 1


def test_the_sampler_of_the_configuration_draws_the_training_images(
    plain_values: dict[str, Any],
) -> None:
    plain_values["sampler"] = {"name": "repeat_factor", "threshold": 1.0}
    setup = build(plain_values)
    labels = setup.data.train.targets(range(48)).astype(bool)
    repeats = np.sqrt(1 / labels.mean(0))
    factors = np.where(labels, repeats, 1.0).max(1)
    total = int(np.ceil(factors.sum()))
    drawn = torch.cat([batch.indices for batch in batches(setup)])
    assert len(drawn) == total > 48
    counts = np.bincount(drawn.numpy(), minlength=48)
    assert (np.abs(counts - factors * total / factors.sum()) < 1).all()


def test_training_images_are_augmented_and_test_images_are_not(
    plain_values: dict[str, Any],
) -> None:
    setup = build(plain_values, transforms={"flip": 1.0})
    (batch,) = batches(setup)
    plain = pixels(setup, batch.indices.tolist(), "train")
    torch.testing.assert_close(batch.images, plain.flip(-1))
    assert not torch.allclose(batch.images, plain, atol=0.1)
    (batch,) = list(setup.test_loader)
    torch.testing.assert_close(batch.images, pixels(setup, batch.indices.tolist(), "test"))


def test_unknown_labels_have_no_part_in_the_update(partly_known: dict[str, Any]) -> None:
    setup = build(partly_known)
    expected = copy.deepcopy(setup.training.model)
    (batch,) = batches(setup)
    rows = batch.indices
    known = torch.ones(12, 3)
    known[:, 2] = (rows % 3 != 2).float()
    targets = torch.stack([rows % 2 == 1, rows % 3 == 1, rows % 3 == 0], dim=1).float()
    values = []

    def masked(logits: Tensor, batch: Batch) -> Tensor:
        elements = binary_cross_entropy_with_logits(logits, targets, reduction="none")
        values.append((elements * known).sum() / known.sum())
        return values[0]

    step = gradients(expected, batch, masked)
    descend(expected, {name: 0.5 * g for name, g in step.items()})
    assert train(setup) == pytest.approx(values[0].item(), rel=1e-5)
    assert_same_parameters(setup.training.model, expected)


def test_a_loss_with_a_start_epoch_changes_at_its_epoch(plain_values: dict[str, Any]) -> None:
    plain_values["loss"] = {"weighting": {"name": "inverse", "start_epoch": 2}}
    setup = build(plain_values, optimizer={"lr": 1e-30}, training={"epochs": 3})
    (batch,) = batches(setup)
    counts = batch.targets.sum(0)
    class_weights = len(counts) / counts / (1 / counts).sum()
    logits = copy.deepcopy(setup.training.model).train()(batch.images)
    elements = binary_cross_entropy_with_logits(logits, batch.targets, reduction="none").detach()
    plain, weighted = elements.mean().item(), (elements * class_weights).mean().item()
    assert abs(plain - weighted) > 0.01
    losses = [train(setup) for _ in range(3)]
    assert losses == pytest.approx([plain, plain, weighted], rel=1e-4)


def test_clipping_shortens_the_gradient_to_its_limit(plain_values: dict[str, Any]) -> None:
    setup = build(plain_values, training={"clip_grad_norm": 0.05})
    expected = copy.deepcopy(setup.training.model)
    step = gradients(expected, batches(setup)[0])
    norm = torch.cat([g.flatten() for g in step.values()]).norm().item()
    assert norm > 0.1
    descend(expected, {name: 0.5 * 0.05 / norm * g for name, g in step.items()})
    train(setup)
    assert_same_parameters(setup.training.model, expected)


def test_an_update_takes_the_mean_gradient_of_the_batches_it_accumulates(
    plain_values: dict[str, Any],
) -> None:
    setup = build(plain_values, training={"batch_size": 16, "accumulate": 2})
    expected = copy.deepcopy(setup.training.model)
    first, second, last = batches(setup)
    pair = [gradients(expected, batch) for batch in (first, second)]
    descend(expected, {name: 0.5 * (g + pair[1][name]) / 2 for name, g in pair[0].items()})
    descend(expected, {name: 0.5 * g for name, g in gradients(expected, last).items()})
    train(setup)
    assert setup.training.position.updates == 2
    assert_same_parameters(setup.training.model, expected)


@pytest.mark.parametrize("backbone_lr_scale", [1.0, 0.1])
def test_layer_decay_slows_each_layer_below_the_last(
    plain_values: dict[str, Any], backbone_lr_scale: float
) -> None:
    options = {"layer_decay": 0.5, "backbone_lr_scale": backbone_lr_scale}
    setup = build(plain_values, optimizer=options)
    expected = copy.deepcopy(setup.training.model)
    step = gradients(expected, batches(setup)[0])
    depths = {"conv1": 0, "bn1": 0, "layer1": 1, "layer2": 2, "layer3": 3, "layer4": 4}
    for name in step:
        part, layer = name.split(".")[:2]
        scale = backbone_lr_scale * 0.5 ** (4 - depths[layer]) if part == "backbone" else 1.0
        step[name] *= 0.5 * scale
    descend(expected, step)
    train(setup)
    assert_same_parameters(setup.training.model, expected)
