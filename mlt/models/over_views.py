"""One answer of several: the mean over views of an image, and over the models of an ensemble."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mlt.activation import Activation
from mlt.data.view_settings import Average
from mlt.data.view_transform import Inputs

__all__ = ["InOrder", "OverViews", "mean_logits"]


def mean_logits(
    logits: Tensor, dim: int, average: Average = "logits", activation: Activation = "sigmoid"
) -> Tensor:
    """The mean of logits, or the logits of the mean of their probabilities.

    Args:
        logits: Shape (..., C), in float32 or float64.
        dim: Over which to average; not the last.
        average: What.
        activation: How the logits become probabilities.

    Returns:
        Logits, without that dimension.

    Example:
        >>> logits = torch.tensor([[0.0, 0.0], [2.0, 0.0]])
        >>> mean_logits(logits, 0)
        tensor([1., 0.])
        >>> mean_logits(logits, 0, "probabilities").sigmoid()
        tensor([0.6904, 0.5000])
        >>> mean_logits(logits, 0, "probabilities", "softmax").softmax(-1)
        tensor([0.6904, 0.3096])
    """
    if average == "logits":
        return logits.mean(dim)
    if activation == "softmax":
        return logits.log_softmax(-1).logsumexp(dim) - math.log(logits.shape[dim])
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
        activation: How the logits of all of them become probabilities.
    """

    def __init__(
        self,
        models: Sequence[nn.Module],
        inputs: Inputs,
        average: Average = "logits",
        ensemble: Average = "probabilities",
        activation: Activation = "sigmoid",
    ) -> None:
        super().__init__()
        self.models = nn.ModuleList(models)
        self.activation = activation
        self.inputs = inputs
        self.average = average
        self.ensemble = ensemble

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, C) in float32 of a batch of what ``inputs.transform`` gives."""
        parts = self.inputs.split(images)
        answers = [self._answer(k, parts) for k in range(len(self.models))]
        if len(answers) == 1:
            return answers[0]
        return mean_logits(torch.stack(answers), 0, self.ensemble, self.activation)

    def _answer(self, k: int, parts: Sequence[Tensor]) -> Tensor:
        """The answer of one model."""
        each = []
        for view in self.inputs.views[k]:
            part = parts[view.index]
            each.append(self.models[k](part.flip(-1) if view.mirror else part).float())
        if len(each) == 1:
            return each[0]
        return mean_logits(torch.stack(each), 0, self.average, self.activation)
