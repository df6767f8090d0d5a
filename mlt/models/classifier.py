"""The classifier: backbone and head, and which part of the backbone stays as it is."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Literal

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from mlt.errors import ConfigError
from mlt.models.heads.spatial import SpatialHead
from mlt.models.names import within
from mlt.models.spatial_features import feature_map

__all__ = ["Classifier"]


class Classifier(nn.Module):
    """A backbone that gives features, and a head that gives one logit per class.

    The two halves can be called one after the other, so that the features of a frozen backbone
    can be computed once and kept.

    Args:
        backbone: From images (N, 3, H, W) to features (N, D).
        head: From features (N, D) to logits (N, C), or from the backbone's feature map (N, D, H, W)
            where it is a :class:`~mlt.models.heads.SpatialHead`.
        mean: Mean of red, green and blue that the backbone expects, on the scale 0 to 1.
        std: Standard deviation, likewise.
        freeze_statistics: Keep the backbone's batch norm statistics as they are in training too;
            for batches or data sets too small to estimate them.

    Example:
        >>> model = Classifier(nn.Sequential(nn.Flatten(), nn.Linear(12, 4)), nn.Linear(4, 2))
        >>> model(torch.zeros(5, 3, 2, 2)).shape
        torch.Size([5, 2])
        >>> model.freeze("all")
        >>> [name for name, p in model.named_parameters() if p.requires_grad]
        ['head.weight', 'head.bias']
    """

    def __init__(
        self,
        backbone: nn.Module,
        head: nn.Module,
        mean: Sequence[float] = (0.5, 0.5, 0.5),
        std: Sequence[float] = (0.5, 0.5, 0.5),
        freeze_statistics: bool = False,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.mean = tuple(mean)
        self.std = tuple(std)
        self.freeze_statistics = freeze_statistics
        self._frozen: tuple[str, ...] | Literal["all"] = ()
        self._can_learn: frozenset[str] | None = None
        self._backbone_learns = True

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (N, C) of normalised images (N, 3, H, W)."""
        return self.forward_head(self.forward_features(images))

    def forward_features(self, images: torch.Tensor) -> torch.Tensor:
        """What the head takes of normalised images (N, 3, H, W): (N, D), or a map (N, D, H, W)."""
        return feature_map(self.backbone, images) if self.is_spatial else self.backbone(images)

    def forward_head(self, features: torch.Tensor) -> torch.Tensor:
        """Logits (N, C) of what :meth:`forward_features` returns."""
        return self.head(features)

    @property
    def is_spatial(self) -> bool:
        """Whether the head takes the feature map of the backbone and not its pooled features."""
        return isinstance(self.head, SpatialHead)

    @property
    def frozen(self) -> tuple[str, ...] | Literal["all"]:
        """What :meth:`freeze` was called with last."""
        return self._frozen

    def freeze(self, parts: Sequence[str] | Literal["all"]) -> None:
        """Freeze these parts of the backbone and no others; may be called again at any time.

        A frozen part has no gradients and stays in evaluation mode through :meth:`train`: its
        batch norm statistics do not move and its dropout is off.

        Args:
            parts: Names of modules or parameters of the backbone, as in ``layer1`` or
                ``blocks.0``, or patterns as in ``blocks.[0-3]`` and ``*.norm*``, each standing for
                all below it; or "all".

        Raises:
            ConfigError: If nothing in the backbone has such a name.
        """
        parts = "all" if parts == "all" else tuple(parts)
        if parts != "all":
            names = [name for name, _ in self.backbone.named_modules()]
            names += [name for name, _ in self.backbone.named_parameters()]
            for part in parts:
                if not any(within(name, part) for name in names):
                    top = ", ".join(name for name, _ in self.backbone.named_children())
                    raise ConfigError(
                        f"The backbone has no part named {part!r} to freeze. Its parts: {top}; "
                        "parts of parts are written with a dot."
                    )
        self._frozen = parts
        self._apply_freeze()

    @property
    def can_learn(self) -> frozenset[str] | None:
        """What :meth:`learn_only` was called with last."""
        return self._can_learn

    def learn_only(self, names: Collection[str] | None) -> None:
        """Let only these parameters of the backbone learn, unless they are frozen.

        A module that has parameters, none of which learns, stays in evaluation mode, as a frozen
        part does.

        Args:
            names: Of parameters of the backbone; None: all.
        """
        self._can_learn = None if names is None else frozenset(names)
        self._apply_freeze()

    def train_backbone(self, learn: bool) -> None:
        """Let the backbone learn, apart from what is frozen; or hold all of it for a while.

        For training the head first: a fresh head's gradients would spoil good features.
        """
        if learn != self._backbone_learns:
            self._backbone_learns = learn
            self._apply_freeze()

    def train(self, mode: bool = True) -> Classifier:
        """Set training mode, which leaves what is frozen in evaluation mode."""
        super().train(mode)
        if mode:
            for module in self._modules_at_rest():
                module.eval()
        return self

    def _apply_freeze(self) -> None:
        for name, parameter in self.backbone.named_parameters():
            able = self._can_learn is None or name in self._can_learn
            parameter.requires_grad_(able and not self._is_frozen(name))
        self.train(self.training)

    def _modules_at_rest(self) -> Iterator[nn.Module]:
        for name, module in self.backbone.named_modules():
            statistics = self.freeze_statistics and isinstance(module, _NormBase)
            if statistics or self._is_frozen(name) or self._learns_nothing(module):
                yield module

    def _is_frozen(self, name: str) -> bool:
        if self._frozen == "all" or not self._backbone_learns:
            return True
        return any(within(name, part) for part in self._frozen)

    def _learns_nothing(self, module: nn.Module) -> bool:
        """Whether :meth:`learn_only` left out all parameters of a module that has some."""
        if self._can_learn is None:
            return False
        learns = [parameter.requires_grad for parameter in module.parameters()]
        return bool(learns) and not any(learns)
