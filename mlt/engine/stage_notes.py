"""What a user should know about the losses and schedules of a run before it trains."""

from __future__ import annotations

from collections.abc import Sequence

from mlt.class_counts import ClassCounts
from mlt.engine.prepared_stage import PreparedStage
from mlt.losses.class_weights import effective_number_weights, num_samples
from mlt.losses.loss_config import LossConfig, PresetLoss
from mlt.losses.part_settings import EffectiveNumber

__all__ = ["stage_notes"]

HARSH_SPAN = 25.0
"""Ratio of the largest to the smallest class weight of beta auto from which a note says so.

On the embedded data it is 30, and beta auto has half the mAP of beta 0.9 (docs/presets.md)."""


def stage_notes(
    stages: Sequence[PreparedStage], class_counts: ClassCounts, handed_loss: bool
) -> tuple[str, ...]:
    """Sentences about class weights that are harsh, and warm-ups that do not end.

    Args:
        stages: Of the run.
        class_counts: Of the training images.
        handed_loss: Whether the loss is not that of the configuration.
    """
    losses = {} if handed_loss else {id(s.loss): s.plan.config.loss for s in stages}
    notes = [_harsh_weights(loss, class_counts) for loss in losses.values()]
    notes += [_short_of_warmup(stage, len(stages)) for stage in stages]
    return tuple(note for note in notes if note is not None)


def _short_of_warmup(stage: PreparedStage, num_stages: int) -> str | None:
    """Say so if the schedule that begins with a stage ends within its warm-up."""
    what = "the run" if num_stages == 1 else f"stage {stage.plan.number + 1}"
    warmup = stage.plan.config.schedule.warmup(stage.updates_per_epoch)
    updates = stage.plan.schedule_epochs * stage.updates_per_epoch
    if not stage.plan.begins_anew or not 0 < updates <= warmup:
        return None
    return (
        f"warning: the warm-up of the schedule takes {warmup} updates, but {what} has {updates}: "
        "it never reaches its learning rate; shorten it, or train longer"
    )


def _harsh_weights(loss: LossConfig, counts: ClassCounts) -> str | None:
    """Say so if class weights of beta auto differ by more than a short training gets over."""
    resolved = loss.resolve() if isinstance(loss, PresetLoss) else loss
    part = getattr(resolved, "weighting", None)
    if not isinstance(part, EffectiveNumber) or part.beta != "auto":
        return None
    weights = effective_number_weights(counts.clamped, "auto", num_samples(counts))
    span = weights.max() / weights.min()
    if span <= HARSH_SPAN:
        return None
    rarest, commonest = (counts.label(int(k)) for k in (weights.argmax(), weights.argmin()))
    return (
        f"warning: with beta auto class {rarest} weighs {span:.0f} times as much as class "
        f"{commonest}, which in a short training often costs more than it brings; a smaller beta "
        "is milder: loss.options.beta (or loss.weighting.beta) 0.9 spans at most 10 times, 0.99 100"
    )
