"""Model and loss compiled by torch, for full batches."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from mlt.config.training import CompileConfig
from mlt.errors import ConfigError

__all__ = ["check_compiler", "compile_in_place", "eager_unless"]


def check_compiler(device: torch.device) -> None:
    """Compile something small, so that a compiler that is missing is noticed before training.

    Args:
        device: Where the model will be. A CPU needs a C++ compiler, a GPU needs Triton.

    Raises:
        ConfigError: With the first lines of what torch says.
    """

    def double(values: Tensor) -> Tensor:
        return 2 * values

    try:
        torch.compile(double, dynamic=False)(torch.ones(2, device=device))
    except Exception as error:  # each backend has its own
        needs = "a C++ compiler (g++ or clang)" if device.type == "cpu" else "Triton"
        said = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = " ".join(said[:2]) or type(error).__name__
        raise ConfigError(
            f"training.compile: torch cannot compile for {device} here, which needs {needs}: "
            f"{reason}. Install it, or set training.compile to false"
        ) from error


def compile_in_place(settings: bool | CompileConfig, *modules: nn.Module) -> None:
    """Compile what calling these modules does; their names, parameters and states stay the same.

    Every shape has code of its own, so that numbers do not depend on which shape came first, as
    they would with dynamic shapes: a run that is resumed repeats those of one that never stopped.
    """
    mode = settings.mode if isinstance(settings, CompileConfig) else "default"
    for module in modules:
        module.compile(mode=mode, dynamic=False)


def eager_unless(full: bool) -> AbstractContextManager[object]:
    """Call compiled modules uncompiled in the block, unless a batch is full.

    Full batches have one shape. The last of an epoch, and those that lost images, have another,
    which would take longer to compile than to compute.
    """
    return nullcontext() if full else torch.compiler.set_stance("force_eager")
