"""What every loss says about itself: what it gives, for which activation, for how many columns."""

from __future__ import annotations

import pytest
import torch

from mlt import losses
from mlt.losses import EqualizationLossV2, Loss, create_loss, list_losses

COUNTS = [60, 30, 9, 2]
COUPLED = {"zlpr": "row", "two_way": "batch"}
WITHOUT_CLASS_VECTORS = ["bce", "focal", "asl", "ral", "hill", "poly", "splc", "two_way", "zlpr"]


def none_shape(loss: Loss, targets: torch.Tensor) -> tuple[int, ...]:
    loss.reduction = "none"
    return tuple(loss(torch.randn(5, 4), targets).shape)


@pytest.mark.filterwarnings("ignore:All class weights", "ignore:The federated weighting")
@pytest.mark.parametrize("name", list_losses("sigmoid"))
def test_a_sigmoid_loss_gives_what_it_says(name: str) -> None:
    loss = create_loss(name, COUNTS, 80)
    targets = torch.eye(4)[[0, 1, 2, 3, 0]]
    assert loss.activation == "sigmoid"
    assert loss.gives == COUPLED.get(name, "element")
    expected = {"element": (5, 4), "row": (5,), "batch": ()}[loss.gives]
    assert none_shape(loss, targets) == expected
    assert loss.num_columns == (None if name in WITHOUT_CLASS_VECTORS else 4)


@pytest.mark.parametrize("name", list_losses("softmax"))
def test_a_softmax_loss_gives_what_it_says(name: str) -> None:
    loss = create_loss(name, COUNTS)
    if name.endswith("_single"):
        assert (loss.gives, loss.activation, loss.num_columns) == ("element", "sigmoid", 4)
        return
    columns = None if name == "ce" else 4
    assert (loss.gives, loss.activation, loss.num_columns) == ("row", "softmax", columns)
    assert none_shape(loss, torch.tensor([0, 1, 2, 3, 0])) == (5,)


def test_a_background_column_is_a_column() -> None:
    assert EqualizationLossV2(3, background=True).num_columns == 3
    assert EqualizationLossV2(3).num_columns == 3


def test_every_public_loss_describes_itself() -> None:
    public = [getattr(losses, name) for name in losses.__all__]
    classes = [c for c in public if isinstance(c, type) and issubclass(c, Loss)]
    assert len(classes) > 20
    for loss in classes:
        assert loss.gives in ("element", "row", "batch"), loss
        assert loss.activation in ("sigmoid", "softmax"), loss
