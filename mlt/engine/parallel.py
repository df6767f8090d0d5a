"""A model in several processes: whole in each, or shared out over them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel
from torch.utils._pytree import tree_map

from mlt.data.loader import Batch, Loader
from mlt.engine.sync_batch_norm import synced_batch_norm
from mlt.runtime.processes import Processes

__all__ = [
    "forward_together",
    "full",
    "in_step",
    "load_full",
    "shard",
    "sharded_like",
    "share_state",
]

_OWN_UNIT = 1_000_000
"""Parameters from which a block of a model is shared out, and fetched, by itself."""


@contextmanager
def forward_together(
    model: nn.Module, processes: Processes, device: torch.device, sync_batch_norm: bool
) -> Iterator[nn.Module]:
    """What to call for logits so that the gradients are the mean over all processes.

    Args:
        model: The same in all processes. What of it learns must not change in the block.
        processes: Those that train together.
        device: Where the model is.
        sync_batch_norm: Normalise over the whole batch.
    """
    if processes.count == 1:
        yield model
        return
    learns = any(parameter.requires_grad for parameter in model.parameters())
    together: nn.Module = model
    if learns and not isinstance(model, FSDPModule):
        together = DistributedDataParallel(
            model,
            device_ids=[device] if device.type == "cuda" else None,
            find_unused_parameters=True,  # parts of a backbone need not be used
        )
    with synced_batch_norm(device) if sync_batch_norm else nullcontext():
        yield together


def shard(model: nn.Module, device: torch.device, processes: Processes) -> None:
    """Share a model's parameters out over the processes, by FSDP2; each fetches a block as needed.

    Args:
        model: On the device; its parameters are replaced.
        device: Where it computes.
        processes: Those that share it.
    """
    model.to(memory_format=torch.contiguous_format)  # FSDP2 needs it
    mesh = init_device_mesh(device.type, (processes.count,))
    for parent in reversed(list(model.modules())):  # the innermost first
        if isinstance(parent, (nn.Sequential, nn.ModuleList)):
            for block in parent:
                own = sum(p.numel() for p in block.parameters() if not isinstance(p, DTensor))
                if own >= _OWN_UNIT:
                    fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)


def in_step(loader: Loader, processes: Processes) -> Iterator[Batch]:
    """The batches of a loader; an error about one of them is an error of all processes."""
    batches = iter(loader)
    for _ in range(len(loader)):
        with processes.together():
            batch = next(batches)
        yield batch


def full(state: Any) -> Any:
    """A state, however nested, with all of each tensor that is shared out; all must call it."""
    return tree_map(lambda x: x.full_tensor() if isinstance(x, DTensor) else x, state)


def sharded_like(value: Tensor, like: Tensor) -> Tensor:
    """A tensor, shared out as another one of its shape is; the whole must be there in all."""
    if isinstance(like, DTensor) and value.shape == like.shape:
        return distribute_tensor(value.to(like.device), like.device_mesh, like.placements)
    return value


def load_full(model: nn.Module, state: Mapping[str, Tensor], strict: bool = True) -> None:
    """Load weights that are whole in all processes into a model that may be shared out."""
    own = model.state_dict()
    model.load_state_dict(
        {key: sharded_like(value, own.get(key, value)) for key, value in state.items()}, strict
    )


def share_state(module: nn.Module, processes: Processes) -> None:
    """Give all processes the main one's weights and buffers; what is shared out stays as it is."""
    if processes.count == 1:
        return
    for tensor in module.state_dict().values():
        if isinstance(tensor, Tensor) and not isinstance(tensor, DTensor):
            dist.broadcast(tensor.view(torch.uint8) if tensor.dtype == torch.bool else tensor, 0)
