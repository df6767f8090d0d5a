"""Weight decay towards the weights that a fine-tuning began with.

Li, Grandvalet and Davoine, Explicit Inductive Bias for Transfer Learning with Convolutional
Networks, ICML 2018 (1802.01483), equation 3: L2-SP. The paper adds the penalty to the loss; here it
is decoupled from the gradient, as weight decay is in AdamW, so that it means the same for every
optimizer. The head, which begins at random, is left to ``optimizer.weight_decay``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mlt.engine.parallel import full
from mlt.errors import ConfigError
from mlt.models import Classifier
from mlt.models.adapters import is_adapter
from mlt.models.checkpoint import weights_digest

__all__ = ["decay_to_start", "digest_of_start", "weights_to_start_from"]


def weights_to_start_from(model: nn.Module) -> dict[nn.Parameter, Tensor]:
    """Copies of the backbone's weights as they are now, by parameter.

    Args:
        model: As the run begins, in the form in which it is trained.

    Raises:
        ConfigError: If it has no backbone that mlt could tell from its head.
    """
    if not isinstance(model, Classifier):
        raise ConfigError(
            "optimizer.decay_to_start: a model of your own has no backbone and head that mlt could "
            "tell apart; leave it out, or build the model with mlt.models.Classifier(backbone, "
            "head)"
        )
    return {
        parameter: parameter.detach().clone()
        for name, parameter in model.backbone.named_parameters()
        if not is_adapter(name)
    }


def digest_of_start(start: Mapping[nn.Parameter, Tensor]) -> str:
    """SHA-256 of the weights to decay to, by which a resumed run knows them; all must ask."""
    return weights_digest({f"{k:06}": value for k, value in enumerate(full(list(start.values())))})


def decay_to_start(
    optimizer: torch.optim.Optimizer, strength: float, start: Mapping[nn.Parameter, Tensor]
) -> None:
    """Let every update of an optimizer end with ``w += lr * strength * (start - w)``.

    Args:
        optimizer: Its groups have their rates as ``lr``, as all of PyTorch's.
        strength: 0 or more; the step is at most the whole way.
        start: The values to decay to; other parameters are left alone.

    Example:
        >>> weight = nn.Parameter(torch.tensor([1.0]))
        >>> optimizer = torch.optim.SGD([weight], lr=0.1)
        >>> decay_to_start(optimizer, 2.0, {weight: torch.tensor([0.0])})
        >>> weight.grad = torch.tensor([1.0])
        >>> optimizer.step()
        >>> weight  # (1 - 0.1) * (1 - 0.1 * 2)
        Parameter containing:
        tensor([0.7200], requires_grad=True)
    """

    @torch.no_grad()
    def pull(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        # Fused kernels under fp16 find out by themselves whether a gradient overflowed.
        overflowed = getattr(optimizer, "found_inf", None)
        for group in optimizer.param_groups:
            step = min(1.0, group["lr"] * strength)
            if overflowed is not None:
                step = step * (1 - overflowed)
            for parameter in group["params"]:
                if parameter in start and parameter.grad is not None:
                    parameter.add_((start[parameter] - parameter) * step)

    optimizer.register_step_post_hook(pull)
