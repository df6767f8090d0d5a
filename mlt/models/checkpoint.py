"""Checkpoints: weights that explain themselves."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from mlt.data.names import name_difference
from mlt.errors import CheckpointError, ConfigError, UserError
from mlt.files import write_json_object
from mlt.models import Classifier, build_model
from mlt.models.adapters import is_adapter, merged_state
from mlt.models.checkpoint_file import (
    FORMAT,
    CheckpointInfo,
    info_of,
    read_file,
    unreadable,
    weights_digest,
    write_file,
)
from mlt.models.heads import AboutClasses, Text
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
    "read_merged",
    "read_weights",
    "save_checkpoint",
    "save_decision",
    "start_from",
    "weights_digest",
]

OWN_MODEL = "own"
"""Key of `CheckpointInfo.model` that names the class of a model that mlt did not build."""


def save_checkpoint(
    path: str | Path, state_dict: Mapping[str, Tensor], info: CheckpointInfo
) -> None:
    """Write weights as safetensors with ``info`` in the metadata, whole or not at all.

    Args:
        path: Name of the ``.safetensors`` file.
        state_dict: Weights and buffers of the model; if ``info.starting_weights`` names those of
            the backbone, what differs from them.
        info: What the file says about itself.
    """
    # Copies, because safetensors refuses weights that two layers share.
    tensors = {
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, value in state_dict.items()
    }
    values = {key: value for key, value in asdict(info).items() if value is not None}
    if info.activation == "sigmoid":  # so that earlier versions of mlt can read the file
        del values["activation"]
    metadata = {key: json.dumps(value) for key, value in values.items()}
    metadata["format"] = FORMAT
    write_file(path, tensors, metadata)
    decision_copy(path).unlink(missing_ok=True)  # it belonged to the weights replaced here


def load_checkpoint(
    path: str | Path, model: nn.Module | None = None
) -> tuple[nn.Module, CheckpointInfo]:
    """Build the model of a checkpoint and load its weights.

    It needs nothing but the file, unless that holds the difference alone (``training.save:
    difference``), which needs the weights that the backbone began with, from where they came.

    Args:
        path: A ``.safetensors`` file of a run.
        model: The model to load the weights into, where the run was handed one of its own.

    Returns:
        The model on the CPU in evaluation mode, and what the file says about itself.

    Raises:
        MissingFileError: If there is no such file.
        ConfigError: If ``model`` is not a module.
        CheckpointError: If it is not a checkpoint of mlt, is damaged, describes a model that this
            version of mlt does not know, or belongs to a model that was not given; or if it holds
            a difference to weights that cannot be had, or are others.
    """
    path = Path(path)
    if model is not None and not isinstance(model, nn.Module):
        raise ConfigError(f"model is a {type(model).__name__}; expected a torch.nn.Module")
    state_dict, info = read_checkpoint(path)
    if model is None:
        model = _built(path, info, state_dict)
        name = f"its own model ({info.model['backbone']})"
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
    head, info = _take_backbone(model, path, image_size)
    begun = f"the model begins from {path}, epoch {info.epoch}"
    other = name_difference(info.class_names, tuple(class_names), "the checkpoint", "the data")
    if other:
        fresh = _fresh_head(model.head, head)
        return f"{begun}: its backbone, and {fresh}, because the classes differ: {other}"
    try:
        load_by_name(model.head, head)
    except CheckpointError:
        fresh = _fresh_head(model.head, head)
        return (
            f"{begun}: its backbone, and {fresh}, because model.head is another one "
            f"({_model_config(path, info).head.name} in the checkpoint)"
        )
    return f"{begun}: its backbone and its head"


def _fresh_head(head: nn.Module, stored: Mapping[str, Tensor]) -> str:
    """What is taken of another head, in words: the projection to the space of texts, if any."""
    if not isinstance(head, Text):
        return "a fresh head"
    beginning = "projection."
    projection = {
        name.removeprefix(beginning): value
        for name, value in stored.items()
        if name.startswith(beginning)
    }
    try:
        load_by_name(head.projection, projection)
    except CheckpointError:
        return "a fresh head with a random projection"
    return "a fresh head with its projection"


def _take_backbone(
    model: Classifier, path: Path, image_size: int | None
) -> tuple[dict[str, Tensor], CheckpointInfo]:
    """Load the backbone of a checkpoint; its head, and what it says about itself, are returned."""
    state_dict, info = read_merged(path)
    of_file = _model_config(path, info)
    parts: dict[str, dict[str, Tensor]] = {"backbone": {}, "head": {}}
    for name, value in state_dict.items():
        part, _, inner = name.partition(".")
        parts[part][inner] = value
    own = model.backbone.state_dict()
    parts["backbone"].update({name: own[name] for name in own if is_adapter(name)})
    try:
        _load_backbone(model, parts["backbone"], info.input_size, image_size)
    except CheckpointError as error:
        raise CheckpointError(
            f"model.checkpoint: the backbone of {path} is {of_file.backbone}, which does not fit: "
            f"{error}"
        ) from None
    return parts["head"], info


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
    return read_checkpoint(path)[0]


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
    return info_of(Path(path), read_file(Path(path))[1])


def read_checkpoint(path: str | Path) -> tuple[dict[str, Tensor], CheckpointInfo]:
    """Weights and buffers of a checkpoint, and what it says about itself, without its model.

    Where the file holds the difference alone, the weights that the backbone began with are added.

    Raises:
        MissingFileError: If there is no such file.
        CheckpointError: If it is not a checkpoint of mlt, or is damaged.
    """
    path = Path(path)
    state_dict, metadata = read_file(path)
    info = info_of(path, metadata)
    if info.starting_weights is None:
        return state_dict, info
    try:
        start = _starting_state(path, info, state_dict)
    except UserError as error:
        raise CheckpointError(
            f"{path} holds only what differs from the weights that its backbone began with, and "
            f"those cannot be had here: {error}"
        ) from error
    if weights_digest(start) != info.starting_weights:
        raise CheckpointError(
            f"{path} holds only what differs from the weights that its backbone began with, and "
            f"these are others now: {_origin(info)}. Bring back those that the run began with"
        )
    return start | state_dict, info


def read_merged(path: str | Path) -> tuple[dict[str, Tensor], CheckpointInfo]:
    """:func:`read_checkpoint` with the updates of adapters added to the weights.

    Raises:
        MissingFileError: If there is no such file.
        CheckpointError: If it is not a checkpoint of mlt, is damaged, or describes a model that
            this version of mlt does not know.
    """
    state_dict, info = read_checkpoint(path)
    if OWN_MODEL in info.model:
        return state_dict, info
    learn = _model_config(Path(path), info).learn
    if not isinstance(learn, LearnLoRA):
        return state_dict, info
    model = info.model | {"learn": {"name": "all"}}
    return merged_state(state_dict, learn.alpha / learn.rank), replace(info, model=model)


def _starting_state(
    path: Path, info: CheckpointInfo, state_dict: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The weights that the backbone of a checkpoint began with, named as in the classifier."""
    checkpoint = info.model.get("checkpoint")
    weights = "none" if checkpoint else info.model.get("weights")
    model = _built(path, info, state_dict, weights)
    if checkpoint:
        _take_backbone(model, Path(checkpoint), info.input_size)
    return {
        f"backbone.{name}": value
        for name, value in model.backbone.state_dict().items()
        if not is_adapter(name)
    }


def _built(
    path: Path, info: CheckpointInfo, state_dict: Mapping[str, Tensor], weights: Any = "none"
) -> Classifier:
    """The model that a checkpoint describes, with these starting weights."""
    config = _model_config(path, info, weights)
    # Of what was known about the classes, the weights have all that matters.
    stored = state_dict.get("head.embeddings")
    about = AboutClasses(info.class_names, embeddings=None if stored is None else stored.numpy())
    size = info.input_size
    return build_model(config, len(info.class_names), image_size=size, about=about)


def _origin(info: CheckpointInfo) -> str:
    if checkpoint := info.model.get("checkpoint"):
        return f"model.checkpoint: {checkpoint}"
    weights = info.model["weights"]
    file = weights["file"] if isinstance(weights, dict) else weights
    return f"model.weights: {file} of {info.model['backbone']}"


def _model_config(path: Path, info: CheckpointInfo, weights: Any = "none") -> ModelConfig:
    """The section of the model that a checkpoint describes, with these starting weights."""
    if OWN_MODEL in info.model:
        raise CheckpointError(
            f"{path} has the weights of a model of your own, {info.model[OWN_MODEL]}, which mlt "
            "cannot build; give the model: load_checkpoint(path, model), "
            "Predictor.from_checkpoint(path, model=model) or mlt.evaluate(config, path, "
            "model=model)"
        )
    try:
        return ModelConfig.model_validate(info.model | {"weights": weights, "checkpoint": None})
    except ValidationError as error:
        problems = problems_of(error, ModelConfig)
        reason = "; ".join(f"model.{key}: {text}" for key, text in problems)
        raise unreadable(path, reason) from error


def checkpoint_digest(path: str | Path) -> str:
    """:func:`weights_digest` of a checkpoint."""
    return weights_digest(read_weights(path))


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
    state_dict, metadata = read_file(Path(path))
    metadata["decision"] = json.dumps(decision)
    write_file(path, state_dict, metadata)
    write_json_object(decision_copy(path), decision)


def decision_copy(path: str | Path) -> Path:
    """The file beside a checkpoint that shows its thresholds: last.decision.json, for example."""
    return Path(path).with_suffix(".decision.json")


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
