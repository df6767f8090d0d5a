"""Losses that couple the labels of a row: ZLPR and the two-way loss.

Their targets are binary (above 0.5 is a positive): the maths compares a set of positives with a set
of negatives and has no place for a label between.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mlt.errors import ConfigError
from mlt.losses.base import Loss
from mlt.losses.reduce import blank_unknown, check_inputs, reduce_rows
from mlt.losses.settings import Reduction

__all__ = ["TwoWayLoss", "ZLPRLoss", "two_way", "zlpr"]

LEFT_OUT = -1e30
"""Logit of what is left out of a set. Unlike -inf it gives an empty set the gradient 0, not NaN."""


def _sides(logits: Tensor, targets: Tensor, known: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    z, known = check_inputs(logits, targets, known)
    z, y = blank_unknown(z, targets, known)
    positive = y > 0.5
    negative = ~positive if known is None else known & ~positive
    return z, positive, negative


def zlpr(logits: Tensor, targets: Tensor, known: Tensor | None = None) -> Tensor:
    """Zero-bounded log-sum-exp and pairwise rank-based loss of each row.

    log(1 + sum of exp(z) over negatives) + log(1 + sum of exp(-z) over positives). A logit of 0 is
    the threshold between the two.

    Args:
        logits: Shape (..., C).
        targets: Same shape, binary.
        known: Same shape, True where annotated; None if all are.

    Returns:
        Loss of each row, shape (...), in float32 or float64.

    References:
        Su et al., ZLPR: A Novel Loss for Multi-label Classification, arXiv 2208.02955.

    Example:
        >>> zlpr(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]))
        tensor([1.3863])
    """
    z, positive, negative = _sides(logits, targets, known)
    over = torch.logsumexp(torch.where(negative, z, LEFT_OUT), -1)
    under = torch.logsumexp(torch.where(positive, -z, LEFT_OUT), -1)
    return F.softplus(over, threshold=40) + F.softplus(under, threshold=40)


def two_way(
    logits: Tensor,
    targets: Tensor,
    known: Tensor | None = None,
    *,
    tp: float = 4.0,
    tn: float = 1.0,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Two-way loss of each row and of each column.

    softplus(tn lse(z / tn over negatives) + tp lse(-z / tp over positives)), over the classes of a
    row and over the rows of a class. A row or column without a positive or without a negative
    costs 0; one without a positive is not counted.

    Args:
        logits: Shape (..., C); leading axes count as rows.
        targets: Same shape, binary.
        known: Same shape, True where annotated; None if all are.
        tp: Temperature of positives.
        tn: Temperature of negatives.

    Returns:
        Losses of the N rows, which of them have a positive, losses of the C columns, which of
        those have a positive.

    References:
        Kobayashi, Two-Way Multi-Label Loss, CVPR 2023.

    Example:
        >>> logits, targets = torch.zeros(1, 2), torch.tensor([[1.0, 0.0]])
        >>> rows, counted, columns, _ = two_way(logits, targets)
        >>> rows, counted, columns
        (tensor([0.6931]), tensor([True]), tensor([0., 0.]))
    """
    z, positive, negative = (t.reshape(-1, t.shape[-1]) for t in _sides(logits, targets, known))
    low = torch.where(positive, -z / tp, LEFT_OUT)
    high = torch.where(negative, z / tn, LEFT_OUT)
    results: list[Tensor] = []
    for dim in (1, 0):
        gap = tn * torch.logsumexp(high, dim) + tp * torch.logsumexp(low, dim)
        results += [F.softplus(gap, threshold=40), positive.any(dim)]
    rows, counted_rows, columns, counted_columns = results
    return rows, counted_rows, columns, counted_columns


class ZLPRLoss(Loss):
    """ZLPR as a module; see :func:`zlpr`.

    `none` gives one loss per row; `mean` and `batchmean` are both the mean over rows with a known
    label.

    Example:
        >>> ZLPRLoss()(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]))
        tensor(1.3863)
    """

    gives = "row"
    takes_soft_targets = False

    def __init__(self, *, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)

    def forward(self, logits: Tensor, targets: Tensor, known: Tensor | None = None) -> Tensor:
        """Return the loss; see :meth:`Loss.forward`."""
        return reduce_rows(zlpr(logits, targets, known), self.reduction, known)


class TwoWayLoss(Loss):
    """The two-way loss as a module; see :func:`two_way`.

    `mean` and `batchmean` are both the published loss, the mean over rows plus the mean over
    columns; `sum` is that times the number of rows.

    Args:
        tp: Temperature of positives.
        tn: Temperature of negatives.
        reduction: `mean`, `batchmean` or `sum`.

    Raises:
        ConfigError: For reduction `none`: there is no loss by element.

    Example:
        >>> TwoWayLoss()(torch.zeros(2, 2), torch.eye(2))
        tensor(1.3863)
    """

    gives = "batch"
    takes_soft_targets = False

    def __init__(self, *, tp: float = 4.0, tn: float = 1.0, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)
        if reduction == "none":
            raise ConfigError(
                "The two-way loss couples rows and columns and has no loss by element; its "
                "reduction must be mean, batchmean or sum."
            )
        self.tp = tp
        self.tn = tn

    def forward(self, logits: Tensor, targets: Tensor, known: Tensor | None = None) -> Tensor:
        """Return the loss; see :meth:`Loss.forward`."""
        rows, counted_rows, columns, counted_columns = two_way(
            logits, targets, known, tp=self.tp, tn=self.tn
        )
        mean = _mean_over(counted_rows, rows) + _mean_over(counted_columns, columns)
        if self.reduction != "sum":
            return mean
        return mean * (rows.numel() if known is None else known.bool().any(-1).sum())


def _mean_over(counted: Tensor, values: Tensor) -> Tensor:
    return torch.where(counted, values, 0).sum() / counted.sum().clamp(min=1)
