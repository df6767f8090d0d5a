"""Learning-rate range test: the loss while the rate grows from far too low to far too high.

Leslie N. Smith, Cyclical Learning Rates for Training Neural Networks, 2017, arXiv 1506.01186. Here,
as in fastai, the rate grows exponentially, the loss is smoothed, and a test ends when it diverges.
"""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from mlt.config import Config, load_config
from mlt.data.own_data import Given
from mlt.engine.cached_images import with_cached_inputs
from mlt.engine.loop import train_epoch
from mlt.engine.lr_suggestions import RangeTest, smoothed
from mlt.engine.own import LossFunction, Own
from mlt.engine.setup import Setup, prepare
from mlt.errors import ConfigError, TrainingError
from mlt.run_folder import RunFolder

__all__ = ["find_lr"]

logger = logging.getLogger(__name__)

_DIVERGED = 4.0
"""The test ends when the smoothed loss is so many times its lowest value, as in fastai."""


def find_lr(
    config: Config | str | Path,
    *,
    data: Mapping[str, Given] | None = None,
    model: nn.Module | None = None,
    loss: LossFunction | None = None,
    start: float = 1e-6,
    end: float = 1.0,
    updates: int = 100,
) -> RangeTest:
    """Train a copy for some updates while the learning rate grows, and suggest a rate.

    The run's model, data, loss, optimizer and batches are used; its warm-up and schedule are not.
    Groups with rates of their own (``backbone_lr_scale``, ``layer_decay``) keep their proportion.
    With ``head_only_epochs`` the head is tested alone, as training begins, and with
    ``training.stages`` the first stage. Nothing is written but caches.

    Args:
        config: The run; a configuration, a YAML file, or the name of one that ships with mlt.
        data: As for :func:`mlt.train`.
        model: As for :func:`mlt.train`; a copy is trained.
        loss: As for :func:`mlt.train`; a copy is used.
        start: Rate of the first update.
        end: Rate of the last one.
        updates: Of the optimizer; fewer are done where the loss diverges before.

    Returns:
        Rates, losses and suggestions.

    Raises:
        UserError: For whatever is wrong with configuration, data, model or loss.

    Example:
        ::

            found = mlt.find_lr("digits_mlt_bce")
            config = mlt.load_config("digits_mlt_bce", [f"optimizer.lr={found.suggestion:.2g}"])
    """
    if not 0 < start < end < math.inf:
        raise ConfigError(f"find_lr: rates grow from {start:g} to {end:g}; expected 0 < from < to")
    if updates < 10:
        raise ConfigError(f"find_lr: {updates} updates are too few for a curve; give 10 or more")
    if not isinstance(config, Config):
        config = load_config(config)
    own = Own.of(data, *_copies(model, loss), config.training.workers)
    cache = RunFolder(config.output).cache
    setup = with_cached_inputs(prepare(config, cache, own), cache)
    rates = _GrowingRates(setup.training.optimizer, start, end, updates)
    _train(setup, rates)
    if len(rates.losses) < 10:
        raise TrainingError(
            f"find_lr: the loss diverged after {len(rates.losses)} updates, at a rate of "
            f"{rates.rates[-1] if rates.rates else start:.3g}; begin lower than {start:g}"
        )
    return RangeTest(tuple(rates.rates), tuple(rates.losses), setup.config.optimizer.lr)


def _copies(
    model: nn.Module | None, loss: LossFunction | None
) -> tuple[nn.Module | None, LossFunction | None]:
    """Copies of what is handed over, made together: a loss may hold the model."""
    try:
        return copy.deepcopy((model, loss))
    except Exception as error:  # generators and tensors with a graph, for example
        raise ConfigError(
            f"find_lr: it trains copies, and model or loss cannot be copied ({error}); hand over "
            "new ones"
        ) from error


class _GrowingRates:
    """Stands where the schedule of a run stands: notes each loss, and sets the next rate.

    Attributes:
        rates: Of the updates that are done.
        losses: Theirs.
        requested: Whether to stop, as of a :class:`~mlt.runtime.interrupt.GracefulStop`.
    """

    def __init__(
        self, optimizer: torch.optim.Optimizer, start: float, end: float, updates: int
    ) -> None:
        self._optimizer = optimizer
        self._start = start
        self._ratio = end / start
        self._updates = updates
        self._batches: list[Tensor] = []
        self.rates: list[float] = []
        self.losses: list[float] = []
        self.requested = False
        self._set_rate(0)

    def epochs(self, updates_per_epoch: int) -> int:
        """Epochs that all updates take."""
        return -(-self._updates // updates_per_epoch)

    def note(self, module: nn.Module, inputs: object, loss: Tensor) -> None:
        """Take the loss of a batch; a forward hook of the loss."""
        self._batches.append(loss.detach().reshape(()))

    def step_update(self, updates: int) -> None:
        """Close an update, as a scheduler does."""
        if self._batches:  # images that cannot be read may leave none
            loss = torch.stack(self._batches).mean().item()
            self._batches = []
            if not math.isfinite(loss):
                self.requested = True
                return
            self.rates.append(self._rate)
            self.losses.append(loss)
        self.requested = updates >= self._updates or self._has_diverged()
        self._set_rate(updates)

    def _set_rate(self, updates: int) -> None:
        self._rate = self._start * self._ratio ** (updates / (self._updates - 1))
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate * group.get("lr_scale", 1.0)

    def _has_diverged(self) -> bool:
        curve = smoothed(self.losses)
        lowest = min(curve, default=0.0)  # some losses are negative
        return len(curve) > 10 and curve[-1] - lowest > (_DIVERGED - 1) * abs(lowest)


def _train(setup: Setup, rates: _GrowingRates) -> None:
    """Train until the rates say stop, or the loss is no longer a number."""
    training, config = setup.training, setup.config.training
    training.scheduler = rates
    epochs = rates.epochs(setup.updates_per_epoch)
    config = config.model_copy(
        update={"epochs": epochs, "head_only_epochs": epochs if config.head_only_epochs else 0}
    )
    hook = training.loss.register_forward_hook(rates.note)
    try:
        while not rates.requested:
            train_epoch(training, setup.train_loader, config, setup.device, rates)
    except TrainingError:
        logger.info("the test ends where the loss is no longer finite")
    finally:
        hook.remove()
