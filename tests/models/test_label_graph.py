"""The graph of classes and the head on it, by hand and by the paper's equations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import csr_array

from mlt.data.labels import LabelTable
from mlt.engine.about_classes import about_classes
from mlt.models.heads import LabelGraph, build_head, conditional_shares, cosines, graph_weights
from mlt.models.heads.about import AboutClasses
from mlt.models.heads.settings import GCNHead

# 100 images: class 0 in 50, 1 in 2, 2 in none, 3 in 10; both images of 1 and 4 of 3 have 0.
TOGETHER = csr_array(np.array([[50, 2, 0, 4], [2, 2, 0, 0], [0, 0, 0, 0], [4, 0, 0, 10]]))


def test_shares_by_hand() -> None:
    shares = conditional_shares(TOGETHER, 100)
    np.testing.assert_allclose(shares[1], [1.0, 1.0, 0.0, 0.0])
    np.testing.assert_allclose(shares[0], [1.0, 0.04, 0.0, 0.08])
    np.testing.assert_allclose(shares[3], [0.4, 0.0, 0.0, 1.0])
    np.testing.assert_array_equal(shares[2], 0.0)  # not NaN


def test_shrinkage_draws_rare_classes_to_what_all_images_have() -> None:
    shares = conditional_shares(TOGETHER, 100, shrinkage=8.0)
    assert shares[1, 0] == pytest.approx((2 + 8 * 0.5) / (2 + 8))  # 0.6: 0.5 would be chance
    assert shares[3, 0] == pytest.approx((4 + 8 * 0.5) / (10 + 8))
    np.testing.assert_allclose(shares[2], [0.5, 0.02, 0.0, 0.1])  # never seen: the shares of all
    closer = np.abs(shares[:, 0] - 0.5) <= np.abs(conditional_shares(TOGETHER, 100)[:, 0] - 0.5)
    assert closer.all()


def test_labels_that_are_not_known_are_not_taken_for_absent() -> None:
    """Cat on 100 of 400 images; dog known on 20 of these, and on 30 others without it."""
    labels = [[0, 1]] * 20 + [[0]] * 80 + [[]] * 300
    known = [[0, 1]] * 20 + [[0]] * 80 + [[0, 1]] * 30 + [[0]] * 270
    table = LabelTable.from_lists(
        range(400), map(str, range(400)), ["cat", "dog"], labels, known_indices=known
    )
    about = about_classes(GCNHead(name="gcn"), table)
    assert about.cooccurrence is not None
    counted = about.cooccurrence, about.num_images
    shares = conditional_shares(*counted, judged=about.judged)
    np.testing.assert_allclose(shares, [[1.0, 1.0], [1.0, 1.0]])
    shares = conditional_shares(*counted, shrinkage=10.0, judged=about.judged)
    assert shares[0, 1] == pytest.approx((20 + 10 * 20 / 50) / (20 + 10))
    assert shares[1, 0] == pytest.approx((20 + 10 * 100 / 400) / (20 + 10))
    assert build_head(GCNHead(name="gcn"), 6, 2, about).graph[0, 1] > 0


def test_weights_by_the_equations() -> None:
    shares = conditional_shares(TOGETHER, 100)
    # Class 0 is a neighbour of 1 and 3 (from 0.4 on), and has none itself.
    found = graph_weights(shares, threshold=0.4, neighbors=0.2)
    a = np.array([[0.8, 0, 0, 0], [0.2, 0.8, 0, 0], [0, 0, 0.8, 0], [0.2, 0, 0, 0.8]])
    d = np.diag(a.sum(axis=1) ** -0.5)
    np.testing.assert_allclose(found, d @ a @ d)


@given(st.integers(1, 8), st.floats(0.05, 1), st.floats(0, 0.9), st.integers(0, 1000))
def test_each_class_has_itself_and_neighbours_alone(
    classes: int, threshold: float, neighbors: float, seed: int
) -> None:
    relation = np.random.default_rng(seed).random((classes, classes))
    found = graph_weights(relation, threshold, neighbors)
    assert np.isfinite(found).all()
    assert (found.diagonal() > 0).all()
    apart = (relation < threshold) & ~np.eye(classes, dtype=bool)
    assert (found[apart] == 0).all()


def test_cosines() -> None:
    found = cosines(np.array([[3.0, 0.0], [1.0, 1.0], [0.0, 0.0]]))
    np.testing.assert_allclose(found, [[1, 0.5**0.5, 0], [0.5**0.5, 1, 0], [0, 0, 0]])


def by_equations(
    x: NDArray[np.float64], head: LabelGraph, nodes: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Logits (N, C) of pooled features (N, D)."""
    a = head.graph.numpy()
    hidden = a @ nodes @ head.first.weight.detach().numpy().T
    hidden = np.where(hidden > 0, hidden, 0.2 * hidden)
    w = a @ hidden @ head.second.weight.detach().numpy().T
    return x @ w.T + head.bias.detach().numpy()


@pytest.mark.parametrize("pooling", ["avg", "max"])
@pytest.mark.parametrize("language", [False, True])
def test_the_head_by_its_equations(pooling: str, language: bool) -> None:
    rng = np.random.default_rng(0)
    graph, nodes = rng.random((4, 4)), rng.normal(size=(4, 5)).astype(np.float32)
    embeddings = nodes if language else None
    head = LabelGraph(6, 4, graph, embeddings, 5, 7, pooling).double()
    with torch.no_grad():
        head.second.weight.normal_()
        head.bias.normal_()
    x = rng.normal(size=(3, 6, 5, 2))
    pooled = x.max(axis=(2, 3)) if pooling == "max" else x.mean(axis=(2, 3))
    own = nodes.astype(np.float64) if language else head.nodes.detach().numpy()
    found = head(torch.from_numpy(x))
    np.testing.assert_allclose(found.detach(), by_equations(pooled, head, own), rtol=1e-6)
    assert ("nodes" in dict(head.named_parameters())) != language
    # Each position alone: what it adds to the logit, where that speaks for the class.
    w = head.classifiers().detach().numpy()
    maps = head.attention(torch.from_numpy(x)).detach().numpy()
    for n in range(3):
        for c in range(4):
            adds = np.zeros((5, 2))
            for k in range(6):
                if pooling == "max":
                    i, j = np.unravel_index(x[n, k].argmax(), (5, 2))
                    adds[i, j] += w[c, k] * x[n, k, i, j]
                else:
                    adds += w[c, k] * x[n, k] / 10
            logit = found[n, c].item() - head.bias[c].item()
            assert adds.sum() == pytest.approx(logit, rel=1e-6)
            speaking = np.maximum(adds, 0)
            share = speaking / speaking.sum() if speaking.sum() > 0 else np.full((5, 2), 0.1)
            np.testing.assert_allclose(maps[n, c], share, rtol=1e-6, atol=1e-12)


def test_where_nothing_speaks_for_a_class_all_positions_are_alike() -> None:
    head = LabelGraph(2, 1, np.eye(1), pooling="avg")
    maps = head.attention(torch.zeros(1, 2, 2, 2))
    assert maps.flatten().tolist() == [0.25] * 4


def test_published_parameters() -> None:
    head = LabelGraph(2048, 80, np.eye(80), np.zeros((80, 300), np.float32))
    assert sum(p.numel() for p in head.parameters()) == 300 * 1024 + 1024 * 2048 + 80


def test_the_graph_is_of_the_training_images_and_is_kept() -> None:
    about = AboutClasses(tuple("abcd"), TOGETHER, 100)
    config = GCNHead(shrinkage=0.0)
    head = build_head(config, 6, 4, about)
    expected = graph_weights(conditional_shares(TOGETHER, 100), 0.4, 0.2)
    np.testing.assert_allclose(head.graph, expected, rtol=1e-6)
    again = build_head(config, 6, 4)  # as a checkpoint does, which has no training images
    again.load_state_dict(head.state_dict())
    x = torch.randn(2, 6, 3, 3)
    torch.testing.assert_close(again(x), head(x))


def test_a_graph_of_embeddings() -> None:
    embeddings = np.array([[1, 0], [1, 0.1], [0, 1]], np.float32)
    config = GCNHead(graph="embeddings", threshold=0.9, embeddings="classes.safetensors")
    head = build_head(config, 6, 3, AboutClasses(tuple("abc"), embeddings=embeddings))
    np.testing.assert_allclose(head.graph, graph_weights(cosines(embeddings), 0.9, 0.2), rtol=1e-6)
    assert head.graph[0, 1] > 0
    assert head.graph[0, 2] == 0
