"""The file of a checkpoint: tensors, what it says about itself, and a digest of both."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import msgspec
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialize
from torch import Tensor

from mlt import __version__
from mlt.activation import Activation
from mlt.errors import CheckpointError, MissingFileError
from mlt.files import NOT_JSON, atomic_write

__all__ = [
    "FORMAT",
    "CheckpointInfo",
    "info_of",
    "read_file",
    "unreadable",
    "weights_digest",
    "write_file",
]

FORMAT = "mlt.checkpoint/1"

_DIGEST = "sha256"


@dataclass(frozen=True)
class CheckpointInfo:
    """What a checkpoint says about itself; enough to predict with it and to group its classes.

    Attributes:
        class_names: C names in column order.
        class_counts: C positives in the training split.
        num_train_images: Images of the training split.
        model: The `model` section of the configuration, as plain values; `own` and the name of a
            class for a model that was handed over.
        preprocessing: How an image becomes the model's input; empty where a data set of the
            user's own gave tensors.
        epoch: Epochs trained.
        decision: What :meth:`mlt.metrics.TunedDecision.to_json` gave; None if nothing was tuned.
        starting_weights: Digest of the backbone's weights that the file leaves out because they are
            as the run began with them; None: it has all weights.
        activation: How the model's logits become probabilities.
        image_size: Height and width that the model was built for, where the preprocessing does not
            say it.
    """

    class_names: tuple[str, ...]
    class_counts: tuple[int, ...]
    num_train_images: int
    model: dict[str, Any]
    preprocessing: dict[str, Any]
    epoch: int
    decision: dict[str, Any] | None = None
    starting_weights: str | None = None
    activation: Activation = "sigmoid"
    image_size: int | None = None

    @property
    def input_size(self) -> int | None:
        """Height and width that the model was built for; None: those of its own."""
        return self.image_size or self.preprocessing.get("size")


def info_of(path: Path, metadata: Mapping[str, str]) -> CheckpointInfo:
    """What the metadata of a checkpoint say, each value of its type.

    Raises:
        CheckpointError: If they are of another version of mlt, or damaged.
    """
    texts = {key: text for key, text in metadata.items() if key != "format"}
    unknown = sorted(texts.keys() - {field.name for field in fields(CheckpointInfo)})
    if unknown:
        raise unreadable(path, f"unknown: {', '.join(unknown)}")
    try:
        values = {key: json.loads(text) for key, text in texts.items()}
        return msgspec.convert(values, CheckpointInfo)
    except NOT_JSON as error:
        kind = "" if isinstance(error, msgspec.ValidationError) else "not JSON: "
        raise unreadable(path, f"{kind}{error}") from error


def unreadable(path: Path, reason: str) -> CheckpointError:
    """The error about what a checkpoint says about itself."""
    return CheckpointError(
        f"{path}: what the checkpoint says about itself cannot be used ({reason}). It is damaged, "
        f"or of another version of mlt than this one, {__version__}"
    )


def weights_digest(state_dict: Mapping[str, Tensor]) -> str:
    """SHA-256 of names and values, by which predictions know the weights they come from."""
    digest = hashlib.sha256()
    for name in sorted(state_dict):
        values = state_dict[name].detach().cpu().contiguous()
        digest.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
        digest.update(values.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def write_file(path: str | Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write tensors and metadata, whole or not at all; the same ones become the same bytes."""
    metadata = dict(sorted((metadata | {_DIGEST: _content_digest(tensors, metadata)}).items()))
    # The library writes metadata in an order that changes from process to process.
    content = serialize(tensors)
    size = 8 + int.from_bytes(content[:8], "little")
    header = json.dumps({"__metadata__": metadata, **json.loads(content[8:size])}).encode()
    header += b" " * (-len(header) % 8)
    # Written by Python and not by the library, whose errors do not tell that the disk is full.
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.write(memoryview(content)[size:])


def _content_digest(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    described = weights_digest(tensors) + json.dumps(metadata, sort_keys=True)
    return hashlib.sha256(described.encode()).hexdigest()


def read_file(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a checkpoint of mlt.

    Raises:
        MissingFileError: If there is no such file.
        CheckpointError: If it is not a checkpoint of mlt, or is damaged.
    """
    if not path.is_file():
        inside = path / "last.safetensors"
        hint = f"the folder holds {inside}" if inside.is_file() else "a run writes last.safetensors"
        raise MissingFileError(f"no checkpoint {path}; {hint}")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state_dict = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} is not a safetensors file, or is damaged: {error}"
        ) from error
    if metadata.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} is not a checkpoint of mlt: its format is {metadata.get('format')!r}, not "
            f"{FORMAT!r}. To start from foreign weights, name them in model.weights"
        )
    # Files of earlier versions have no digest.
    digest = metadata.pop(_DIGEST, None)
    if digest is not None and digest != _content_digest(state_dict, metadata):
        raise CheckpointError(f"{path} is damaged: it does not hold what was written to it")
    return state_dict, metadata
