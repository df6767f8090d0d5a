"""Class-specific residual attention against the paper's equations, written out in numpy."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mlt.errors import ConfigError
from mlt.models.heads import CSRA

INF = math.inf


def residual_attention(
    x: NDArray[np.float64], m: NDArray[np.float64], temperature: float, lam: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Logits (C,) and attention (C, L) of one image and head, class by class.

    Args:
        x: (L, D) features of the positions.
        m: (C, D) classifiers.
        temperature: T; infinite for the limit, which is max pooling.
        lam: Lambda.
    """
    logits, attention = [], []
    for m_i in m:
        exponents = np.array([x_k @ m_i for x_k in x])
        if temperature == INF:
            s = (np.arange(len(x)) == exponents.argmax()).astype(float)
        else:
            s = np.exp(temperature * exponents)
            s /= s.sum()
        a = sum(s_k * x_k for s_k, x_k in zip(s, x))  # equation 4: class-specific features
        g = sum(x_k for x_k in x) / len(x)  # equation 5: average pooling
        f = g + lam * a  # equation 6: the residual attention
        logits.append(m_i @ f)  # equation 7
        attention.append(s)
    return np.array(logits), np.array(attention)


def drawn(temperatures: Sequence[float], lam: float) -> tuple[CSRA, NDArray[np.float64]]:
    generator = torch.Generator().manual_seed(0)
    head = CSRA(6, 4, temperatures, lam).double()
    with torch.no_grad():
        head.weight.copy_(torch.randn(head.weight.shape, generator=generator))
        head.bias.copy_(torch.randn(4, generator=generator))
    x = torch.randn(3, 6, 5, 2, generator=generator, dtype=torch.float64)
    return head, x.numpy()


@pytest.mark.parametrize("lam", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("temperatures", [(1.0,), (INF,), (1.0, INF), (1.0, 2.0, 4.0, INF)])
def test_the_equations_of_the_paper(temperatures: tuple[float, ...], lam: float) -> None:
    head, x = drawn(temperatures, lam)
    found = head(torch.from_numpy(x)).detach().numpy()
    maps = head.attention(torch.from_numpy(x)).detach().numpy()
    assert maps.shape == (3, 4, 5, 2)
    weights = head.weight.detach().numpy()
    for n, image in enumerate(x):
        positions = image.reshape(6, -1).T
        heads = [
            residual_attention(positions, m, temperature, lam)
            for m, temperature in zip(weights, temperatures)
        ]
        # Equation 10: the logits of the heads are summed.
        expected = sum(logits for logits, _ in heads) + head.bias.detach().numpy()
        np.testing.assert_allclose(found[n], expected, rtol=1e-10)
        mean = sum(attention for _, attention in heads) / len(heads)
        np.testing.assert_allclose(maps[n].reshape(4, -1), mean, atol=1e-12)


def test_tokens_are_a_map_of_one_column() -> None:
    head, x = drawn((1.0, INF), 0.5)
    images = torch.from_numpy(x)
    tokens = images.flatten(2).transpose(1, 2)
    torch.testing.assert_close(head(tokens), head(images))
    assert head.attention(tokens).shape == (3, 4, 10, 1)


def test_parameters_are_a_classifier_for_each_head_and_a_bias() -> None:
    # ResNet-101 and COCO, as in the paper, which has no bias.
    for heads in (1, 4):
        head = CSRA(2048, 80, [1.0] * heads)
        assert sum(p.numel() for p in head.parameters()) == heads * 2048 * 80 + 80


def test_standardised_features_do_not_depend_on_their_scale() -> None:
    torch.manual_seed(0)
    head = CSRA(6, 4, (1.0,), standardize=True)
    x = torch.randn(16, 6, 5, 5)
    scaled = x * torch.arange(1, 7).view(1, 6, 1, 1) + 3
    torch.testing.assert_close(head(scaled), head(x), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"temperatures": ()}, "temperatures"),
        ({"temperatures": (0.0,)}, "temperatures"),
        ({"temperatures": (math.nan,)}, "temperatures"),
        ({"attention_weight": -0.1}, "attention_weight"),
        ({"attention_weight": INF}, "attention_weight"),
    ],
)
def test_numbers_out_of_range(options: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        CSRA(6, 4, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(2, 6), (2, 5, 7, 7), (2, 49, 5)])
def test_features_of_another_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match=r"\(N, 6, H, W\)"):
        CSRA(6, 4)(torch.zeros(shape))
