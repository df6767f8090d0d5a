"""Which text tower was trained with an image tower of timm."""

from __future__ import annotations

import re

import timm

from mlt.errors import ConfigError

__all__ = ["paired_text_model"]

_SIGLIP = re.compile(
    r"(?:vit_(?P<size>base|large|so400m|giantopt)_patch(?P<patch>\d+)_siglip"
    r"_(?P<pixels>\d+))\.(?P<tag>v2_webli|webli|webli_i18n)"
)
_SIGLIP_SIZES = {"base": "B", "large": "L", "so400m": "SO400M", "giantopt": "gopt"}

_PAIRS = {
    "vit_base_patch32_clip_224.laion2b": "ViT-B-32/laion2b_s34b_b79k",
    "vit_base_patch32_clip_224.datacompxl": "ViT-B-32/datacomp_xl_s13b_b90k",
    "vit_base_patch32_clip_256.datacompxl": "ViT-B-32-256/datacomp_s34b_b86k",
    "vit_base_patch16_clip_224.laion2b": "ViT-B-16/laion2b_s34b_b88k",
    "vit_base_patch16_clip_224.datacompxl": "ViT-B-16/datacomp_xl_s13b_b90k",
    "vit_base_patch16_clip_224.dfn2b": "ViT-B-16/dfn2b",
    "vit_base_patch16_plus_clip_240.laion400m_e32": "ViT-B-16-plus-240/laion400m_e32",
    "vit_large_patch14_clip_224.laion2b": "ViT-L-14/laion2b_s32b_b82k",
    "vit_large_patch14_clip_224.datacompxl": "ViT-L-14/datacomp_xl_s13b_b90k",
    "vit_large_patch14_clip_224.dfn2b": "ViT-L-14-quickgelu/dfn2b",
    "vit_large_patch14_clip_quickgelu_224.dfn2b": "ViT-L-14-quickgelu/dfn2b",
    "vit_large_patch14_clip_224.dfn2b_s39b": "ViT-L-14/dfn2b_s39b",
    "vit_huge_patch14_clip_224.laion2b": "ViT-H-14/laion2b_s32b_b79k",
    "vit_huge_patch14_clip_224.dfn5b": "ViT-H-14-quickgelu/dfn5b",
    "vit_huge_patch14_clip_quickgelu_224.dfn5b": "ViT-H-14-quickgelu/dfn5b",
    "vit_huge_patch14_clip_378.dfn5b": "ViT-H-14-378-quickgelu/dfn5b",
    "vit_huge_patch14_clip_quickgelu_378.dfn5b": "ViT-H-14-378-quickgelu/dfn5b",
    "vit_giant_patch14_clip_224.laion2b": "ViT-g-14/laion2b_s34b_b88k",
    "vit_gigantic_patch14_clip_224.laion2b": "ViT-bigG-14/laion2b_s39b_b160k",
    "eva02_base_patch16_clip_224.merged2b": "EVA02-B-16/merged2b_s8b_b131k",
    "eva02_large_patch14_clip_224.merged2b": "EVA02-L-14/merged2b_s4b_b131k",
    "eva02_large_patch14_clip_336.merged2b": "EVA02-L-14-336/merged2b_s6b_b61k",
    "convnext_base.clip_laion2b": "convnext_base_w/laion2b_s13b_b82k",
    "convnext_base.clip_laion2b_augreg": "convnext_base_w/laion2b_s13b_b82k_augreg",
    "convnext_base.clip_laiona": "convnext_base_w/laion_aesthetic_s13b_b82k",
    "convnext_base.clip_laiona_320": "convnext_base_w_320/laion_aesthetic_s13b_b82k",
    "convnext_base.clip_laiona_augreg_320": "convnext_base_w_320/laion_aesthetic_s13b_b82k_augreg",
    "convnext_large_mlp.clip_laion2b_augreg": "convnext_large_d/laion2b_s26b_b102k_augreg",
    "convnext_large_mlp.clip_laion2b_ft_320": "convnext_large_d_320/laion2b_s29b_b131k_ft",
    "convnext_large_mlp.clip_laion2b_ft_soup_320": (
        "convnext_large_d_320/laion2b_s29b_b131k_ft_soup"
    ),
    "convnext_xxlarge.clip_laion2b_soup": "convnext_xxlarge/laion2b_s34b_b82k_augreg_soup",
    "convnext_xxlarge.clip_laion2b_rewind": "convnext_xxlarge/laion2b_s34b_b82k_augreg_rewind",
}
"""Where open_clip's table of weights names another place than timm's."""


def paired_text_model(image_tower: str) -> str:
    """The name in open_clip, `MODEL/WEIGHTS`, of the text tower of an image tower in timm.

    Args:
        image_tower: A name of timm; without a tag timm's default one is meant.

    Raises:
        ConfigError: If it has no text tower, or it is not known which.

    Example:
        >>> paired_text_model("vit_base_patch16_siglip_224.webli")
        'ViT-B-16-SigLIP/webli'
    """
    cfg = timm.get_pretrained_cfg(image_tower)
    name = image_tower
    if cfg is not None and cfg.tag and "." not in name:
        name = f"{name}.{cfg.tag}"
    if name in _PAIRS:
        return _PAIRS[name]
    if found := _SIGLIP.fullmatch(name):
        return _siglip(found)
    if cfg is not None and cfg.hf_hub_id and (pair := _at_same_place(cfg.hf_hub_id)):
        return pair
    why = ""
    if "_ft_" in name:
        why = ": it was fine-tuned to class labels and has left the space of texts"
    elif "_gap_" in name:
        why = ": it averages its tokens in place of the attention that it was trained with"
    raise ConfigError(
        f"no text tower is known for the image tower {name}{why}"
        ". Give --model a name of open_clip, as in ViT-B-16/openai, or another image tower: "
        'python -c \'import timm; print(timm.list_pretrained(["*clip*", "*siglip*"]))\''
    )


def _siglip(found: re.Match[str]) -> str:
    version = "SigLIP2" if found["tag"] == "v2_webli" else "SigLIP"
    parts = [f"ViT-{_SIGLIP_SIZES[found['size']]}-{found['patch']}-{version}"]
    if found["tag"] == "webli_i18n":
        parts.append("i18n")
    if found["pixels"] != "224":
        parts.append(found["pixels"])
    return f"{'-'.join(parts)}/webli"


def _at_same_place(hub_id: str) -> str | None:
    """What open_clip loads from the same repository; with QuickGELU where that was trained."""
    from open_clip import get_pretrained_cfg, list_pretrained

    pairs = [
        (model, tag, found)
        for model, tag in list_pretrained()
        if (found := get_pretrained_cfg(model, tag)).get("hf_hub", "").strip("/") == hub_id
    ]
    right = [
        f"{model}/{tag}"
        for model, tag, found in pairs
        if bool(found.get("quick_gelu")) == model.endswith("-quickgelu")
    ]
    return right[0] if right else None
