"""The processes that train, evaluate or predict together: who they are, and what they tell another.

Every process does the same, on its share of the images, and comes to the same numbers; the first
one, the main process, writes all files and lines. What passes between them for these ends goes
through gloo, on the CPU, whatever the gradients go through. torch is only imported where there are
several, so that a command alone can refuse a configuration without it.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from mlt.errors import ConfigError, OtherProcessError

if TYPE_CHECKING:
    import torch

__all__ = ["ALONE", "Processes", "joined"]

T = TypeVar("T")

_LOST = ("connection closed", "connection reset", "gloo", "nccl", "timed out", "broken pipe")


@dataclass(frozen=True)
class Processes:
    """One process's place among those that work together; by default it is alone.

    Every method must be called by all of them, in the same order.

    Attributes:
        rank: Which it is, from 0.
        count: How many there are.
        local_rank: Which it is on its machine, from 0.
        local_count: How many there are on its machine.

    Example:
        >>> alone = Processes()
        >>> alone.is_main, alone.on_main(lambda: 7), alone.any(False), alone.gather("a")
        (True, 7, False, ['a'])
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    local_count: int = 1

    @property
    def is_main(self) -> bool:
        """Whether it is the one that writes."""
        return self.rank == 0

    @contextmanager
    def together(self, main_first: bool = False) -> Iterator[None]:
        """Leave the block together: if one process fails in it, all fail, and none waits for it.

        Nothing in the block may wait for another process.

        Args:
            main_first: Let the first process of each machine go through before the others, which
                find in its files what it has computed.

        Raises:
            OtherProcessError: If the block failed in another process, which raises its own error.
        """
        if self.count == 1:
            yield
            return
        if main_first and self.local_rank:
            self._agree(None)
        try:
            yield
        except Exception as error:
            self._agree(error)
            raise
        self._agree(None)
        if main_first and not self.local_rank:
            self._agree(None)

    def on_main(self, function: Callable[[], T]) -> T:
        """Call a function in the main process and return its answer in all; or raise in all."""
        if self.count == 1:
            return function()
        import torch.distributed as dist

        answer: list[Any] = [None]
        with self.together():
            if self.is_main:
                answer = [function()]
        dist.broadcast_object_list(answer)
        return answer[0]

    def any(self, value: bool) -> bool:
        """Whether the value is true in any process."""
        return (self.count > 1 and max(self.numbers(int(value))) > 0) or value

    def numbers(self, value: int) -> list[int]:
        """A number of each process, in their order."""
        if self.count == 1:
            return [value]
        import torch
        import torch.distributed as dist

        values = [torch.zeros(1, dtype=torch.int64) for _ in range(self.count)]
        dist.all_gather(values, torch.tensor([value], dtype=torch.int64))
        return torch.cat(values).tolist()

    def gather(self, value: T) -> list[T]:
        """An object of each process, in their order."""
        if self.count == 1:
            return [value]
        import torch.distributed as dist

        values: list[Any] = [None] * self.count
        dist.all_gather_object(values, value)
        return values

    def rows(self, tensor: torch.Tensor, counts: Sequence[int]) -> torch.Tensor:
        """The rows of all processes, those at the same place of each behind one another.

        That is their order before row k went to process k modulo :attr:`count`. The rows of this
        process keep their gradient.

        Args:
            tensor: (counts[rank], ...) on any device.
            counts: Rows of each process.

        Returns:
            (sum of counts, ...).
        """
        if self.count == 1:
            return tensor
        import torch
        import torch.distributed as dist

        kind = tensor.dtype
        sent = tensor.to(torch.uint8) if kind == torch.bool else tensor
        padded = sent.new_zeros(max(counts), *sent.shape[1:])
        padded[: len(sent)] = sent
        parts = [torch.empty_like(padded, requires_grad=False) for _ in counts]
        dist.all_gather(parts, padded.detach().contiguous())
        parts[self.rank] = padded
        places = torch.arange(max(counts)).unsqueeze(1) < torch.tensor(counts)  # (rows, processes)
        together = torch.stack(parts, 1).flatten(0, 1)[places.flatten().to(sent.device)]
        return together.to(kind)

    def _agree(self, error: Exception | None) -> None:
        """Tell the others of an error, or be told of theirs."""
        failed = self.numbers(int(error is not None))
        if any(failed):
            first = failed.index(1)
            message = self.gather("" if error is None else " ".join(str(error).split())[:2000])
            if first != self.rank:
                raise OtherProcessError(f"process {first} failed: {message[first]}") from error


ALONE = Processes()
"""One process by itself."""


@contextmanager
def joined() -> Iterator[Processes]:
    """Join the processes that were started together, by torchrun for example; or work alone.

    A group that torch has joined already is used as it is, and left as it is.

    Raises:
        ConfigError: If torch cannot join them.
        OtherProcessError: If another process ends meanwhile.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    was_joined = _is_joined()
    if not was_joined and count <= 1:
        yield Processes()
        return
    import torch.distributed as dist

    if not was_joined:
        _join()
    processes = Processes(
        dist.get_rank(),
        dist.get_world_size(),
        int(os.environ.get("LOCAL_RANK", dist.get_rank())),
        int(os.environ.get("LOCAL_WORLD_SIZE", dist.get_world_size())),
    )
    package = logging.getLogger("mlt")
    level = package.level
    if not processes.is_main:
        package.setLevel(logging.CRITICAL)
    try:
        yield processes
    except RuntimeError as error:
        if processes.count > 1 and any(sign in str(error).lower() for sign in _LOST):
            raise OtherProcessError(
                "another process of this run has ended; what it said last tells why"
            ) from error
        raise
    finally:
        package.setLevel(level)
        if not was_joined:
            dist.destroy_process_group()


def _is_joined() -> bool:
    dist = sys.modules.get("torch.distributed")
    return dist is not None and dist.is_available() and dist.is_initialized()


def _join() -> None:
    import torch
    import torch.distributed as dist
    from torch.distributed.rendezvous import rendezvous

    place: dict[str, Any] = {}
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
        # What processes wrote that torchrun has ended since is still in its store, and those that
        # it starts again would call where nobody listens (pytorch issue 167288).
        store, rank, count = next(rendezvous("env://"))
        attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        own = dist.PrefixStore(attempt, store)  # type: ignore[attr-defined]
        place = {"store": own, "rank": rank, "world_size": count}
    try:
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        dist.init_process_group(backend, **place)
    except (ValueError, RuntimeError) as error:
        raise ConfigError(
            f"WORLD_SIZE is {os.environ['WORLD_SIZE']}, but the processes cannot be joined: "
            f"{error}; start them with torchrun, or unset WORLD_SIZE"
        ) from error
