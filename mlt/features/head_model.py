"""A classifier that is shown features in place of images."""

from __future__ import annotations

import torch

from mlt.activation import Activation
from mlt.data.view_settings import Average
from mlt.models import Classifier
from mlt.models.over_views import mean_logits

__all__ = ["HeadModel"]


class HeadModel(Classifier):
    """A classifier whose frozen backbone has done its work already: its input are features.

    Its state is that of the whole classifier, so checkpoints are what they would be without it.
    """

    average: Average = "logits"
    """What is averaged over the views of an image."""

    activation: Activation = "sigmoid"
    """How the logits become probabilities."""

    @classmethod
    def of(
        cls, model: Classifier, average: Average = "logits", activation: Activation = "sigmoid"
    ) -> HeadModel:
        """The same backbone and head, parameter by parameter, to be called on features.

        Args:
            model: A classifier whose backbone is frozen.
            average: What is averaged over the views of an image.
            activation: How the logits become probabilities.

        Example:
            >>> from torch import nn
            >>> model = Classifier(nn.Linear(12, 4), nn.Linear(4, 2))
            >>> model.freeze("all")
            >>> HeadModel.of(model)(torch.zeros(5, 4)).shape
            torch.Size([5, 2])
        """
        made = cls(model.backbone, model.head, model.mean, model.std, model.freeze_statistics)
        made.learn_only(model.can_learn)
        made.freeze(model.frozen)
        made.train(model.training)
        made.average, made.activation = average, activation
        return made

    def on_images(self) -> Classifier:
        """The same backbone and head, to be called on images again."""
        made = Classifier(self.backbone, self.head, self.mean, self.std, self.freeze_statistics)
        made.learn_only(self.can_learn)
        made.freeze(self.frozen)
        return made.train(self.training)

    def train(self, mode: bool = True) -> HeadModel:
        """Switch the head alone: the backbone is not called, and has hundreds of parts."""
        self.training = mode
        self.head.train(mode)
        return self

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Logits (N, C) of what the head takes of an image, (N, D) or a feature map (N, D, H, W).

        Of several views, (N, views, D) or (N, views, D, H, W), it is the mean.
        """
        if features.ndim == (4 if self.is_spatial else 2):
            return self.forward_head(features)
        logits = self.forward_head(features.flatten(0, 1))
        logits = logits.unflatten(0, features.shape[:2])
        return mean_logits(logits, 1, self.average, self.activation)
