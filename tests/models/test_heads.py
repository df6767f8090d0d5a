"""Heads and the class prior in their bias."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logit
from torch import nn

from mlt.errors import ConfigError
from mlt.models.heads import LARGEST_PRIOR_LOGIT, build_head, prior_logits, set_prior_bias
from mlt.models.heads.settings import (
    CSRAHead,
    GCNHead,
    Head,
    LinearHead,
    MLDecoderHead,
    ProjectionHead,
    QueryHead,
)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_prior_logits_like_scipy(prior: list[float]) -> None:
    expected = np.clip(logit(prior), -LARGEST_PRIOR_LOGIT, LARGEST_PRIOR_LOGIT)
    np.testing.assert_allclose(prior_logits(np.array(prior)), expected, rtol=1e-5, atol=1e-6)


def test_prior_of_a_class_known_nowhere() -> None:
    assert prior_logits(np.array([np.nan])).tolist() == [-LARGEST_PRIOR_LOGIT]


@pytest.mark.parametrize("prior", [[-0.1, 0.5], [1.5, 0.5]])
def test_impossible_prior(prior: list[float]) -> None:
    with pytest.raises(ConfigError, match="from 0 to 1"):
        prior_logits(np.array(prior))


@pytest.mark.parametrize(
    ("config", "shape"),
    [
        (LinearHead(), ()),
        (ProjectionHead(), ()),
        (CSRAHead(), (7, 7)),
        (CSRAHead(temperatures=(1, 2, 4, "max"), standardize=True), (7, 7)),
        (QueryHead(), (7, 7)),
        (MLDecoderHead(), (7, 7)),
        (GCNHead(), (7, 7)),
    ],
)
def test_first_probabilities_are_nearly_the_prior(config: Head, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    prior = np.array([0.5, 0.1, 0.003])
    head = build_head(config, 64, 3)
    set_prior_bias(head, prior)
    found = torch.sigmoid(head(torch.rand(200, 64, *shape))).mean(0).detach().numpy()
    np.testing.assert_allclose(found, prior, rtol=0.1)


def test_prior_of_another_length() -> None:
    with pytest.raises(ConfigError, match="2 classes, the head 3"):
        set_prior_bias(build_head(LinearHead(), 4, 3), np.array([0.5, 0.5]))


def test_the_published_projection() -> None:
    head = build_head(ProjectionHead(name="projection"), 2048, 80)
    assert [type(layer) for layer in head] == [nn.Linear, nn.BatchNorm1d, nn.Dropout, nn.Linear]
    assert (head[0].in_features, head[0].out_features) == (2048, 256)
    assert head[2].p == 0.5
    assert head(torch.zeros(2, 2048)).shape == (2, 80)


def test_linear_with_dropout() -> None:
    head = build_head(LinearHead(dropout=0.3), 8, 2)
    assert head[0].p == 0.3
    assert sum(p.numel() for p in head.parameters()) == 8 * 2 + 2
