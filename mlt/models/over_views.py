"""One answer of several: the mean over views of an image, and over the models of an ensemble."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mlt.data.view_settings import Average
from mlt.data.view_transform import Inputs

__all__ = ["InOrder", "OverViews", "mean_logits"]


def mean_logits(logits: Tensor, dim: int, average: Average = "logits") -> Tensor:
    """The mean of logits, or the logits of the mean of their probabilities.

    Args:
        logits: Of any shape, in float32 or float64.
        dim: Over which to average.
        average: What.

    Returns:
        Logits, without that dimension.

    Example:
        >>> mean_logits(torch.tensor([0.0, 2.0]), 0).item()
        1.0
        >>> mean_logits(torch.tensor([0.0, 2.0]), 0, "probabilities").sigmoid()
        tensor(0.6904)
    """
    if average == "logits":
        return logits.mean(dim)
    # The shares of all that speaks for and against, whose ratio the number of views cancels out of.
    yes, no = F.logsigmoid(logits), F.logsigmoid(-logits)
    return yes.logsumexp(dim) - no.logsumexp(dim)


class InOrder(nn.Module):
    """A model with its classes in another order.

    Args:
        model: Gives logits (N, C).
        columns: The column of each class among those of the model.
    """

    def __init__(self, model: nn.Module, columns: Sequence[int]) -> None:
        super().__init__()
        self.model = model
        self.columns = list(columns)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, C)."""
        return self.model(images)[:, self.columns]


class OverViews(nn.Module):
    """Models that are shown several views of each image, and the mean of their answers.

    Args:
        models: One, or those of an ensemble; as many as ``inputs.views``.
        inputs: What they are shown.
        average: Over the views of each model.
        ensemble: Over the models, whose classes are the same in the same order.
    """

    def __init__(
        self,
        models: Sequence[nn.Module],
        inputs: Inputs,
        average: Average = "logits",
        ensemble: Average = "probabilities",
    ) -> None:
        super().__init__()
        self.models = nn.ModuleList(models)
        self.inputs = inputs
        self.average = average
        self.ensemble = ensemble

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, C) in float32 of a batch of what ``inputs.transform`` gives."""
        parts = self.inputs.split(images)
        answers = [self._answer(k, parts) for k in range(len(self.models))]
        if len(answers) == 1:
            return answers[0]
        return mean_logits(torch.stack(answers), 0, self.ensemble)

    def _answer(self, k: int, parts: Sequence[Tensor]) -> Tensor:
        """The answer of one model."""
        each = []
        for view in self.inputs.views[k]:
            part = parts[view.index]
            each.append(self.models[k](part.flip(-1) if view.mirror else part).float())
        return each[0] if len(each) == 1 else mean_logits(torch.stack(each), 0, self.average)
