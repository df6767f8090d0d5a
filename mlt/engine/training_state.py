"""The file from which training goes on: the last two states, each checked when it is read."""

from __future__ import annotations

import logging
import zipfile
from pathlib import Path
from typing import Any

import torch

from mlt.errors import CheckpointError
from mlt.files import atomic_write

__all__ = ["load_training_state", "save_training_state", "state_before"]

logger = logging.getLogger(__name__)


def state_before(path: Path) -> Path:
    """Where the state before the one in ``path`` is kept."""
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def save_training_state(path: Path, state: dict[str, Any]) -> None:
    """Write everything training needs to go on, whole or not at all; keep the state before it.

    Raises:
        OSError: If it cannot be written, for example because the disk is full.
    """
    with atomic_write(path) as temporary:
        try:
            with temporary.open("wb") as file:
                torch.save(state, file)
        except RuntimeError as error:
            # torch's writer says "unexpected pos", and the disk's own words stand behind it.
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise
        if path.exists():
            path.replace(state_before(path))


def load_training_state(path: Path, device: torch.device) -> dict[str, Any]:
    """Read the last state that :func:`save_training_state` wrote, without unpickling objects.

    If it is damaged or absent, the one before it is read, with a warning.

    Raises:
        CheckpointError: If no state is sound.
    """
    try:
        return _read(path, device)
    except CheckpointError as error:
        before = state_before(path)
        try:
            state = _read(before, device)
        except CheckpointError as another:
            raise CheckpointError(f"the run cannot be resumed: {error}; {another}") from error
        logger.warning("%s; going on from the state before it, %s", error, before.name)
        return state


def _read(file: Path, device: torch.device) -> dict[str, Any]:
    try:
        # torch.load does not look at the checksums that its files carry.
        with zipfile.ZipFile(file) as archive:
            damaged = archive.testzip()
        if damaged is None:
            return dict(torch.load(file, map_location=device, weights_only=True))
    except FileNotFoundError as error:
        raise CheckpointError(f"{file} does not exist") from error
    except MemoryError:
        raise
    except Exception as error:  # damage makes zipfile and torch raise a dozen exception types
        raise CheckpointError(f"{file} is damaged ({error})") from error
    raise CheckpointError(f"{file} is damaged: the checksum of {damaged} is another one")
