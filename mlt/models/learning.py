"""Which parameters of a backbone learn."""

from __future__ import annotations

from torch import nn

from mlt.errors import ConfigError
from mlt.models.adapters import is_adapter
from mlt.models.groups import layer_depths
from mlt.models.learn_settings import Learn, LearnAll, LearnBias, LearnLastBlocks, LearnNorm

__all__ = ["names_that_learn"]


def names_that_learn(backbone: nn.Module, learn: Learn) -> frozenset[str] | None:
    """The parameters of a backbone that are to learn.

    Args:
        backbone: With adapters, where they are to learn.
        learn: Which.

    Returns:
        Names of parameters; None for all.

    Raises:
        ConfigError: If the backbone has none of these, or fewer blocks.

    Example:
        >>> import timm
        >>> from mlt.models.learn_settings import LearnLastBlocks
        >>> learn = LearnLastBlocks(name="last_blocks", blocks=1)
        >>> names = names_that_learn(timm.create_model("test_vit", num_classes=0), learn)
        >>> sorted({name.split(".")[0] for name in names}), len(names)
        (['blocks', 'norm'], 14)
    """
    if isinstance(learn, LearnAll):
        return None
    if isinstance(learn, LearnBias):
        names = {n for n, _ in backbone.named_parameters() if n.endswith("bias")}
    elif isinstance(learn, LearnNorm):
        names = _of_normalisation(backbone)
    elif isinstance(learn, LearnLastBlocks):
        names = _of_last_blocks(backbone, learn.blocks)
    else:
        names = {n for n, _ in backbone.named_parameters() if is_adapter(n)}
    if not names:
        raise ConfigError(f"model.learn: the backbone has nothing that {learn.name} names")
    return frozenset(names)


def _of_normalisation(backbone: nn.Module) -> set[str]:
    return {
        f"{name}.{inner}" if name else inner
        for name, module in backbone.named_modules()
        if "norm" in type(module).__name__.lower()
        for inner, _ in module.named_parameters(recurse=False)
    }


def _of_last_blocks(backbone: nn.Module, count: int) -> set[str]:
    depths = layer_depths(backbone)
    # A layer that only normalises, as some backbones end with, is not a block.
    matrices = {depths[name] for name, p in backbone.named_parameters() if p.ndim > 1}
    blocks = sorted(matrices)
    if count > len(blocks):
        raise ConfigError(
            f"model.learn.blocks: the backbone has {len(blocks)} blocks, fewer than {count}; with "
            "model.learn: all all of it learns"
        )
    return {name for name, depth in depths.items() if depth >= blocks[-count]}
