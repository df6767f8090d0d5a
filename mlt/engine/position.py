"""How far training is, and what was measured on the way there."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Position"]


@dataclass
class Position:
    """How far training is.

    Attributes:
        epoch: Epochs that are complete.
        batch: Batches done of the epoch that follows.
        updates: Optimizer updates since the start.
        loss_sum: Sum over those batches of loss times images.
        images: Images of those batches.
        last_loss: Mean loss of the epoch that was completed last; None before the first.
        norms: Updates of the epoch so far whose gradient was measured and finite.
        norm_sum: Sum of the norms of their gradients, before clipping.
        norm_max: The largest of them.
        noise: Sum of the estimates of the gradient's variance from image to image (its trace).
        signal: Sum of the estimates of the squared norm of the gradient without that noise.
        last_gradient: What :attr:`gradient` was of the epoch that was completed last.
        stage: The stage of the run, from 0.
        schedule_start: Updates of the stages before the one whose schedule is in force.
    """

    epoch: int = 0
    batch: int = 0
    updates: int = 0
    loss_sum: float = 0.0
    images: int = 0
    last_loss: float | None = None
    norms: int = 0
    norm_sum: float = 0.0
    norm_max: float = 0.0
    noise: float = 0.0
    signal: float = 0.0
    last_gradient: dict[str, Any] = field(default_factory=dict)
    stage: int = 0
    schedule_start: int = 0

    def __post_init__(self) -> None:
        counts = [self.epoch, self.batch, self.updates, self.images, self.norms]
        counts += [self.stage, self.schedule_start]
        if not all(isinstance(count, int) and count >= 0 for count in counts):
            raise ValueError(f"a position cannot be {self}")

    @property
    def schedule_updates(self) -> int:
        """Optimizer updates since the schedule in force began."""
        return self.updates - self.schedule_start

    @property
    def mean_loss(self) -> float:
        """Mean loss of the epoch so far; NaN before its first image."""
        return self.loss_sum / self.images if self.images else math.nan

    @property
    def gradient(self) -> dict[str, Any]:
        """The gradients of the epoch so far, as a line of ``metrics.jsonl`` has them.

        ``grad_norm`` holds the mean and the largest norm before clipping, and
        ``grad_noise_scale`` the simple noise scale in images (McCandlish et al., 2018, 1812.06162,
        appendix A.1) where batches are accumulated; each is left out where it was not measured.

        Example:
            >>> Position(norms=2, norm_sum=3.0, norm_max=2.0, noise=8.0, signal=0.25).gradient
            {'grad_norm': {'mean': 1.5, 'max': 2.0}, 'grad_noise_scale': 32.0}
        """
        measured: dict[str, Any] = {}
        if self.norms:
            measured["grad_norm"] = {"mean": self.norm_sum / self.norms, "max": self.norm_max}
        if self.noise > 0 and self.signal > 0:
            measured["grad_noise_scale"] = self.noise / self.signal
        return measured

    def add_gradient(self, norm: float) -> None:
        """Count the gradient of an update; one that is not finite (fp16) is left out."""
        if math.isfinite(norm):
            self.norms += 1
            self.norm_sum += norm
            self.norm_max = max(self.norm_max, norm)

    def add_noise(self, norm: float, images: int, part_norm: float, part_images: int) -> None:
        """Estimate noise and signal from the gradients of a batch and of a part of it.

        Args:
            norm: Of the mean gradient of the whole batch.
            images: Of the whole batch.
            part_norm: Of the mean gradient of the part.
            part_images: Of the part; fewer than ``images``.
        """
        whole, part = norm**2, part_norm**2
        if math.isfinite(whole + part):
            self.noise += (part - whole) / (1 / part_images - 1 / images)
            self.signal += (images * whole - part_images * part) / (images - part_images)

    def next_epoch(self) -> None:
        """The epoch is complete."""
        self.last_loss = self.mean_loss if self.images else None
        self.last_gradient = self.gradient
        self.epoch += 1
        self.batch, self.loss_sum, self.images = 0, 0.0, 0
        self.norms, self.norm_sum, self.norm_max = 0, 0.0, 0.0
        self.noise, self.signal = 0.0, 0.0
