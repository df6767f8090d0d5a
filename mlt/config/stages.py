"""The stages of a training: each as the configuration that is in force while it lasts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlt.config.config import Config, combination_problems
from mlt.config.training import Stage, TauNormalised, TrainingConfig
from mlt.config.words import spelt_out
from mlt.models.heads.settings import LinearHead, ProjectionHead, takes_own_projection

__all__ = ["PlannedStage", "complete_stages", "plan_stages", "problems_of_sections"]


@dataclass(frozen=True)
class PlannedStage:
    """A stage, and what is in force while it lasts.

    Attributes:
        number: From 0.
        config: The whole configuration with what the stage names put in place; its
            ``training.epochs`` are those of the whole run.
        settings: What the stage names.
        start: Epochs of the run before it.
        end: Epochs of the run after it.
        schedule_epochs: Length of the schedule in force, which may have begun before this stage
            and may end after it.
        begins_anew: Whether optimizer and schedule begin with it.
    """

    number: int
    config: Config
    settings: Stage
    start: int
    end: int
    schedule_epochs: int
    begins_anew: bool


def plan_stages(config: Config) -> tuple[PlannedStage, ...]:
    """Lay out the stages of a run; a run without any is one stage.

    Args:
        config: The run.

    Example:
        >>> from mlt.config import load_config
        >>> stages = "training.stages=[{epochs: 6}, {epochs: 2, loss: cb_focal}]"
        >>> config = load_config("digits_mlt_bce", [stages, "training.epochs=8"])
        >>> [(s.start, s.end, s.schedule_epochs, s.begins_anew) for s in plan_stages(config)]
        [(0, 6, 8, True), (6, 8, 8, False)]
    """
    training = config.training
    if not training.stages:
        alone = Stage.model_construct(epochs=training.epochs)
        return (PlannedStage(0, config, alone, 0, training.epochs, training.epochs, True),)
    starts = [k for k, stage in enumerate(training.stages) if k == 0 or stage.begins_anew]
    planned: list[PlannedStage] = []
    in_force, start = config, 0
    for number, stage in enumerate(training.stages):
        anew = number in starts
        if anew:
            in_force = config  # what the stages before named ends with them
        in_force = _in_force(in_force, config, stage)
        first = max(k for k in starts if k <= number)
        after = min((k for k in starts if k > number), default=len(training.stages))
        length = sum(other.epochs for other in training.stages[first:after])
        end = start + stage.epochs
        planned.append(PlannedStage(number, in_force, stage, start, end, length, anew))
        start = end
    return tuple(planned)


def _in_force(before: Config, whole: Config, stage: Stage) -> Config:
    """The configuration of a stage, on top of that of the stage whose optimizer goes on."""
    unnamed = {"optimizer": before, "schedule": before, "loss": whole, "sampler": whole}
    sections = {
        name: getattr(stage, name) or getattr(otherwise, name)
        for name, otherwise in unnamed.items()
    }
    freeze = before.model.freeze if stage.freeze is None else stage.freeze
    if stage.head == "lws":
        freeze = "all"
    features = stage.features
    if features is None and freeze == "all":
        features = whole.training.features
    training = whole.training.model_copy(update={"features": features, "stages": ()})
    model = before.model.model_copy(update={"freeze": freeze})
    return before.model_copy(update={**sections, "training": training, "model": model})


def complete_stages(values: Mapping[str, Any]) -> dict[str, Any]:
    """Write the sections of stages out, from what they name and the sections of the run.

    Args:
        values: Plain values of a whole configuration, not checked yet; what is not of the right
            type stays as it is.

    Returns:
        The values with complete stages, and ``training.epochs`` if it was not given.
    """
    training = values.get("training")
    stages = training.get("stages") if isinstance(training, dict) else None
    if not isinstance(training, dict) or not isinstance(stages, list) or not stages:
        return dict(values)
    completed = [
        {
            key: _completed(key, spelt_out(key, value), values.get(key))
            for key, value in stage.items()
        }
        if isinstance(stage, dict)
        else stage
        for stage in stages
    ]
    lengths = [stage.get("epochs") for stage in completed if isinstance(stage, dict)]
    epochs = {}
    if "epochs" not in training and all(type(length) is int for length in lengths):
        epochs = {"epochs": sum(lengths)}  # type: ignore[arg-type]
    whole = {**values, "training": {**training, **epochs, "stages": completed}}
    model = values.get("model")
    if isinstance(model, dict) and any(
        isinstance(stage, dict) and stage.get("head") == "lws" for stage in completed
    ):
        head = model.get("head", {"name": "linear"})
        if isinstance(head, dict) and head.get("name", "linear") == "linear":
            whole["model"] = {**model, "head": {**head, "class_scale": True}}
    return whole


def _completed(key: str, value: Any, whole: Any) -> Any:
    """A section of a stage with the keys that it leaves to the run's section."""
    if not isinstance(value, dict) or not isinstance(whole, dict):
        return value
    merges = key == "optimizer" or (key == "schedule" and "name" not in value)
    return {**whole, **value} if merges else value


def problems_of_sections(config: Config) -> list[tuple[str, str]]:
    """What is wrong with the sections taken together, in each stage.

    Args:
        config: A configuration whose sections are valid.

    Returns:
        (dotted path, sentence) pairs.
    """
    training = config.training
    planned = plan_stages(config)
    problems = []
    learn = config.model.learn.name
    if learn != "all" and all(stage.config.model.freeze == "all" for stage in planned):
        problems.append(
            (
                "model.learn",
                f"{learn} says what of the backbone learns, and all of it is frozen: leave it out, "
                "or set model.freeze to []",
            )
        )
    if not training.stages:
        return problems + combination_problems(config)
    problems += _problems_of_stages(training)
    problems += [
        (f"training.stages.{number}.head", "lws is for model.head: {name: linear}")
        for number, stage in enumerate(training.stages)
        if stage.head == "lws" and not getattr(config.model.head, "class_scale", False)
    ]
    problems += [
        (
            f"training.stages.{number}.head",
            f"tau normalises the last linear layer, which model.head: {config.model.head.name} "
            "does not have; it is for linear and projection",
        )
        for number, stage in enumerate(training.stages)
        if isinstance(stage.head, TauNormalised)
        and not isinstance(config.model.head, LinearHead | ProjectionHead)
    ]
    problems += [
        (
            f"training.stages.{number}.head",
            "reinit makes a new head, without the image tower's own projection, which model.head: "
            "text has taken; leave it out, or set model.head.projection: new",
        )
        for number, stage in enumerate(training.stages)
        if stage.head == "reinit" and takes_own_projection(config.model.head)
    ]
    for stage in planned:
        length = stage.config.training.model_copy(update={"epochs": stage.schedule_epochs})
        checked = stage.config.model_copy(update={"training": length})
        problems += [
            (_path(key, stage), sentence) for key, sentence in combination_problems(checked)
        ]
    frozen = any(stage.config.model.freeze == "all" for stage in planned)
    if training.features not in (None, "none") and not frozen:
        problems.append(
            ("training.features", "only a frozen backbone has them: no stage has freeze: all")
        )
    return list(dict.fromkeys(problems))


def _problems_of_stages(training: TrainingConfig) -> list[tuple[str, str]]:
    problems = []
    total = sum(stage.epochs for stage in training.stages)
    if training.epochs != total:
        problems.append(
            (
                "training.epochs",
                f"{training.epochs} is not the sum of the stages' epochs, {total}; give that, or "
                "leave it out",
            )
        )
    problems += [
        (f"training.{key}", "does not go with training.stages; leave one of them out")
        for key in ("early_stopping", "compile")
        if getattr(training, key)
    ]
    if training.head_only_epochs:
        problems.append(
            (
                "training.head_only_epochs",
                "does not go with training.stages; write it as the first of them: "
                f"{{epochs: {training.head_only_epochs}, freeze: all}}",
            )
        )
    return problems


def _path(key: str, stage: PlannedStage) -> str:
    """Where the key of a problem stands: in the stage if that names its section."""
    section = key.removeprefix("training.").partition(".")[0]
    named = getattr(stage.settings, section, None) is not None
    return f"training.stages.{stage.number}.{key.removeprefix('training.')}" if named else key
