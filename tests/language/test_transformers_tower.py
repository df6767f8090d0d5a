"""Text towers of transformers, of tiny random models that are saved in a folder."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from mlt.errors import CheckpointError, ConfigError
from mlt.language import load_text_tower

transformers = pytest.importorskip("transformers")

WORDS = ["<pad>", "<unk>", "</s>", "a", "photo", "of", "cat", "dog"]


@pytest.fixture(params=["CLIP", "Siglip"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing

    words = Tokenizer(WordLevel({word: k for k, word in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = Whitespace()
    words.post_processor = TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 2)])
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", unk_token="<unk>", eos_token="</s>"
    ).save_pretrained(tmp_path)
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    text = small | {
        "num_attention_heads": 2,
        "vocab_size": len(WORDS),
        "max_position_embeddings": 6,
        "eos_token_id": 2,
        "projection_size": 16,
    }
    vision = small | {"num_attention_heads": 2, "image_size": 32, "patch_size": 16}
    config = getattr(transformers, f"{request.param}Config")
    kind = getattr(transformers, f"{request.param}Model")
    torch.manual_seed(0)
    width = {"projection_dim": 16} if request.param == "CLIP" else {}
    model = kind(config(text_config=text, vision_config=vision, **width))
    model.save_pretrained(tmp_path)
    return tmp_path


def test_embeds_as_the_model_itself_does(folder: Path) -> None:
    tower = load_text_tower(str(folder), "transformers")
    assert tower.width == 16
    model = transformers.AutoModel.from_pretrained(folder).eval()
    ids = torch.tensor([[3, 4, 5, 3, 6, 2], [3, 7, 2, 0, 0, 0]])
    # CLIP and SigLIP differ in whether padding is masked; neither sees it in the first text.
    mask = (ids != 0).long()
    with torch.inference_mode():
        expected = model.get_text_features(input_ids=ids, attention_mask=mask).pooler_output
    embedded = tower.embed(["a photo of a cat", "a dog"])
    torch.testing.assert_close(F.normalize(embedded), F.normalize(expected))
    assert tower.scale == pytest.approx(float(model.logit_scale.exp()))
    assert (tower.bias is None) == (type(model).__name__ == "CLIPModel")


def test_a_long_text_is_named(folder: Path) -> None:
    tower = load_text_tower(str(folder), "transformers")
    assert tower.too_long(["a photo of a cat", "a photo of a cat cat"]) == ["a photo of a cat cat"]


def test_what_cannot_be_loaded(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"(?s)could not be loaded: .*folder"):
        load_text_tower(str(tmp_path), "transformers")
    with pytest.raises(ConfigError, match="for the backend open_clip"):
        load_text_tower(str(tmp_path), "transformers", state={})


def test_a_model_without_images_is_refused(tmp_path: Path, folder: Path) -> None:
    config = transformers.BertConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8
    )
    transformers.BertModel(config).save_pretrained(folder)
    with pytest.raises(ConfigError, match="is a BertModel, which does not embed texts"):
        load_text_tower(str(folder), "transformers")
