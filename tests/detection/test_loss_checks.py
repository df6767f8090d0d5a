"""Which losses may serve in a detection head, and the targets they are given."""

from __future__ import annotations

import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.ops import sigmoid_focal_loss

from mlt.class_counts import ClassCounts
from mlt.detection import check_loss, check_softmax_loss, one_hot
from mlt.errors import ConfigError, DataError
from mlt.losses import (
    BalancedSoftmaxLoss,
    EqualizationLossV2,
    SeesawLoss,
    TwoWayLoss,
    ZLPRLoss,
    build_loss,
    create_loss,
    list_losses,
)

ROW_LOSSES = {"zlpr", "two_way"}


@pytest.mark.filterwarnings("ignore:All class weights")
@pytest.mark.parametrize("name", [n for n in list_losses("sigmoid") if n not in ROW_LOSSES])
def test_every_elementwise_loss_is_accepted_and_is_one(name: str) -> None:
    options = {"scheme": "column"} if name.startswith("cb") else {}
    loss = create_loss(
        name, ClassCounts.from_counts([9, 5, 3], unit="boxes"), reduction="none", **options
    )
    before = {key: value.clone() for key, value in loss.state_dict().items()}
    check_loss(loss, 3)
    for key, value in loss.state_dict().items():  # looking leaves no trace
        assert torch.equal(value, before[key])

    def call(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(0)
        return loss.eval()(logits, targets)

    check_loss(call, 3)  # what is known by its type also passes the trial of the unknown


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        (TwoWayLoss(), "no loss of a single anchor"),
        (ZLPRLoss(reduction="none"), "no loss of a single anchor"),
        (BalancedSoftmaxLoss([3, 2, 1], reduction="none"), "softmax loss"),
        (SeesawLoss(3, reduction="none"), "softmax loss"),
        (nn.CrossEntropyLoss(reduction="none"), "softmax loss"),
        (create_loss("focal"), 'reduction="none"'),
        (nn.BCEWithLogitsLoss(), 'reduction="none"'),
        (create_loss("cb_bce", [3, 1], reduction="none", beta=0.9), "counts of 2 classes"),
        (EqualizationLossV2(4, reduction="none"), "built for 4 classes, but is to be given 3"),
        (EqualizationLossV2(3, background=True, reduction="none"), "background=False"),
        (lambda z, y: (z - y).square().mean(), "a loss for each"),
        (lambda z, y: (z - y).square().mean(1), "a loss for each"),
        (lambda z, y: 3, "gave 3"),
        (lambda z, y: -y * F.log_softmax(z, 1) + 0 * z, "one logit change the loss of another"),
        (lambda z, y: z - z.mean(0), "one logit change the loss of another"),
        (lambda z: z, "could not be called"),
        (nn.BCEWithLogitsLoss(reduction="none", pos_weight=torch.ones(2)), "built for 2 classes"),
    ],
)
def test_wrong_losses_are_refused_with_an_explanation(loss: object, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check_loss(loss, 3)  # type: ignore[arg-type]


@pytest.mark.parametrize("scheme", ["average_w", "average_n", "min_n"])
def test_weights_that_drown_the_boxes_in_background_are_warned_about(scheme: str) -> None:
    counts = ClassCounts.from_counts([900, 50, 30], unit="boxes")
    loss = create_loss("cb_focal", counts, reduction="none", beta=0.99, scheme=scheme)
    with pytest.warns(UserWarning, match=r"weigh 0\.0\d+ on average"):
        check_loss(loss, 3)
    for fitting in ("column", "positive", "instance"):
        options = {"beta": 0.99, "scheme": fitting}
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            check_loss(create_loss("cb_focal", counts, reduction="none", **options), 3)


def test_counts_of_images_are_refused() -> None:
    from mlt.losses.settings import Composition

    part = Composition.model_validate({"weighting": {"name": "inverse"}, "reduction": "none"})
    loss = build_loss(part, ClassCounts.from_counts([4, 2], 9, unit="images"))
    with pytest.raises(ConfigError, match="counts of images"):
        check_loss(loss, 2)
    nobody_said_what = create_loss("inverse", [4, 2], 9, reduction="none")
    check_loss(nobody_said_what, 2)


@pytest.mark.parametrize(
    "loss",
    [
        nn.BCEWithLogitsLoss(reduction="none"),
        sigmoid_focal_loss,
        lambda z, y: F.dropout(z - y, 0.5),  # random, but of each element by itself
    ],
)
def test_other_callables_are_tried(loss: object) -> None:
    state = torch.random.get_rng_state()
    check_loss(loss, 3)  # type: ignore[arg-type]
    check_loss(loss, 1)  # type: ignore[arg-type]
    assert torch.equal(torch.random.get_rng_state(), state)


def test_softmax_losses() -> None:
    check_softmax_loss(nn.CrossEntropyLoss(reduction="none"), 91)
    check_softmax_loss(nn.CrossEntropyLoss(reduction="none", weight=torch.ones(3)), 3)
    check_softmax_loss(SeesawLoss(3, reduction="none"), 3)
    with pytest.raises(ConfigError, match="2 classes"):
        check_softmax_loss(nn.CrossEntropyLoss(reduction="none", weight=torch.ones(2)), 3)
    with pytest.raises(ConfigError, match='reduction="none"'):
        check_softmax_loss(nn.CrossEntropyLoss(), 3)


@pytest.mark.parametrize("shape", [(7,), (2, 3), (0,)])
def test_targets_agree_with_torchs_one_hot(shape: tuple[int, ...]) -> None:
    labels = torch.randint(0, 4, shape, generator=torch.Generator().manual_seed(0))
    wide = F.one_hot(labels, 4)
    assert torch.equal(one_hot(labels, 4), wide.float())
    assert torch.equal(one_hot(labels, 3, "last"), wide[..., :-1].float())
    assert torch.equal(one_hot(labels, 3, "first", torch.bool), wide[..., 1:].bool())


@pytest.mark.parametrize(
    ("labels", "background"), [([-1], "last"), ([4], "last"), ([4], "first"), ([3], "none")]
)
def test_labels_out_of_range_are_refused(labels: list[int], background: str) -> None:
    with pytest.raises(DataError, match="must be in 0 to"):
        one_hot(torch.tensor(labels), 3, background)  # type: ignore[arg-type]


def test_float_labels_are_refused() -> None:
    with pytest.raises(DataError, match="integers"):
        one_hot(torch.tensor([1.0]), 3)
