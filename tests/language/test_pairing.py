"""Which text tower belongs to an image tower of timm."""

from __future__ import annotations

import pytest
import timm

from mlt.errors import ConfigError
from mlt.language.pairing import paired_text_model

open_clip = pytest.importorskip("open_clip")


@pytest.mark.parametrize(
    ("image_tower", "text_model"),
    [
        # Trained with QuickGELU: the text tower has it, whichever image tower is taken.
        ("vit_base_patch16_clip_224.openai", "ViT-B-16-quickgelu/openai"),
        ("vit_base_patch16_clip_quickgelu_224.openai", "ViT-B-16-quickgelu/openai"),
        ("vit_large_patch14_clip_quickgelu_336.openai", "ViT-L-14-336-quickgelu/openai"),
        ("vit_base_patch16_clip_224.laion2b", "ViT-B-16/laion2b_s34b_b88k"),
        ("vit_base_patch16_clip_224.laion400m_e32", "ViT-B-16/laion400m_e32"),
        ("vit_base_patch32_clip_224.metaclip_2pt5b", "ViT-B-32-quickgelu/metaclip_fullcc"),
        ("resnet50_clip.openai", "RN50-quickgelu/openai"),
        ("vit_base_patch16_siglip_224.webli", "ViT-B-16-SigLIP/webli"),
        ("vit_base_patch16_siglip_256.webli_i18n", "ViT-B-16-SigLIP-i18n-256/webli"),
        ("vit_base_patch16_siglip_384.v2_webli", "ViT-B-16-SigLIP2-384/webli"),
        ("vit_so400m_patch14_siglip_378.webli", "ViT-SO400M-14-SigLIP-378/webli"),
        ("vit_giantopt_patch16_siglip_256.v2_webli", "ViT-gopt-16-SigLIP2-256/webli"),
        # Without a tag it is timm's default.
        ("vit_base_patch16_siglip_224", "ViT-B-16-SigLIP2/webli"),
    ],
)
def test_pairs(image_tower: str, text_model: str) -> None:
    assert paired_text_model(image_tower) == text_model


def test_every_pair_exists_and_has_one_width() -> None:
    weights = {"/".join(pair) for pair in open_clip.list_pretrained()}
    found = 0
    for image_tower in timm.list_pretrained(["*clip*", "*siglip*"]):
        try:
            pair = paired_text_model(image_tower)
        except ConfigError:
            continue
        found += 1
        assert pair in weights, image_tower
        width = open_clip.get_model_config(pair.partition("/")[0])["embed_dim"]
        cfg = timm.get_pretrained_cfg(image_tower)
        # SigLIP's image towers have no last layer: their features are the embedding.
        assert cfg.num_classes in (width, 0), image_tower
    assert found > 90


@pytest.mark.parametrize(
    ("image_tower", "message"),
    [
        ("vit_base_patch16_clip_224.laion2b_ft_in1k", "fine-tuned to class labels"),
        ("vit_base_patch16_siglip_gap_224.webli", "averages its tokens"),
        ("resnet50.tv_in1k", "image tower resnet50.tv_in1k. Give --model a name of open_clip"),
    ],
)
def test_image_towers_without_a_text_tower(image_tower: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        paired_text_model(image_tower)
