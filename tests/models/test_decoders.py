"""Query2Label and ML-Decoder against their equations in numpy, and their published sizes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from mlt.errors import ConfigError
from mlt.models.heads import MLDecoder, Query2Label
from mlt.models.heads.attend import Layer, sine_positions

Array = NDArray[np.float64]


def softmax(x: Array) -> Array:
    x = np.exp(x - x.max(axis=-1, keepdims=True))
    return x / x.sum(axis=-1, keepdims=True)


def norm(x: Array, layer: nn.LayerNorm) -> Array:
    x = (x - x.mean(axis=-1, keepdims=True)) / np.sqrt(x.var(axis=-1, keepdims=True) + layer.eps)
    return x * layer.weight.detach().numpy() + layer.bias.detach().numpy()


def linear(x: Array, layer: nn.Linear) -> Array:
    return x @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()


def attended(
    queries: Array, keys: Array, values: Array, layer: nn.MultiheadAttention
) -> tuple[Array, Array]:
    """What is seen (Q, W), and the mean of the weights (Q, L); one image, head by head."""
    weight, bias = layer.in_proj_weight.detach().numpy(), layer.in_proj_bias.detach().numpy()
    q, k, v = (
        x @ w.T + b
        for x, w, b in zip((queries, keys, values), np.split(weight, 3), np.split(bias, 3))
    )
    seen, maps = [], []
    for h in np.split(np.arange(q.shape[1]), layer.num_heads):
        a = softmax(q[:, h] @ k[:, h].T / np.sqrt(len(h)))
        seen.append(a @ v[:, h])
        maps.append(a)
    return linear(np.concatenate(seen, axis=1), layer.out_proj), np.mean(maps, axis=0)


def after(
    layer: Layer, queries: Array, keys: Array, values: Array, where: Array
) -> tuple[Array, Array]:
    seen, maps = attended(where, keys, values, layer.attend.attention)
    x = norm(queries + seen, layer.attend.norm)
    first, _, _, second, _ = layer.feed_forward.layers
    return norm(x + linear(np.maximum(linear(x, first), 0), second), layer.feed_forward.norm), maps


def in_double(head: nn.Module) -> nn.Module:
    """The head with weights that matter, in double precision, without dropout."""
    generator = torch.Generator().manual_seed(0)
    head = head.double().eval()
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / 2)
    return head


def drawn() -> torch.Tensor:
    return torch.randn(3, 6, 5, 2, generator=torch.Generator().manual_seed(1)).double()


def where_by_hand(height: int, width: int, features: int) -> Array:
    """DETR's positions, one number at a time."""
    positions = np.zeros((height, width, features))
    count = features // 4
    for i in range(height):
        for j in range(width):
            for k in range(count):
                row = 2 * np.pi * (i + 1) / height / 10000 ** (k / count)
                column = 2 * np.pi * (j + 1) / width / 10000 ** (k / count)
                positions[i, j, k] = np.sin(row)
                positions[i, j, count + k] = np.cos(row)
                positions[i, j, 2 * count + k] = np.sin(column)
                positions[i, j, 3 * count + k] = np.cos(column)
    return positions.reshape(height * width, features)


@pytest.mark.parametrize(("height", "width", "features"), [(7, 7, 16), (1, 9, 6), (3, 1, 2)])
def test_positions(height: int, width: int, features: int) -> None:
    expected = where_by_hand(height, width, features)
    np.testing.assert_allclose(sine_positions(height, width, features), expected, atol=1e-5)


@pytest.mark.parametrize("self_attention", [False, True])
@pytest.mark.parametrize("width", [6, 8])
def test_query2label_by_its_equations(width: int, self_attention: bool) -> None:
    head = in_double(Query2Label(6, 4, width, 2, 1, 2, self_attention))
    assert isinstance(head, Query2Label)
    x = drawn()
    logits, maps = head(x).detach().numpy(), head.attention(x).detach().numpy()
    assert maps.shape == (3, 4, 5, 2)
    where = where_by_hand(5, 2, width)
    for n, image in enumerate(x.numpy()):
        values = image.reshape(6, -1).T
        if width != 6:
            assert isinstance(head.project, nn.Linear)
            values = linear(values, head.project)
        told = values + where
        values, _ = after(head.encoder[0], values, told, values, told)  # type: ignore[arg-type]
        queries = head.queries.detach().numpy()
        for k, layer in enumerate(head.decoder):
            if self_attention:
                among = head.among_classes[k]
                seen, _ = attended(queries, queries, queries, among.attention)  # type: ignore[arg-type]
                queries = norm(queries + seen, among.norm)  # type: ignore[arg-type]
            queries, seen_at = after(layer, queries, values + where, values, queries)  # type: ignore[arg-type]
        weights, bias = head.weight.detach().numpy(), head.bias.detach().numpy()
        expected = [q @ w + b for q, w, b in zip(norm(queries, head.norm), weights, bias)]
        np.testing.assert_allclose(logits[n], expected, rtol=1e-5)  # positions are float32
        np.testing.assert_allclose(maps[n].reshape(4, -1), seen_at, rtol=1e-5)


@pytest.mark.parametrize(("classes", "groups"), [(5, 2), (4, 4), (4, 100), (7, 3), (1, 1), (9, 5)])
def test_ml_decoder_by_its_equations(classes: int, groups: int) -> None:
    head = in_double(MLDecoder(6, classes, groups, width=8, attention_heads=2, feedforward=5))
    assert isinstance(head, MLDecoder)
    x = drawn()
    logits, maps = head(x).detach().numpy(), head.attention(x).detach().numpy()
    per_query = int(np.ceil(classes / min(groups, classes)))
    queries = norm(2 * head.queries.numpy(), head.norm)  # added to themselves, as by the authors
    assert len(queries) == int(np.ceil(classes / per_query))
    for n, image in enumerate(x.numpy()):
        positions = np.maximum(linear(image.reshape(6, -1).T, head.project), 0)
        seen, seen_at = after(head.layer, queries, positions, positions, queries)
        for c in range(classes):
            w = head.weight[c // per_query, c % per_query].detach().numpy()
            expected = seen[c // per_query] @ w + head.bias[c].item()
            np.testing.assert_allclose(logits[n, c], expected, rtol=1e-8)
            np.testing.assert_allclose(maps[n, c].ravel(), seen_at[c // per_query], rtol=1e-8)


def test_queries_made_of_embeddings_share_a_last_layer() -> None:
    embeddings = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
    head = in_double(
        MLDecoder(6, 3, width=8, attention_heads=2, feedforward=5, embeddings=embeddings)
    )
    assert isinstance(head, MLDecoder)
    x = drawn()
    assert head.weight.shape == (1, 1, 8)
    with torch.no_grad():
        head.bias.zero_()
    queries = norm(2 * linear(embeddings.astype(np.float64), head.from_embeddings), head.norm)
    positions = np.maximum(linear(x[0].numpy().reshape(6, -1).T, head.project), 0)
    seen, _ = after(head.layer, queries, positions, positions, queries)
    found = head(x[:1]).detach().numpy()[0]
    np.testing.assert_allclose(found, seen @ head.weight.flatten().detach().numpy(), rtol=1e-6)
    # So two classes of one meaning have one score, trained or not.
    with torch.no_grad():
        head.embeddings[1] = head.embeddings[0]
    same = head(x)
    torch.testing.assert_close(same[:, 0], same[:, 1])
    head.from_embeddings.zero_grad()
    head(x).sum().backward()
    assert head.from_embeddings.weight.grad.abs().max() > 0
    assert not head.embeddings.requires_grad


def test_queries_of_groups_do_not_learn() -> None:
    head = MLDecoder(6, 4)
    assert "queries" in head.state_dict()
    assert "queries" not in dict(head.named_parameters())


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_parameters_of_query2label_with_resnet101() -> None:
    # Width 2048, 8192 in between, one encoder layer and two decoder layers without self-attention.
    attention = 4 * (2048 * 2048 + 2048)
    feed_forward = 2 * 2048 * 8192 + 8192 + 2048
    norms = 2 * 2 * 2048
    head = Query2Label(2048, 80, width=2048)
    expected = 3 * (attention + feed_forward + norms) + 2 * 2048 + 2 * 80 * 2048 + 80
    assert count(head) == expected == 151_406_672


def test_parameters_of_ml_decoder_do_not_grow_with_queries() -> None:
    attention = 4 * (768 * 768 + 768)
    feed_forward = 2 * 768 * 2048 + 768 + 2048
    fixed = 2048 * 768 + 768 + attention + feed_forward + 3 * 2 * 768
    assert count(MLDecoder(2048, 80)) == fixed + 80 * 768 + 80
    # 9,605 classes of Open Images in 100 groups, 97 to each and a few places left over.
    assert count(MLDecoder(2048, 9605)) == fixed + 100 * 97 * 768 + 9605


@pytest.mark.parametrize("kind", [Query2Label, MLDecoder])
def test_tokens_are_positions_without_columns(kind: type[Query2Label | MLDecoder]) -> None:
    head = kind(6, 4, width=8, attention_heads=2).double().eval()  # type: ignore[call-arg]
    tokens = drawn().flatten(2).transpose(1, 2)
    assert head(tokens).shape == (3, 4)
    assert head.attention(tokens).shape == (3, 4, 10, 1)
    torch.testing.assert_close(head.attention(tokens).sum((2, 3)), torch.ones(3, 4).double())
    with pytest.raises(ConfigError, match=r"\(N, 6, H, W\)"):
        head(torch.zeros(2, 5, 7, 7))
