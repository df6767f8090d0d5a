"""Softmax losses as pure functions: for each row, the cross entropy of one choice among classes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mlt.errors import ConfigError, DataError
from mlt.losses.reduce import blank_unknown, check_inputs

__all__ = [
    "row_cross_entropy",
    "seesaw",
    "smooth_rows",
    "softmax_cross_entropy",
    "softmax_inputs",
]


def _one_hot(logits: Tensor, targets: Tensor) -> Tensor:
    if targets.shape == logits.shape:
        return targets
    if targets.shape != logits.shape[:-1] or targets.is_floating_point():
        raise ConfigError(
            f"Logits have shape {tuple(logits.shape)}; targets must be class indices of shape "
            f"{tuple(logits.shape[:-1])} or rows of the same shape, not {tuple(targets.shape)}."
        )
    try:
        return F.one_hot(targets.long(), logits.shape[-1])
    except RuntimeError as error:  # on the CPU; a GPU fails when it gets there
        raise DataError(
            f"Targets must be class indices from 0 to {logits.shape[-1] - 1}: {error}"
        ) from error


def softmax_inputs(
    logits: Tensor, targets: Tensor, known: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return logits and rows of one type, both 0 where unknown, and the mask."""
    y = _one_hot(logits, targets)
    z, known = check_inputs(logits, y, known)
    return *blank_unknown(z, y, known), known


def _leave_out_unknown(logits: Tensor, known: Tensor | None) -> Tensor:
    """Return logits whose softmax is over the known classes only."""
    if known is None:
        return logits
    empty = ~known.any(-1, keepdim=True)  # its softmax would be 0 / 0
    return torch.where(empty, 0, torch.where(known, logits, -torch.inf))


def softmax_cross_entropy(
    logits: Tensor,
    targets: Tensor,
    known: Tensor | None = None,
    *,
    shift: Tensor | float = 0.0,
    true_margin: Tensor | float = 0.0,
    scale: float = 1.0,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Cross entropy of softmax(scale (z + shift - margin on the true class)), one number per row.

    Args:
        logits: Shape (..., C).
        targets: Class indices (...), or rows (..., C) that may be soft.
        known: Shape (..., C), False for classes that are left out of the row; None for none.
        shift: Added to the logits, shape (C,): tau log(pi) for logit adjustment, log(n) for
            balanced softmax.
        true_margin: Subtracted from the true class's logit, shape (C,), for LDAM.
        scale: Factor on the logits.
        label_smoothing: See :func:`smooth_rows`.

    Example:
        >>> softmax_cross_entropy(torch.zeros(1, 2), torch.tensor([0]))
        tensor([0.6931])
    """
    z, y, known = softmax_inputs(logits, targets, known)
    rows = smooth_rows(y, label_smoothing, known)
    return row_cross_entropy(scale * (z + shift - true_margin * y), rows, known)


def smooth_rows(rows: Tensor, label_smoothing: float, known: Tensor | None = None) -> Tensor:
    """Return rows moved towards equal shares of the K known classes: y (1 - e) + e / K.

    Args:
        rows: Shape (..., C), as :func:`softmax_inputs` gave them.
        label_smoothing: e in [0, 1).
        known: Same shape; None: all C are known.

    References:
        Szegedy et al., Rethinking the Inception Architecture for Computer Vision, CVPR 2016,
        section 7.

    Example:
        >>> smooth_rows(torch.tensor([[1.0, 0.0]]), 0.2)
        tensor([[0.9000, 0.1000]])
    """
    if label_smoothing == 0:
        return rows
    even = torch.ones_like(rows) if known is None else known.to(rows.dtype)
    even = even / even.sum(-1, keepdim=True).clamp(min=1)
    return rows * (1 - label_smoothing) + label_smoothing * even


def row_cross_entropy(logits: Tensor, rows: Tensor, known: Tensor | None) -> Tensor:
    """Cross entropy of the softmax over the known classes, of what :func:`softmax_inputs` gave."""
    log_p = F.log_softmax(_leave_out_unknown(logits, known), -1)
    return -torch.where(rows > 0, rows * log_p, 0).sum(-1)


def seesaw(
    logits: Tensor,
    targets: Tensor,
    counts: Tensor,
    known: Tensor | None = None,
    *,
    p: float = 0.8,
    q: float = 2.0,
    floor: float = 0.01,
) -> Tensor:
    """Seesaw loss of each row: cross entropy of z_j + log(M_ij S_ij) for every j but the true i.

    M_ij = min(1, (n_j / n_i)^p) spares rare classes; S_ij = max(1, (p_j / p_i)^q), without
    gradient, gives it back where they are mistaken for.

    Args:
        logits: Shape (..., C).
        targets: Class indices (...), or one-hot rows (..., C).
        counts: Images of each class seen so far, shape (C,).
        known: Shape (..., C), False for classes left out of the row; None for none.
        p: Strength of mitigation.
        q: Strength of compensation.
        floor: Least p_i to divide by.

    References:
        Wang et al., Seesaw Loss for Long-Tailed Instance Segmentation, CVPR 2021, eq. 3 to 6.

    Example:
        >>> seesaw(torch.zeros(1, 2), torch.tensor([0]), counts=torch.tensor([100.0, 1.0]))
        tensor([0.0248])
    """
    z, y, known = softmax_inputs(logits, targets, known)
    n = counts.to(y.dtype).clamp(min=1)
    own = (y * n).sum(-1, keepdim=True).clamp(min=1)
    log_factor = p * torch.log(n / own).clamp(max=0)
    with torch.no_grad():
        score = torch.softmax(_leave_out_unknown(z, known), -1)
        own_score = (y * score).sum(-1, keepdim=True).clamp(min=floor)
        smallest = torch.finfo(y.dtype).tiny  # its logarithm is far below the clamp at 0
        log_factor = log_factor + q * torch.log(score.clamp(min=smallest) / own_score).clamp(min=0)
    return row_cross_entropy(z + (1 - y) * log_factor, y, known)
