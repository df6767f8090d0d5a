"""Power normalisation: values by hand, gradients near zero, and the heads that have it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from mlt.errors import ConfigError
from mlt.models.heads import CSRA, PowerNormalization, build_head, signed_power
from mlt.models.heads.settings import CSRAHead, Head, LinearHead


def test_values_by_hand() -> None:
    x = torch.tensor([-6.0, -1.0, 0.0, 0.25, 1.0, 6.0], dtype=torch.float64)
    root = math.sqrt(1e-4)
    expected = [np.sign(v) * (math.sqrt(abs(v) + 1e-4) - root) for v in x.tolist()]
    np.testing.assert_allclose(signed_power(x, 0.5).numpy(), expected, rtol=1e-12)
    # Within a hundredth of the root of the paper, and exactly 0 at 0.
    torch.testing.assert_close(signed_power(x, 0.5), x.sign() * x.abs().sqrt(), atol=0.01, rtol=0)
    assert signed_power(x, 0.5)[2] == 0


def test_the_power_1_leaves_features_as_they_are() -> None:
    x = torch.randn(3, 4)
    assert PowerNormalization(1.0)(x) is x


def test_gradients_are_bounded_near_zero() -> None:
    x = torch.tensor([-1.0, 0.0, 1e-30, 2.0], requires_grad=True)
    signed_power(x, 0.5).sum().backward()
    assert x.grad is not None
    # The largest slope is 0.5 / sqrt(e) = 50; without e it is 5e14 at 1e-30 and NaN at 0.
    assert x.grad.abs().max() <= 0.5 / math.sqrt(1e-4) + 1e-3
    assert x.grad[3] == pytest.approx(0.5 / math.sqrt(2), rel=1e-3)


@pytest.mark.parametrize("power", [0.0, -0.5, 1.5, math.nan])
def test_a_power_out_of_range(power: float) -> None:
    with pytest.raises(ConfigError, match=r"power: above 0 and up to 1, got"):
        PowerNormalization(power)
    with pytest.raises(ConfigError, match="power"):
        CSRA(6, 4, power=power)


@pytest.mark.parametrize(
    ("plain", "rooted", "shape"),
    [
        (LinearHead(), LinearHead(power=0.5), (7, 6)),
        (LinearHead(standardize=True), LinearHead(standardize=True, power=0.5), (7, 6)),
        (CSRAHead(), CSRAHead(power=0.5), (7, 6, 3, 3)),
        (CSRAHead(standardize=True), CSRAHead(standardize=True, power=0.5), (7, 6, 3, 3)),
    ],
)
def test_a_head_sees_the_features_to_the_power(
    plain: Head, rooted: Head, shape: tuple[int, ...]
) -> None:
    # Before standardising: the root of standardised features would be another thing.
    features = torch.randn(shape) ** 2 + torch.arange(6.0).view(1, 6, *[1] * (len(shape) - 2))
    first, second = build_head(plain, 6, 4), build_head(rooted, 6, 4)
    for mine, its in zip(second.parameters(), first.parameters()):
        nn.init.normal_(its)
        mine.data.copy_(its.data)
    torch.testing.assert_close(second(features), first(signed_power(features, 0.5)))
    assert not torch.allclose(second(features), first(features), atol=1e-3)
