"""Checkpoints: weights that explain themselves."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import msgspec
import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialize
from torch import Tensor, nn

from mlt import __version__
from mlt.data.names import name_difference
from mlt.errors import CheckpointError, ConfigError, MissingFileError
from mlt.files import NOT_JSON, atomic_write, write_json_object
from mlt.models import Classifier, build_model
from mlt.models.adapters import is_adapter, merged_state
from mlt.models.heads import AboutClasses
from mlt.models.learn_settings import LearnLoRA
from mlt.models.settings import ModelConfig
from mlt.models.weights import load_by_name
from mlt.problems import problems_of

__all__ = [
    "OWN_MODEL",
    "CheckpointInfo",
    "check_class_names",
    "checkpoint_digest",
    "decision_copy",
    "load_checkpoint",
    "read_checkpoint",
    "read_info",
    "read_weights",
    "save_checkpoint",
    "save_decision",
    "start_from",
    "weights_digest",
]

FORMAT = "mlt.checkpoint/1"

_DIGEST = "sha256"

OWN_MODEL = "own"
"""Key of `CheckpointInfo.model` that names the class of a model that mlt did not build."""


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
    """

    class_names: tuple[str, ...]
    class_counts: tuple[int, ...]
    num_train_images: int
    model: dict[str, Any]
    preprocessing: dict[str, Any]
    epoch: int
    decision: dict[str, Any] | None = None


def save_checkpoint(
    path: str | Path, state_dict: Mapping[str, Tensor], info: CheckpointInfo
) -> None:
    """Write weights as safetensors with ``info`` in the metadata, whole or not at all.

    Args:
        path: Name of the ``.safetensors`` file.
        state_dict: Weights and buffers of the model.
        info: What the file says about itself.
    """
    # Copies, because safetensors refuses weights that two layers share.
    tensors = {
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, value in state_dict.items()
    }
    values = asdict(info).items()
    metadata = {key: json.dumps(value) for key, value in values if value is not None}
    metadata["format"] = FORMAT
    _write(path, tensors, metadata)
    decision_copy(path).unlink(missing_ok=True)  # it belonged to the weights replaced here


def load_checkpoint(
    path: str | Path, model: nn.Module | None = None
) -> tuple[nn.Module, CheckpointInfo]:
    """Build the model of a checkpoint and load its weights; needs nothing but the file.

    Args:
        path: A ``.safetensors`` file of a run.
        model: The model to load the weights into, where the run was handed one of its own.

    Returns:
        The model on the CPU in evaluation mode, and what the file says about itself.

    Raises:
        MissingFileError: If there is no such file.
        ConfigError: If ``model`` is not a module.
        CheckpointError: If it is not a checkpoint of mlt, is damaged, describes a model that this
            version of mlt does not know, or belongs to a model that was not given.
    """
    path = Path(path)
    if model is not None and not isinstance(model, nn.Module):
        raise ConfigError(f"model is a {type(model).__name__}; expected a torch.nn.Module")
    state_dict, metadata = _read(path)
    info = _info(path, metadata)
    if model is None:
        config = _model_config(path, info)
        name = f"its own model ({config.backbone})"
        size = info.preprocessing.get("size")
        # Of what was known about the classes, the weights have all that matters.
        stored = state_dict.get("head.embeddings")
        about = AboutClasses(
            info.class_names, embeddings=None if stored is None else stored.numpy()
        )
        model = build_model(config, len(info.class_names), image_size=size, about=about)
    else:
        name = f"the model given, a {type(model).__name__}"
    try:
        missing, unexpected = model.load_state_dict(state_dict, strict=False)
    except RuntimeError as error:  # tensors of other shapes
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{path} does not fit {name}: {reason}") from error
    if missing or unexpected:
        raise CheckpointError(
            f"{path} does not fit {name}; missing: "
            f"{', '.join(missing) or 'none'}; left over: {', '.join(unexpected) or 'none'}"
            f"{_wrapper_hint(missing, unexpected)}"
        )
    return model.eval(), info


def start_from(
    model: Classifier, path: str | Path, class_names: Sequence[str], image_size: int | None = None
) -> str:
    """Load the backbone of a checkpoint into a model, and its head if that is of the same classes.

    Adapters of the checkpoint are merged into its weights; those of the model begin anew.

    Args:
        model: Built from a configuration; changed in place.
        path: A ``.safetensors`` file of a run.
        class_names: Of the model's logits.
        image_size: Height and width of the model's input; position embeddings of a checkpoint of
            another size are resampled.

    Returns:
        A sentence that says what was taken.

    Raises:
        MissingFileError: If there is no such file.
        CheckpointError: If it is not a checkpoint of mlt, is damaged, or has another backbone.
    """
    path = Path(path)
    state_dict, metadata = _read(path)
    info = _info(path, metadata)
    of_file = _model_config(path, info)
    parts: dict[str, dict[str, Tensor]] = {"backbone": {}, "head": {}}
    for name, value in state_dict.items():
        part, _, inner = name.partition(".")
        parts[part][inner] = value
    if isinstance(of_file.learn, LearnLoRA):
        scale = of_file.learn.alpha / of_file.learn.rank
        parts["backbone"] = merged_state(parts["backbone"], scale)
    own = model.backbone.state_dict()
    parts["backbone"].update({name: own[name] for name in own if is_adapter(name)})
    try:
        _load_backbone(model, parts["backbone"], info.preprocessing.get("size"), image_size)
    except CheckpointError as error:
        raise CheckpointError(
            f"model.checkpoint: the backbone of {path} is {of_file.backbone}, which does not fit: "
            f"{error}"
        ) from None
    begun = f"the model begins from {path}, epoch {info.epoch}"
    other = name_difference(info.class_names, tuple(class_names), "the checkpoint", "the data")
    if other:
        return f"{begun}: its backbone, and a fresh head, because the classes differ: {other}"
    try:
        load_by_name(model.head, parts["head"])
    except CheckpointError:
        return (
            f"{begun}: its backbone, and a fresh head, because model.head is another one "
            f"({of_file.head.name} in the checkpoint)"
        )
    return f"{begun}: its backbone and its head"


def _load_backbone(
    model: Classifier, tensors: Mapping[str, Tensor], size: int | None, image_size: int | None
) -> None:
    """Load the tensors of a backbone for images of one size into one for images of another."""
    backbone = model.backbone
    try:
        load_by_name(backbone, tensors)
    except CheckpointError:
        if None in (size, image_size) or not hasattr(backbone, "set_input_size"):
            raise
        backbone.set_input_size(img_size=size)  # type: ignore[operator]
        load_by_name(backbone, tensors)
        backbone.set_input_size(img_size=image_size)  # type: ignore[operator]
        model.freeze(model.frozen)  # resampled position embeddings are new parameters


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Read the weights of a checkpoint by name.

    Raises:
        MissingFileError: If there is no such file.
        CheckpointError: If it is not a checkpoint of mlt, or is damaged.
    """
    return _read(Path(path))[0]


def _wrapper_hint(missing: Sequence[str], unexpected: Sequence[str]) -> str:
    """Say so where names differ by what DataParallel or torch.compile put before them."""
    for prefix, wrapper in {"module.": "DataParallel", "_orig_mod.": "torch.compile"}.items():
        if unexpected and all(name.startswith(prefix) for name in unexpected):
            return f". The model of the run was wrapped in {wrapper}: wrap this one, too"
        if missing and all(name.startswith(prefix) for name in missing):
            return f". The model of the run was not wrapped in {wrapper}: give what is wrapped"
    return ""


def read_info(path: str | Path) -> CheckpointInfo:
    """What a checkpoint says about itself, without building its model.

    Raises:
        MissingFileError: If there is no such file.
        CheckpointError: If it is not a checkpoint of mlt, or is damaged.
    """
    return _info(Path(path), _read(Path(path))[1])


def read_checkpoint(path: str | Path) -> tuple[dict[str, Tensor], CheckpointInfo]:
    """Weights and buffers of a checkpoint, and what it says about itself, without its model.

    Raises:
        MissingFileError: If there is no such file.
        CheckpointError: If it is not a checkpoint of mlt, or is damaged.
    """
    state_dict, metadata = _read(Path(path))
    return state_dict, _info(Path(path), metadata)


def _info(path: Path, metadata: Mapping[str, str]) -> CheckpointInfo:
    """What the metadata says, each value of its type."""
    texts = {key: text for key, text in metadata.items() if key != "format"}
    unknown = sorted(texts.keys() - {field.name for field in fields(CheckpointInfo)})
    if unknown:
        raise _unreadable(path, f"unknown: {', '.join(unknown)}")
    try:
        values = {key: json.loads(text) for key, text in texts.items()}
        return msgspec.convert(values, CheckpointInfo)
    except NOT_JSON as error:
        kind = "" if isinstance(error, msgspec.ValidationError) else "not JSON: "
        raise _unreadable(path, f"{kind}{error}") from error


def _model_config(path: Path, info: CheckpointInfo) -> ModelConfig:
    """The model that a checkpoint describes."""
    if OWN_MODEL in info.model:
        raise CheckpointError(
            f"{path} has the weights of a model of your own, {info.model[OWN_MODEL]}, which mlt "
            "cannot build; give the model: load_checkpoint(path, model), "
            "Predictor.from_checkpoint(path, model=model) or mlt.evaluate(config, path, "
            "model=model)"
        )
    # The weights are all in this file: what the backbone started from does not matter any more.
    try:
        return ModelConfig.model_validate(info.model | {"weights": "none", "checkpoint": None})
    except ValidationError as error:
        problems = problems_of(error, ModelConfig)
        reason = "; ".join(f"model.{key}: {text}" for key, text in problems)
        raise _unreadable(path, reason) from error


def _unreadable(path: Path, reason: str) -> CheckpointError:
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


def checkpoint_digest(path: str | Path) -> str:
    """:func:`weights_digest` of a checkpoint."""
    return weights_digest(_read(Path(path))[0])


def save_decision(path: str | Path, decision: Mapping[str, Any]) -> None:
    """Put thresholds and calibration into a checkpoint, so that they travel with it.

    A readable copy is written beside it, see :func:`decision_copy`.

    Args:
        path: A ``.safetensors`` file of a run; its weights stay as they are.
        decision: What :meth:`mlt.metrics.TunedDecision.to_json` gave.

    Raises:
        MissingFileError: If there is no such file.
        CheckpointError: If it is not a checkpoint of mlt.
    """
    state_dict, metadata = _read(Path(path))
    metadata["decision"] = json.dumps(decision)
    _write(path, state_dict, metadata)
    write_json_object(decision_copy(path), decision)


def decision_copy(path: str | Path) -> Path:
    """The file beside a checkpoint that shows its thresholds: last.decision.json, for example."""
    return Path(path).with_suffix(".decision.json")


def _write(path: str | Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
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


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a checkpoint of mlt."""
    if not path.is_file():
        raise MissingFileError(f"no checkpoint {path}; a run writes last.safetensors")
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


def check_class_names(
    path: str | Path,
    checkpoint: tuple[str, ...],
    data: tuple[str, ...],
    of: str = "the data",
) -> None:
    """Refuse a checkpoint whose classes are not those of the data, in the same order.

    Args:
        path: The checkpoint.
        checkpoint: Its classes.
        data: Those of the data.
        of: What is held against it, for the message.

    Raises:
        CheckpointError: Naming the first differences.
    """
    difference = name_difference(checkpoint, data, "the checkpoint", of)
    if difference:
        raise CheckpointError(
            f"{path} was trained on other classes ({len(checkpoint)}) than {of} has "
            f"({len(data)}): {difference}"
        )
