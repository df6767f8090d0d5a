"""The first layer of `cifar_fast` is made from the training images of the run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

import mlt
from mlt.config import parse_config
from mlt.engine.own import Own
from mlt.engine.setup import Setup, prepare
from mlt.models.checkpoint import load_checkpoint


@pytest.fixture
def fast_values(tiny_values: dict[str, Any]) -> dict[str, Any]:
    return tiny_values | {
        "transforms": {"name": "plain", "size": 32, "shift": 0},
        "model": {"backbone": "cifar_fast", "weights": "none"},
    }


def filters(setup: Setup) -> torch.Tensor:
    return setup.training.model.backbone.filters


def test_responses_to_the_training_images_are_uncorrelated(fast_values: dict[str, Any]) -> None:
    setup = prepare(parse_config(fast_values), None)
    images = torch.cat([batch.images for batch in setup.train_loader])
    responses = F.conv2d(images, filters(setup)[:12]).transpose(0, 1).flatten(1)
    products = responses @ responses.T / responses.shape[1]
    assert (products - products.diag().diag()).abs().max() < 0.05
    assert products.diag().max() == pytest.approx(1, abs=0.05)


def test_filters_stay_through_training_and_are_in_the_checkpoint(
    fast_values: dict[str, Any], tmp_path: Path
) -> None:
    fast_values["training"] |= {"ema_decay": 0.9}
    begun = filters(prepare(parse_config(fast_values), None)).clone()
    mlt.train(parse_config(fast_values | {"output": str(tmp_path / "run")}))
    model, _ = load_checkpoint(tmp_path / "run" / "last.safetensors")
    torch.testing.assert_close(model.backbone.filters, begun)


def test_filters_of_a_checkpoint_are_kept(fast_values: dict[str, Any], tmp_path: Path) -> None:
    run = tmp_path / "run"
    mlt.train(parse_config(fast_values | {"output": str(run)}))
    model, _ = load_checkpoint(run / "last.safetensors")
    fast_values["model"] |= {"checkpoint": str(run / "last.safetensors")}
    fast_values["transforms"] |= {"flip": 1.0, "erase": 1.0}  # other patches
    torch.testing.assert_close(
        filters(prepare(parse_config(fast_values), None)), model.backbone.filters
    )


def test_a_model_that_was_handed_over_is_left_alone(fast_values: dict[str, Any]) -> None:
    model = prepare(parse_config(fast_values), None).training.model
    given = torch.randn_like(model.backbone.filters)
    model.backbone.filters.copy_(given)
    setup = prepare(parse_config(fast_values), None, Own(model=model))
    torch.testing.assert_close(filters(setup), given)
