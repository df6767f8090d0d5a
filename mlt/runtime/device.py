"""Which device to compute on, seeds, and precision."""

from __future__ import annotations

import random
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch

from mlt.errors import ConfigError
from mlt.runtime.processes import ALONE, Processes

__all__ = ["autocast", "pick_device", "seed_everything"]


def pick_device(name: str, processes: Processes = ALONE) -> torch.device:
    """The device of a configuration.

    Args:
        name: ``auto``, ``cpu``, ``cuda`` or ``mps``; auto takes a GPU if there is one.
        processes: Of several, each takes a GPU of its own.

    Raises:
        ConfigError: If the device is not available on this machine, or not to each process.
    """
    if processes.count > 1 and name != "cpu" and torch.cuda.is_available():
        return _own_gpu(processes)
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    available = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if not available[name]:
        raise ConfigError(f"device: {name} is not available here; use auto or cpu")
    return torch.device(name)


def _own_gpu(processes: Processes) -> torch.device:
    there = torch.cuda.device_count()
    if processes.local_rank >= there:
        raise ConfigError(
            f"device: {processes.local_count} processes on a machine with {there} GPU"
            f"{'' if there == 1 else 's'}; start one for each (torchrun --nproc-per-node {there})"
        )
    torch.cuda.set_device(processes.local_rank)
    return torch.device("cuda", processes.local_rank)


def seed_everything(seed: int) -> None:
    """Seed Python's, numpy's and torch's global generators (initial weights, dropout)."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - libraries draw from the global generator
    torch.manual_seed(seed)


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """The context of a forward pass.

    Args:
        device: Where it runs.
        precision: ``none`` (float32), ``bf16`` or ``fp16``.
    """
    if precision == "none":
        return nullcontext()
    return torch.autocast(device.type, {"bf16": torch.bfloat16, "fp16": torch.float16}[precision])
