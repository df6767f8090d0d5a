"""The training loop: one epoch, and everything that changes while it runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import torch
from timm.utils import ModelEmaV3
from torch import Tensor, nn

from mlt.config.training import TrainingConfig
from mlt.data.loader import Batch, Loader
from mlt.engine.compilation import eager_unless
from mlt.engine.gradient_checkpointing import statistics_at_rest
from mlt.engine.own import OwnLoss
from mlt.engine.own_checks import check_logits
from mlt.engine.parallel import forward_together, full, in_step, load_full, sharded_like
from mlt.engine.pending import Pending
from mlt.engine.position import Position
from mlt.errors import ConfigError, DataError, TrainingError
from mlt.losses import Loss
from mlt.models import Classifier
from mlt.runtime.device import autocast
from mlt.runtime.processes import ALONE, Processes
from mlt.runtime.progress import Progress

__all__ = ["StopRequest", "Training", "train_epoch"]


class StopRequest(Protocol):
    """Says whether training is to end after the current update."""

    requested: bool


@dataclass
class Training:
    """Everything that changes while training; what a resumed run needs back.

    Attributes:
        model: The model in training.
        loss: The loss; some carry state.
        optimizer: Updates the model.
        scheduler: A timm scheduler, stepped after every update.
        scaler: Scales gradients under fp16; does nothing otherwise.
        ema: The moving average of the weights, or None.
        position: How far it is.
        pending: What was measured since, and is not in the position yet.
        start: Digest of the weights that the optimizer decays to; None: it does not.
    """

    model: nn.Module
    loss: Loss | OwnLoss
    optimizer: torch.optim.Optimizer
    scheduler: Any
    scaler: torch.amp.GradScaler
    ema: ModelEmaV3 | None
    position: Position
    pending: Pending = field(default_factory=Pending)
    start: str | None = None

    @property
    def evaluated_model(self) -> nn.Module:
        """The model to evaluate and save: the moving average if there is one."""
        return self.model if self.ema is None else self.ema.module

    def read(self, processes: Processes = ALONE) -> None:
        """Bring the position up to date with what was measured on the device; all must ask.

        Raises:
            TrainingError: If a loss is not finite; names the batch and its images.
        """
        try:
            self.pending.read_into(self.position)
        except TrainingError:  # in all processes, which have the same losses
            with processes.together():
                raise

    def state_dict(self, processes: Processes = ALONE) -> dict[str, Any]:
        """All state, in types that load without unpickling objects; all processes must ask.

        Raises:
            TrainingError: If a loss was not finite, so that no such state is saved.
        """
        self.read(processes)
        generators = processes.gather(_generators())
        return {
            "model": full(self.model.state_dict()),
            "loss": self.loss.state_dict(),
            "optimizer": full(self.optimizer.state_dict()),
            "scaler": self.scaler.state_dict(),
            "ema": None if self.ema is None else full(self.ema.module.state_dict()),
            "position": asdict(self.position),
            "start": self.start,
            **generators[0],
            "other_processes": generators[1:],
        }

    def load_state_dict(self, state: dict[str, Any], processes: Processes = ALONE) -> None:
        """Go back to where :meth:`state_dict` was taken, by however many processes.

        Raises:
            ConfigError: If the run decays to other weights than it did.
        """
        if state.get("start") != self.start:
            raise ConfigError(
                "--resume: the weights that optimizer.decay_to_start decays to are others than "
                "when the run began; bring back those of then, or start a new run"
            )
        load_full(self.model, state["model"])
        self.loss.load_state_dict(state["loss"])
        self._load_optimizer(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        if self.ema is not None:
            load_full(self.ema.module, state["ema"])
        self.position = Position(**state["position"])
        self.scheduler.step_update(self.position.schedule_updates)
        generators = [state, *state.get("other_processes", [])]
        if processes.rank < len(generators):
            _set_generators(generators[processes.rank])

    def _load_optimizer(self, state: dict[str, Any]) -> None:
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        moments = {
            place: {
                key: sharded_like(value, parameters[place]) if isinstance(value, Tensor) else value
                for key, value in values.items()
            }
            for place, values in state["state"].items()
        }
        self.optimizer.load_state_dict({**state, "state": moments})


def _generators() -> dict[str, Any]:
    return {
        "rng": torch.get_rng_state(),
        "cuda_rng": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def _set_generators(state: dict[str, Any]) -> None:
    torch.set_rng_state(state["rng"].cpu())
    if torch.cuda.is_available() and len(state["cuda_rng"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([one.cpu() for one in state["cuda_rng"]])


def train_epoch(
    training: Training,
    loader: Loader,
    config: TrainingConfig,
    device: torch.device,
    stop: StopRequest,
    after_update: Callable[[], bool] | None = None,
    processes: Processes = ALONE,
    run_left: Callable[[], str] | None = None,
) -> None:
    """Train one epoch, or what an interruption left of it.

    Several processes compute the loss of the whole batch, each, from the logits of all; so a loss
    that couples images, divides by what is known or keeps an account means what it means in one.

    Args:
        training: What is trained; its position says where to begin and is kept up to date.
        loader: Batches of the training images.
        config: Epochs, accumulation, clipping, precision.
        device: Where to compute.
        stop: Asked after every update; when a stop is requested, the epoch is left incomplete.
        after_update: Called after every update but the last of the epoch; says whether to leave
            the epoch incomplete.
        processes: Those that train together, each with its own share of the loader's batches.
        run_left: The time that the whole run has left, in words, to be shown.

    Raises:
        TrainingError: If the loss is not finite; names the batch and its images.
        DataError: If not one image of the epoch could be read.
    """
    position = training.position
    if isinstance(training.model, Classifier):
        training.model.train_backbone(position.epoch >= config.head_only_epochs)
    training.model.train()
    training.loss.set_epoch(position.epoch)
    loader.set_epoch(position.epoch, start_batch=position.batch)
    batches = position.batch + len(loader)
    title = f"epoch {position.epoch + 1}/{config.epochs}"
    with (
        Progress(title, batches, position.batch, processes.is_main, run_left) as progress,
        forward_together(training.model, processes, device, config.sync_batch_norm) as model,
    ):
        for batch in in_step(loader, processes):
            group_start = position.batch - position.batch % config.accumulate
            group_size = min(config.accumulate, batches - group_start)
            shared = loader.is_shared(position.batch)
            counts = processes.numbers(len(batch.indices)) if shared else [len(batch.indices)]
            with eager_unless(tuple(counts) == loader.full_counts):
                _backward(training, model, batch, counts, config, device, group_size, processes)
            if position.batch == group_start and group_size > 1:
                _measure_part(training, group_size)
            position.batch += 1
            progress.step(
                sum(counts),
                loss=position.mean_loss,
                lr=max(group["lr"] for group in training.optimizer.param_groups),
            )
            if position.batch == group_start + group_size:
                _update(training, config)
                if training.pending.are_due(device):
                    training.read(processes)
                if processes.any(stop.requested):
                    return
                if position.batch < batches and after_update is not None and after_update():
                    return
    training.read(processes)
    if position.images == 0:
        raise DataError("not one training image could be read; see the messages above")
    position.next_epoch()


def _backward(
    training: Training,
    model: nn.Module,
    batch: Batch,
    counts: Sequence[int],
    config: TrainingConfig,
    device: torch.device,
    group_size: int,
    processes: Processes,
) -> None:
    """Add the gradient of one batch, of which each process may have a share; note its loss."""
    # Images that cannot be read may leave none, or one, over which batch norm cannot normalise.
    if min(counts) == 0 or sum(counts) < min(2, config.batch_size):
        training.position.images += sum(counts)
        return
    channels_last = config.channels_last and batch.images.ndim == 4
    layout = torch.channels_last if channels_last else torch.preserve_format
    images = batch.images.to(device, non_blocking=True, memory_format=layout)
    targets = batch.targets.to(device, non_blocking=True)
    known = None if batch.known is None else batch.known.to(device, non_blocking=True)
    rows = batch.indices
    with autocast(device, config.autocast):
        logits = model(images)
        check_logits(logits, tuple(targets.shape), in_training=True)
        if len(counts) > 1:
            if logits.requires_grad:
                logits.register_hook(lambda gradient: gradient * processes.count)  # mean to sum
            logits, targets = processes.rows(logits, counts), processes.rows(targets, counts)
            known = None if known is None else processes.rows(known, counts)
            rows = processes.rows(rows, counts)
        loss = training.loss(logits, targets, known)
    training.pending.add_loss(training.position, loss, sum(counts), rows, logits)
    if training.pending.are_due(device):
        training.read(processes)
    again = statistics_at_rest(model) if config.gradient_checkpointing else nullcontext()
    with again:
        training.scaler.scale(loss / group_size).backward()


def _update(training: Training, config: TrainingConfig) -> None:
    """One step of the optimizer with the gradients that were added up, if there are any."""
    if _gradients(training):
        _step(training, config)
    training.pending.next_update()
    training.position.updates += 1
    training.scheduler.step_update(training.position.schedule_updates)


def _step(training: Training, config: TrainingConfig) -> None:
    training.scaler.unscale_(training.optimizer)
    if config.clip_grad_norm is None:
        norm = nn.utils.get_total_norm(_gradients(training))
    else:
        parameters = dict.fromkeys([*training.model.parameters(), *training.loss.parameters()])
        norm = nn.utils.clip_grad_norm_(parameters, config.clip_grad_norm)
    training.pending.add_gradient(full(norm))
    training.scaler.step(training.optimizer)
    training.scaler.update()
    training.optimizer.zero_grad(set_to_none=True)
    if training.ema is not None:
        training.ema.update(training.model, step=training.position.schedule_updates + 1)


def _measure_part(training: Training, group_size: int) -> None:
    """Note the gradient of the first batch of an update, from which its noise is estimated."""
    gradients = _gradients(training)
    if gradients and getattr(training.loss, "reduction", "mean") != "sum":
        norm = full(nn.utils.get_total_norm(gradients)) * group_size
        training.pending.add_part(norm / training.scaler.scale(torch.ones_like(norm)))


def _gradients(training: Training) -> list[Tensor]:
    groups = training.optimizer.param_groups
    found = [parameter.grad for group in groups for parameter in group["params"]]
    return [gradient for gradient in found if gradient is not None]
