"""Effective numbers and weights over beta, against exact fractions and hand-worked numbers."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest
import torch

from mlt.class_counts import ClassCounts
from mlt.errors import ConfigError
from mlt.losses import create_loss
from mlt.losses.class_weights import effective_numbers
from mlt.losses.effective_number import BETAS, over_betas, recommend_beta

CIFAR10_LT = [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]


@pytest.mark.parametrize("beta", [0.0, 0.25, 0.9, 0.999])
def test_effective_numbers_are_the_sum_of_powers(beta: float) -> None:
    """1 + beta + ... + beta^(n - 1), without the closed form."""
    exact = [float(sum(Fraction(beta) ** k for k in range(n))) for n in (1, 2, 7, 40)]
    found = effective_numbers(np.array([1.0, 2.0, 7.0, 40.0]), beta)
    np.testing.assert_allclose(found, exact, rtol=1e-13)


def test_effective_numbers_keep_their_digits_next_to_1() -> None:
    beta = 1 - 2.0**-40
    with mpmath.workdps(60):
        exact = [float((1 - mpmath.mpf(beta) ** n) / (1 - mpmath.mpf(beta))) for n in (3, 10**6)]
    np.testing.assert_allclose(effective_numbers(np.array([3.0, 1e6]), beta), exact, rtol=1e-13)


def test_by_hand() -> None:
    """E = 1.75, 1.5, 1 at beta 1/2; the inverses 4/7, 2/3, 1 sum to 47/21."""
    [half, recommended] = over_betas(ClassCounts.from_counts([3, 2, 1]), [0.5])
    np.testing.assert_allclose(half.effective, [1.75, 1.5, 1], rtol=1e-15)
    np.testing.assert_allclose(half.weights, [36 / 47, 42 / 47, 63 / 47], rtol=1e-15)
    assert half.ratio == pytest.approx(1.75)
    assert recommended.beta == 5 / 6


@pytest.mark.filterwarnings("ignore:All class weights are within")
@pytest.mark.parametrize("beta", [*BETAS, "auto"])
def test_the_weights_are_those_of_the_loss(beta: float | str) -> None:
    counts = ClassCounts.from_counts(CIFAR10_LT)
    loss = create_loss("cb_softmax", CIFAR10_LT, beta=beta, reduction="none")
    number = recommend_beta(counts)[0] if beta == "auto" else beta
    [row] = [row for row in over_betas(counts) if row.beta == number]
    each_class = loss(torch.zeros(10, 10, dtype=torch.float64), torch.arange(10))
    np.testing.assert_allclose(row.weights * np.log(10), each_class.numpy(), rtol=1e-12)


def test_the_recommended_beta_is_auto_and_says_why() -> None:
    beta, reason = recommend_beta(ClassCounts.from_counts(CIFAR10_LT))
    assert beta == 12405 / 12406
    for said in ("`beta: auto`", "12,406", "4,115", "82.5", "inverse frequency: 100"):
        assert said in reason
    assert recommend_beta(ClassCounts.from_counts([900, 800], num_images=1000))[0] == 0.999


def test_rows_rise_without_doubles_and_know_equal_weights() -> None:
    rows = over_betas(ClassCounts.from_counts([600, 400]), [0.999, 0.9, 0.9])
    assert [row.beta for row in rows] == [0.9, 0.999]
    assert [row.is_equal for row in rows] == [True, False]


@pytest.mark.parametrize(
    ("counts", "betas", "said"),
    [
        ([5], BETAS, "at least two classes, not of 1"),
        ([0, 0], BETAS, "No class has an image"),
        ([5, 3], [1.0], "not 1.0"),
        ([5, 3], [-0.5], "not -0.5"),
        ([5, 3], [float("nan")], "not nan"),
    ],
)
def test_what_cannot_be_weighed(counts: list[int], betas: list[float], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        over_betas(ClassCounts.from_counts(counts), betas)


def test_shares_are_not_counts() -> None:
    with pytest.raises(ConfigError, match=r"needs numbers of images, not shares: 0\.5 in all"):
        create_loss("cb_softmax", [0.3, 0.2])
