"""From the name of a model to its text tower."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from torch import Tensor

from mlt.errors import ConfigError
from mlt.language.open_clip_tower import OpenClipTower
from mlt.language.text_tower import TextTower
from mlt.language.transformers_tower import TransformersTower

__all__ = ["Backend", "load_text_tower"]

Backend = Literal["open_clip", "transformers"]


def load_text_tower(
    model: str,
    backend: Backend = "open_clip",
    state: Mapping[str, Tensor] | None = None,
    device: str = "cpu",
) -> TextTower:
    """Load a text tower, downloading its weights unless they are given.

    Args:
        model: An image tower in timm, whose text tower is meant; a name in open_clip, `MODEL` or
            `MODEL/WEIGHTS`; or a folder, `local-dir:FOLDER` in open_clip. With ``transformers``
            the name of a CLIP or SigLIP model, or its folder.
        backend: The library.
        state: Tensors of the text tower, or of the whole model, in place of a download; for
            open_clip.
        device: Where to compute.

    Raises:
        ConfigError: If the library is not installed or does not know the model, or for an image
            tower that is not known to have a text tower.
        CheckpointError: If the weights cannot be loaded.
    """
    if backend == "transformers":
        if state is not None:
            raise ConfigError(
                "weights from a file are for the backend open_clip; give transformers the folder "
                "of the model"
            )
        return TransformersTower.load(model, device)
    return OpenClipTower.load(model, state, device)
