"""The whole configuration of a run."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from mlt.config.training import (
    EvaluationConfig,
    OptimizerConfig,
    ScheduleConfig,
    TrainingConfig,
)
from mlt.data.samplers.settings import SamplerConfig, ShuffleSampler
from mlt.data.settings import DataConfig
from mlt.data.transform_settings import TransformsConfig
from mlt.losses.loss_config import LossConfig
from mlt.losses.settings import SoftmaxLoss
from mlt.models.heads.settings import CosineHead
from mlt.models.settings import ModelConfig
from mlt.settings import Settings, UserPath

__all__ = ["Config", "combination_problems"]


class Config(Settings):
    """One run: data, model, loss and how they are trained and evaluated."""

    seed: int = Field(0, ge=0, lt=2**32)
    """Seed of the initial weights, the order of the images and the augmentation."""
    output: UserPath = Field(min_length=1)
    """Folder the run is written to."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to compute; auto takes a GPU if there is one."""
    logging: tuple[Literal["tensorboard", "wandb", "mlflow"], ...] = ()
    """Where the line of each epoch goes too, besides metrics.jsonl; each needs its package."""
    data: DataConfig
    """Which images, with which labels."""
    transforms: TransformsConfig
    """How an image becomes the input of the model, with augmentation in training."""
    sampler: SamplerConfig = ShuffleSampler(name="shuffle")
    """Which images an epoch consists of."""
    model: ModelConfig
    """Backbone and head."""
    loss: LossConfig
    """What is minimised: a published loss by its name, or its parts."""
    optimizer: OptimizerConfig = OptimizerConfig()
    """How the weights are updated, and at which rate."""
    schedule: ScheduleConfig = ScheduleConfig()
    """How the rate goes over the updates."""
    training: TrainingConfig
    """How long, in which batches, at which precision."""
    evaluation: EvaluationConfig = EvaluationConfig()
    """When to evaluate, and which classes are head, medium and tail."""


def _scale_of_logits(loss: Any) -> float:
    """What a loss multiplies logits by, as LDAM does."""
    return getattr(loss, "s", getattr(getattr(loss, "adjustment", None), "scale", 1.0))


def combination_problems(config: Config) -> list[tuple[str, str]]:
    """What is wrong with the sections taken together, each of them being right by itself.

    Args:
        config: A configuration whose sections are valid.

    Returns:
        (dotted path, sentence) pairs.
    """
    problems = []
    training, schedule = config.training, config.schedule
    if schedule.milestones and schedule.milestones[-1] >= training.epochs > 0:
        problems.append(
            (
                "schedule.milestones",
                f"the last milestone ({schedule.milestones[-1]:g}) must come before the end of "
                f"training (training.epochs: {training.epochs})",
            )
        )
    if training.head_only_epochs > training.epochs:
        problems.append(
            (
                "training.head_only_epochs",
                f"{training.head_only_epochs} is more than training.epochs ({training.epochs})",
            )
        )
    if training.features not in (None, "none") and config.model.freeze != "all":
        problems.append(
            (
                "training.features",
                "only a frozen backbone has them: set model.freeze to all, or none",
            )
        )
    if training.save == "difference" and (config.model.weights, config.model.checkpoint) == (
        "none",
        None,
    ):
        problems.append(
            (
                "training.save",
                "difference needs weights that can be had again, and those of model.weights: none "
                "are random: name others, or a model.checkpoint, or set it to full",
            )
        )
    evaluation = config.evaluation
    if training.early_stopping and not (evaluation.every_updates or evaluation.every_epochs):
        problems.append(
            (
                "training.early_stopping",
                "needs evaluations before the last epoch: set evaluation.every to 1 or more",
            )
        )
    problems += [
        (f"training.{key}", "does not go with model.head: prompts; set it to false")
        for key in ("compile", "fsdp")
        if config.model.head.name == "prompts" and getattr(training, key)
    ]
    data, loss = config.data, config.loss
    if getattr(loss, "reduction", "mean") == "none":
        problems.append(
            ("loss.reduction", "training needs one number per batch: mean, sum or batchmean")
        )
    mix = config.transforms.mix
    if mix is not None and mix.softens and not getattr(loss, "takes_soft_targets", True):
        choices = "labels: union, or a loss of each label by itself, such as bce or asl"
        if isinstance(loss, SoftmaxLoss):
            choices = "a loss that takes them, such as ce or cb_softmax"
        problems.append(
            (
                "transforms.mix.labels",
                f"mixed labels lie between 0 and 1, which the loss {getattr(loss, 'name', '')!r} "
                f"rounds; choose {choices}",
            )
        )
    if mix is not None and mix.labels == "union" and isinstance(loss, SoftmaxLoss):
        problems.append(
            (
                "transforms.mix.labels",
                f"union gives mixed images two labels, and {loss.name!r} is a softmax loss, for "
                "exactly one; choose labels: mix",
            )
        )
    problems += [
        ("data.split", f"a ready split leaves nothing for data.{key} to do; give one of them")
        for key in ("longtail", "image_ids")
        if data.split is not None
        and getattr(data, key, None) is not None
        and not data.cuts("train")
    ]
    head, scale = config.model.head, _scale_of_logits(loss)
    if isinstance(head, CosineHead) and head.learn_scale and scale != 1:
        problems.append(
            (
                "model.head.learn_scale",
                f"the loss multiplies cosines by {scale:g} already; leave it out",
            )
        )
    if isinstance(head, CosineHead) and head.scale != 1 and scale != 1:
        problems.append(
            (
                "model.head.scale",
                f"cosines times {head.scale:g} here and times {scale:g} in the loss are too much; "
                "set it to 1, or take another loss",
            )
        )
    if schedule.min_lr > config.optimizer.lr:
        problems.append(
            (
                "schedule.min_lr",
                f"{schedule.min_lr:g} is more than optimizer.lr ({config.optimizer.lr:g})",
            )
        )
    return problems
