"""A text tower in SigLIP's form: a model of its own beside the image side, with a bias."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from mlt.language import PromptEncoder
from mlt.language.open_clip_tower import OpenClipTower
from mlt.models.weights import read_tensors

open_clip = pytest.importorskip("open_clip")

TINY = {
    "embed_dim": 16,
    "init_logit_bias": -10,
    "custom_text": True,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "patch_size": 16, "head_width": 16},
    "text_cfg": {
        # SigLIP's own vocabulary is not in the package, so the tokens are CLIP's.
        "context_length": 20,
        "vocab_size": 49408,
        "width": 32,
        "heads": 2,
        "layers": 1,
        "no_causal_mask": True,
        "proj_bias": True,
        "pool_type": "last",
    },
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("open_clip")
    (folder / "mlt-tiny-sigmoid.json").write_text(json.dumps(TINY))
    open_clip.add_model_config(folder)
    torch.manual_seed(4)
    torch.save(open_clip.create_model("mlt-tiny-sigmoid").state_dict(), folder / "tiny.pt")
    return folder / "tiny.pt"


@pytest.mark.parametrize("form", ["whole", "text side", "text side without its name"])
def test_weights_in_several_forms(weights: Path, form: str) -> None:
    state = read_tensors(weights)
    if form != "whole":
        state = {name: value for name, value in state.items() if name.startswith("text.")}
    if "without" in form:
        state = {name.removeprefix("text."): value for name, value in state.items()}
    tower = OpenClipTower.load("mlt-tiny-sigmoid", state)
    # Without the scale that was trained, that of a random model must not pass for it.
    assert (tower.scale, tower.bias) == (
        (pytest.approx(1 / 0.07), -10) if "whole" in form else (None, None)
    )
    model = open_clip.create_model("mlt-tiny-sigmoid", pretrained=str(weights)).eval()
    texts = ["a photo of a cat.", "a photo of a traffic light."]
    with torch.inference_mode():
        expected = model.encode_text(open_clip.get_tokenizer("mlt-tiny-sigmoid")(texts))
    torch.testing.assert_close(tower.embed(texts), expected.clone())


def test_prompts(weights: Path) -> None:
    tower = OpenClipTower.load("mlt-tiny-sigmoid", read_tensors(weights))
    encode = PromptEncoder(tower, ["cat", "traffic_light"], "a photo of a")
    assert encode.begin is not None
    expected = tower.embed(["a photo of a cat.", "a photo of a traffic light."])
    torch.testing.assert_close(encode(encode.begin), expected)
    context = encode.begin.clone().requires_grad_()
    encode(context).sum().backward()
    assert context.grad is not None
    assert context.grad.any(dim=1).all()
