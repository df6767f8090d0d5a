"""The cosine head against scikit-learn, and where it is allowed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics.pairwise import cosine_similarity

from mlt.config import parse_config
from mlt.errors import ConfigError
from mlt.models.heads import Cosine, build_head
from mlt.models.heads.settings import CosineHead


def test_cosines_like_scikit_learn() -> None:
    torch.manual_seed(0)
    head = Cosine(6, 4, scale=12.0).double()
    head.bias.data.normal_()
    x = torch.randn(5, 6).double()
    expected = 12 * cosine_similarity(x, head.weight.detach()) + head.bias.detach().numpy()
    np.testing.assert_allclose(head(x).detach(), expected, rtol=1e-6, atol=1e-7)


def test_lengths_do_not_matter_and_zeros_are_no_error() -> None:
    head = Cosine(6, 4)
    x = torch.randn(5, 6)
    torch.testing.assert_close(head(x), head(100 * x))
    assert head(torch.zeros(1, 6)).tolist() == [[0.0] * 4]
    head(torch.zeros(1, 6, requires_grad=True)).sum().backward()
    assert torch.isfinite(head.weight.grad).all()


@pytest.mark.parametrize("learn", [False, True])
def test_the_scale_learns_if_it_is_to(learn: bool) -> None:
    head = build_head(CosineHead(scale=16.0, learn_scale=learn, standardize=True), 6, 4)
    assert head[-1].log_scale.exp().item() == pytest.approx(16.0)
    assert head[-1].log_scale.requires_grad == learn
    head(torch.randn(5, 6)).sum().backward()
    assert (head[-1].log_scale.grad is not None) == learn


@pytest.mark.parametrize("loss", ["ldam", {"preset": "ldam", "options": {"s": 10}}])
def test_scaled_once_not_twice(tiny_values: dict[str, Any], loss: Any) -> None:
    tiny_values["loss"] = loss
    tiny_values["model"]["head"] = "cosine"
    with pytest.raises(ConfigError, match=r"model\.head\.scale: cosines times 30 here and times"):
        parse_config(tiny_values)
    tiny_values["model"]["head"] = {"name": "cosine", "scale": 1, "learn_scale": True}
    with pytest.raises(ConfigError, match=r"model\.head\.learn_scale: the loss multiplies cosines"):
        parse_config(tiny_values)
    tiny_values["model"]["head"] = {"name": "cosine", "scale": 1}
    parse_config(tiny_values)
