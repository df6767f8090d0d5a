"""Prompts that learn, with a text tower of random weights."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from mlt.config import parse_config
from mlt.engine.evaluate import evaluate_checkpoint
from mlt.engine.train import train
from mlt.errors import ConfigError, MissingFileError
from mlt.inference import Predictor
from mlt.inference.export import export
from mlt.language import PromptEncoder
from mlt.language.open_clip_tower import OpenClipTower
from mlt.models.checkpoint import load_checkpoint
from mlt.models.weights import read_tensors
from mlt.predictions import Predictions

pytest.importorskip("open_clip")

NAMES = ["person", "traffic_light"]


@pytest.fixture
def tower(tiny_clip: tuple[str, Path]) -> OpenClipTower:
    return OpenClipTower.load(tiny_clip[0], read_tensors(tiny_clip[1]))


def test_words_as_context_are_the_text_itself(tower: OpenClipTower) -> None:
    encode = PromptEncoder(tower, NAMES, "a photo of a")
    assert encode.begin is not None
    assert encode.begin.shape == (4, 32)
    expected = tower.embed(["a photo of a person.", "a photo of a traffic light."])
    torch.testing.assert_close(encode(encode.begin), expected)
    # The same for each class, given one by one; and the order of the vectors matters.
    torch.testing.assert_close(encode(encode.begin.expand(2, -1, -1)), expected)
    assert not torch.allclose(encode(encode.begin.flip(0)), expected, atol=1e-3)
    # The tower itself is as it was.
    torch.testing.assert_close(tower.embed(["a photo of a person."]), expected[:1])


def test_gradients_reach_the_context_and_nothing_else(tower: OpenClipTower) -> None:
    encode = PromptEncoder(tower, NAMES, 3)
    assert encode.begin is None
    context = (torch.randn(2, 3, 32) * 0.02).requires_grad_()
    encode(context)[0].sum().backward()
    assert context.grad is not None
    assert context.grad[0].any(dim=1).all()
    assert not context.grad[1].any()  # of the other class
    assert all(p.grad is None for p in tower.model.parameters())


def test_the_gradient_is_that_of_differences(tower: OpenClipTower) -> None:
    tower.model.double()
    encode = PromptEncoder(tower, NAMES, 2)
    context = (torch.randn(2, 32, dtype=torch.float64) * 0.1).requires_grad_()

    def loss(values: torch.Tensor) -> torch.Tensor:
        return encode(values).double().square().sum()

    loss(context).backward()
    step = torch.zeros_like(context)
    step[1, 5] = 1e-2
    with torch.no_grad():
        slope = (loss(context + step) - loss(context - step)) / 2e-2
    assert context.grad is not None
    assert float(context.grad[1, 5]) == pytest.approx(float(slope), rel=1e-2)


def test_prompts_that_are_too_long(tower: OpenClipTower) -> None:
    PromptEncoder(tower, ["cat"], 64)
    with pytest.raises(ConfigError, match="1 of 2 prompts are longer than mlt-tiny reads"):
        PromptEncoder(tower, ["cat", "cat " * 12], 64)
    with pytest.raises(ConfigError, match="the context ' ' has no word"):
        PromptEncoder(tower, ["cat"], " ")


@pytest.mark.parametrize("context", ["A photo of a", "a photo,  of a", "a photo of a"])
def test_a_tokenizer_that_cleans_texts(tower: OpenClipTower, context: str) -> None:
    """As those of SigLIP do: in lower case and without punctuation."""
    tower.tokenizer = Words(["a", "photo", "of", "person", "traffic", "light"])
    encode = PromptEncoder(tower, NAMES, context)
    assert (encode._start, encode.length) == (0, 4)
    assert tower.too_long(["A, photo! of a person"] * 2 + ["a " * 8]) == ["a " * 8]


def test_words_that_have_no_place_of_their_own(tower: OpenClipTower) -> None:
    tower.tokenizer = Words(["a", "photo", "of", "person", "traffic", "light"])
    tower.tokenizer.clean_fn = lambda text: text.replace("of person", "person").rstrip(".")
    with pytest.raises(ConfigError, match="'photo of' is not cut into the same tokens"):
        PromptEncoder(tower, ["person"], "photo of")


class Words:
    """In the form of open_clip's tokenizer for those of transformers; a token is a word."""

    context_length = 8

    def __init__(self, words: list[str]) -> None:
        self.words = words
        self.tokenizer = SimpleNamespace(encode=lambda text, **_: self._tokens(text))

    def clean_fn(self, text: str) -> str:
        return re.sub(r"[^a-z ]", "", text.lower())

    def __call__(self, texts: list[str]) -> Tensor:
        rows = [self._tokens(self.clean_fn(text)) for text in texts]
        return torch.tensor([row + [0] * (self.context_length - len(row)) for row in rows])

    def _tokens(self, text: str) -> list[int]:
        return [self.words.index(word) + 1 for word in text.split()]


@pytest.fixture
def values(tiny_values: dict[str, Any], tiny_clip: tuple[str, Path]) -> dict[str, Any]:
    name, weights = tiny_clip
    tiny_values["model"]["head"] = {
        "name": "prompts",
        "model": name,
        "weights": str(weights),
        "context": 3,
    }
    tiny_values["transforms"] = {"name": "plain", "size": 32, "shift": 0, "flip": 0.0}
    return tiny_values


def run(values: dict[str, Any], name: str, **training: Any) -> tuple[Path, Predictions]:
    folder = Path(values["output"]).with_name(name)
    train(parse_config(values | {"output": str(folder), "training": values["training"] | training}))
    return folder, Predictions.load(folder / "predictions.npz")


@pytest.mark.parametrize("options", [{"per_class": True}, {"context": "a photo of a"}])
def test_a_checkpoint_has_the_embeddings_of_what_was_learnt(
    values: dict[str, Any], options: dict[str, Any], tower: OpenClipTower, tiny_names: list[str]
) -> None:
    values["model"]["head"] |= options
    values["training"] |= {"ema_decay": 0.9} if "per_class" in options else {}
    before, _ = run(values, "before", epochs=0)
    folder, found = run(values, "after")
    one, two = (load_checkpoint(f / "last.safetensors")[0].head for f in (before, folder))
    length = 4 if "context" in options else 3
    shape = (4, length, 32) if "per_class" in options else (length, 32)
    assert two.context.shape == shape
    assert not torch.equal(one.context, two.context)
    assert not any("tower" in name or "transformer" in name for name in two.state_dict())
    encode = PromptEncoder(tower, tiny_names, options.get("context", 3))
    with torch.no_grad():
        torch.testing.assert_close(two.embeddings, encode(two.context), atol=1e-5, rtol=1e-4)
    again = evaluate_checkpoint(parse_config(values), folder / "last.safetensors")
    np.testing.assert_allclose(again.logits, found.logits, atol=1e-4)


def test_training_compares_with_the_prompts_as_they_are(
    values: dict[str, Any], tower: OpenClipTower, tiny_names: list[str]
) -> None:
    from mlt.engine.setup import prepare

    model: Any = prepare(parse_config(values), None).training.model
    images = torch.randn(2, 3, 32, 32)
    model.train()
    with torch.no_grad():
        model.head.context += torch.randn(3, 32)
        encode = PromptEncoder(tower, tiny_names, 3)
        expected = F.normalize(encode(model.head.context), dim=-1)
        torch.testing.assert_close(model.head.class_vectors(), expected)
        stale = F.normalize(model.head.embeddings, dim=-1)
        assert not torch.allclose(stale, expected, atol=1e-3)
        # A state that is taken while it trains is no less true.
        stored = model.state_dict()["head.embeddings"]
        torch.testing.assert_close(F.normalize(stored, dim=-1), expected)
        model.eval()
        assert model(images).shape == (2, 4)


def test_resumed_runs_and_files_for_other_runtimes(values: dict[str, Any], tmp_path: Path) -> None:
    values["model"]["freeze"] = "all"
    values["training"] |= {"features": {"mirror": False, "crops": 0}}
    whole_folder, whole = run(values, "whole", epochs=2)

    def stop(record: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    folder = Path(values["output"]).with_name("resumed")
    training = values["training"] | {"epochs": 2}
    config = parse_config(values | {"output": str(folder), "training": training})
    with pytest.raises(KeyboardInterrupt):
        train(config, on_epoch=stop)
    train(config, resume=True)
    resumed = Predictions.load(folder / "predictions.npz")
    np.testing.assert_array_equal(resumed.logits, whole.logits)
    predictor = Predictor.from_checkpoint(whole_folder / "last.safetensors", "cpu")
    assert export(predictor, tmp_path / "model.onnx") < 1e-5


def test_what_cannot_be_had(values: dict[str, Any]) -> None:
    values["model"]["head"]["weights"] = "nowhere.pt"
    with pytest.raises(MissingFileError, match=r"model.head: .*nowhere.pt"):
        run(values, "run")
    values["model"]["head"] |= {"weights": None, "model": "ViT-B-17"}
    with pytest.raises(ConfigError, match=r"model.head: neither timm nor open_clip"):
        run(values, "run")
    values["training"] |= {"compile": True}
    with pytest.raises(ConfigError, match=r"training.compile: .*prompts"):
        parse_config(values)
    values["training"] |= {"compile": False, "fsdp": True}
    with pytest.raises(ConfigError, match=r"training.fsdp: .*prompts"):
        parse_config(values)
