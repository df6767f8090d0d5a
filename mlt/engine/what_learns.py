"""How much of each part of a model learns, and at which rates, in words."""

from __future__ import annotations

from torch import nn

from mlt.engine.prepared_stage import PreparedStage
from mlt.models import Classifier
from mlt.models.adapters import is_adapter

__all__ = ["what_learns"]


def what_learns(model: nn.Module, stage: PreparedStage) -> list[str]:
    """A line for each part of a model, and for the loss if it has parameters.

    Args:
        model: That of the run.
        stage: With the optimizer of what learns.

    Returns:
        As in ``backbone: 17,536 of 3,371,024 parameters learn (0.52 %), lr 0.0001 to 0.001``.
    """
    rates = {
        parameter: stage.plan.config.optimizer.lr * group["lr_scale"]
        for group in stage.optimizer.param_groups
        for parameter in group["params"]
    }
    parts: dict[str, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        parts.setdefault(_part(model, name), []).append(parameter)
    of_model = set(model.parameters())
    if of_loss := [parameter for parameter in rates if parameter not in of_model]:
        parts["loss"] = of_loss
    lines = []
    for part, parameters in parts.items():
        total = sum(parameter.numel() for parameter in parameters)
        learning = [parameter for parameter in parameters if parameter in rates]
        count = sum(parameter.numel() for parameter in learning)
        share = 100 * count / total
        lines.append(
            f"{part}: {count:,} of {total:,} parameters learn ({share:.3g} %)"
            f"{_span([rates[parameter] for parameter in learning])}"
        )
    return lines


def _span(rates: list[float]) -> str:
    if not rates:
        return ""
    ends = dict.fromkeys((min(rates), max(rates)))
    return f", lr {' to '.join(f'{rate:.3g}' for rate in ends)}"


def _part(model: nn.Module, name: str) -> str:
    if is_adapter(name):
        return "adapters"
    return name.partition(".")[0] if isinstance(model, Classifier) else "model"
