"""Attaching and detaching: what stays, what moves along, what is refused, and the scores."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection.retinanet import RetinaNetClassificationHead
from torchvision.models.detection.roi_heads import RoIHeads

from mlt.class_counts import ClassCounts
from mlt.detection.torchvision import attach, attached_loss, detach, set_prior
from mlt.errors import ConfigError
from mlt.losses import EqualizationLossV2, build_loss, create_loss
from mlt.losses.settings import Composition

DENSE = ["retinanet", "fcos"]
REGIONS = ["faster_rcnn", "mask_rcnn", "keypoint_rcnn"]
SINGLE_SHOT = ["ssd", "ssdlite"]
KINDS = DENSE + REGIONS + SINGLE_SHOT


def focal(**options: Any) -> Any:
    return create_loss("focal", reduction="none", **options)


def class_balanced() -> Any:
    return create_loss("cb_focal", [40, 40, 9, 5, 2], beta=0.9, scheme="column", reduction="none")


def losses(model: nn.Module, batch: Any) -> dict[str, Tensor]:
    torch.manual_seed(7)  # for the samplers
    return model.train()(*batch)


def parts(model: nn.Module) -> list[tuple[type, list[str]]]:
    return [(type(module), sorted(module.__dict__)) for module in model.modules()]


@pytest.mark.parametrize("kind", KINDS)
def test_detaching_leaves_no_trace(kind: str, detector: Callable, batch: Callable) -> None:
    model, images = detector(kind), batch([1, 3], [2])
    before, whole = losses(model, images), parts(model)
    attach(model, focal(gamma=1))
    attach(model, class_balanced())  # replaces
    assert not torch.equal(sum(losses(model, images).values()), sum(before.values()))
    assert detach(model) is model
    assert parts(model) == whole
    after = losses(model, images)
    assert all(torch.equal(after[key], before[key]) for key in before)
    assert attached_loss(model) is None
    with pytest.raises(ConfigError, match="No loss of mlt is attached"):
        detach(model)


@pytest.mark.parametrize("kind", ["faster_rcnn", "ssd"])
def test_boxes_with_the_label_of_the_background(kind: str, detector: Callable) -> None:
    model = detector(kind)
    options = {"beta": 0.9, "scheme": "column", "reduction": "none"}
    boxes = partial(ClassCounts.from_counts, unit="boxes")
    with pytest.raises(ConfigError, match="Label 0 is the background"):
        attach(model, create_loss("cb_focal", boxes([40, 9, 5, 3, 2]), **options))
    counts = ClassCounts.at_columns([40, 9, 5, 3], columns=range(1, 5), num_columns=5)
    attach(model, create_loss("cb_focal", counts, **options))
    attach(model, create_loss("cb_focal", boxes([40, 9, 5, 3]), **options))  # without column 0


@pytest.mark.parametrize("kind", KINDS)
def test_weights_load_before_and_after(kind: str, detector: Callable, batch: Callable) -> None:
    plain, attached = detector(kind, seed=0), attach(detector(kind, seed=1), class_balanced())
    assert list(plain.state_dict()) == list(attached.state_dict())
    assert len(list(plain.parameters())) == len(list(attached.parameters()))
    assert len(list(plain.modules())) == len(list(attached.modules()))
    assert attached.load_state_dict(plain.state_dict()) == plain.load_state_dict(
        attached.state_dict()
    )
    file = io.BytesIO()
    torch.save(attached.state_dict(), file)
    file.seek(0)
    detector(kind).load_state_dict(torch.load(file, weights_only=True))


@pytest.mark.parametrize("kind", KINDS)
def test_two_models_keep_their_own(kind: str, detector: Callable, batch: Callable) -> None:
    images = batch([1, 3], [2])
    models = [detector(kind) for _ in range(3)]
    alone = losses(attach(detector(kind), focal(gamma=3)), images)
    attach(models[0], class_balanced())
    attach(models[1], focal(gamma=3))
    values = [losses(model, images) for model in models]
    assert all(torch.equal(values[1][key], alone[key]) for key in alone)
    detach(models[0])
    assert all(torch.equal(losses(models[1], images)[key], alone[key]) for key in alone)
    plain = losses(detector(kind), images)
    assert all(torch.equal(values[2][key], plain[key]) for key in plain)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "again",
    [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))],  # noqa: S301
)
def test_copies(kind: str, again: Callable, detector: Callable, batch: Callable) -> None:
    model, images = attach(detector(kind), class_balanced()), batch([1, 3], [2])
    expected = losses(model, images)
    twin = again(model)
    assert attached_loss(twin) is not attached_loss(model)
    assert [t.__name__ for t, _ in parts(twin)] == [t.__name__ for t, _ in parts(model)]
    assert all(torch.equal(losses(twin, images)[key], expected[key]) for key in expected)
    detach(model)
    assert all(torch.equal(losses(twin, images)[key], expected[key]) for key in expected)
    detach(twin)
    assert parts(twin) == parts(model)


class OwnHead(RetinaNetClassificationHead):
    """A user's subclass."""

    def forward(self, x: list[Tensor]) -> Tensor:
        return super().forward(x) - 1


def test_a_subclass_of_the_users_stays_one(detector: Callable, batch: Callable) -> None:
    model, images = detector("retinanet"), batch([1], [2])
    model.head.classification_head.__class__ = OwnHead
    before = losses(model, images)
    attach(model, focal(gamma=2, alpha=0.25))
    assert isinstance(model.head.classification_head, OwnHead)
    torch.testing.assert_close(losses(copy.deepcopy(model), images), before)
    detach(model)
    assert type(model.head.classification_head) is OwnHead


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_goes_along_but_keeps_its_precision(kind: str, detector: Callable) -> None:
    model, loss = detector(kind), class_balanced()
    attach(model, loss)
    model.half()
    assert loss.weighting.weight.dtype == torch.float64
    model.to("meta")
    assert loss.weighting.weight.is_meta
    late = class_balanced()
    attach(model, late)
    assert late.weighting.weight.is_meta


def test_the_loss_keeps_its_own_mode(detector: Callable, batch: Callable) -> None:
    loss = EqualizationLossV2(5, reduction="none").eval()  # a validation loss: no account
    losses(attach(detector("retinanet"), loss), batch([1], [2]))
    assert not loss.positive_gradient.any()


# Scores


@pytest.mark.parametrize("kind", DENSE)
def test_dense_heads_predict_as_before(kind: str, detector: Callable, batch: Callable) -> None:
    model = detector(kind).eval()
    set_prior(model, 0.3)  # so that there are detections at all
    images, _ = batch([1], [2])
    with torch.no_grad():
        before = model(images)
        after = attach(model, class_balanced())(images)
    assert sum(len(found["scores"]) for found in before) > 10
    for one, other in zip(before, after):
        assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("kind", REGIONS + SINGLE_SHOT)
def test_scores_are_sigmoids(
    kind: str, detector: Callable, batch: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = detector(kind).eval()
    images, _ = batch([1], [2], [])
    with torch.no_grad():
        attached = attach(model, focal())(images)
        detach(model)
        monkeypatch.setattr(F, "softmax", lambda logits, dim: logits.sigmoid())
        expected = model(images)
    assert sum(len(found["scores"]) for found in expected) > 10
    for one, other in zip(attached, expected):
        assert one.keys() == other.keys()
        assert torch.equal(one["labels"], other["labels"])
        torch.testing.assert_close(one["boxes"], other["boxes"])
        torch.testing.assert_close(one["scores"], other["scores"])
        assert one["labels"].min() >= 1


@pytest.mark.parametrize("kind", ["faster_rcnn", "ssd"])
def test_nothing_above_the_threshold(kind: str, detector: Callable, batch: Callable) -> None:
    model = set_prior(attach(detector(kind), focal()), 1e-6).eval()
    with torch.no_grad():
        (found, _) = model(batch([1], [])[0])
    assert found["boxes"].shape == (0, 4)
    assert len(found["labels"]) == len(found["scores"]) == 0


@pytest.mark.parametrize("kind", REGIONS + SINGLE_SHOT)
def test_softmax_losses_leave_the_scores_alone(
    kind: str, detector: Callable, batch: Callable
) -> None:
    model = detector(kind).eval()
    images, _ = batch([1], [2])
    with torch.no_grad():
        before = model(images)
        after = attach(model, nn.CrossEntropyLoss(reduction="none"))(images)
    for one, other in zip(before, after):
        assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("kind", KINDS)
def test_the_prior(kind: str, detector: Callable, batch: Callable) -> None:
    model = set_prior(attach(detector(kind), focal()), 0.2)
    # With weights of zero every logit is a bias.
    last = {
        "retinanet": lambda: [model.head.classification_head.cls_logits],
        "fcos": lambda: [model.head.classification_head.cls_logits],
        "ssd": lambda: list(model.head.classification_head.module_list),
        "ssdlite": lambda: [model.head.classification_head.module_list[0][-1]],
    }.get(kind, lambda: [model.roi_heads.box_predictor.cls_score])()
    for layer in last:
        torch.testing.assert_close(layer.bias.sigmoid(), torch.full_like(layer.bias, 0.2))
    with pytest.raises(ConfigError, match="between 0 and 1"):
        set_prior(model, 1.0)


# Compilers


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", KINDS)
def test_scripted_models_predict_and_refuse_to_train(
    kind: str, detector: Callable, batch: Callable
) -> None:
    model, (images, targets) = attach(detector(kind), focal()).eval(), batch([1], [2])
    with torch.no_grad():
        expected = model(images)
        scripted = torch.jit.script(model)
        _, found = scripted(images)
    for one, other in zip(expected, found):
        torch.testing.assert_close(one, other)
    with pytest.raises(torch.jit.Error, match="cannot be run"):
        scripted.train()(images, targets)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["retinanet", "faster_rcnn", "ssd"])
def test_compiled_models_train(kind: str, detector: Callable, batch: Callable) -> None:
    model, images = attach(detector(kind), class_balanced()), batch([1, 3], [2])
    expected = losses(model, images)
    torch.compiler.reset()
    compiled = torch.compile(model, backend="eager")
    torch.manual_seed(7)
    values = compiled(*images)
    torch.testing.assert_close(values, expected)
    sum(values.values()).backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


# What is refused


@pytest.mark.parametrize("kind", KINDS)
def test_wrong_losses_are_refused(kind: str, detector: Callable) -> None:
    model = detector(kind)
    whole = parts(model)
    part = Composition.model_validate({"weighting": {"name": "inverse"}, "reduction": "none"})
    by_image = build_loss(
        part, ClassCounts.from_counts([4, 2, 1, 1, 1], num_images=9, unit="images")
    )
    wrong = [
        (create_loss("focal"), 'reduction="none"'),
        (create_loss("zlpr", reduction="none"), "compares the labels of a row"),
        (create_loss("cb_focal", [9] * 80, scheme="column", reduction="none"), "80 classes"),
        (by_image, "counts of images"),
        (lambda logits, targets: (logits - targets).mean(), "a loss for each"),
    ]
    if kind in DENSE:
        wrong += [
            (nn.CrossEntropyLoss(reduction="none"), "softmax loss"),
            # Without column 0, which a dense head trains.
            (
                create_loss("cb_focal", [9, 5, 3, 1], scheme="column", reduction="none"),
                "ClassCounts",
            ),
        ]
    else:
        wrong += [(nn.CrossEntropyLoss(), 'reduction="none"')]
    for loss, said in wrong:
        with pytest.raises(ConfigError, match=said):
            attach(model, loss)
    assert parts(model) == whole


def test_what_is_no_detector_is_refused(detector: Callable) -> None:
    with pytest.raises(ConfigError, match=r"Linear has no head.*RetinaNet"):
        attach(nn.Linear(2, 2), focal())
    with pytest.raises(ConfigError, match=r"Give what is wrapped, model\.module"):
        attach(nn.DataParallel(detector("retinanet")), focal())
    with pytest.raises(ConfigError, match=r"model\._orig_mod"):
        attach(torch.compile(detector("ssd"), backend="eager"), focal())
    model = detector("retinanet")
    model.head = nn.Identity()
    with pytest.raises(ConfigError, match="RetinaNet has no head"):
        detach(model)


class OwnPredictor(nn.Module):
    """A box predictor of the user's, with two hidden layers."""

    def __init__(self) -> None:
        super().__init__()
        self.classes = nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 5))
        self.boxes = nn.Linear(16, 20)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        return self.classes(features), self.boxes(features)


def test_a_box_predictor_of_the_users(detector: Callable, batch: Callable) -> None:
    model = detector("faster_rcnn")
    model.roi_heads.box_predictor = OwnPredictor()
    before = losses(model, batch([1], [2]))
    after = losses(attach(model, nn.CrossEntropyLoss(reduction="none")), batch([1], [2]))
    torch.testing.assert_close(after, before)
    assert losses(attach(model, class_balanced()), batch([1], [2]))["loss_classifier"] > 0
    assert isinstance(model.roi_heads, RoIHeads)
    with pytest.raises(ConfigError, match=r"biases to -4\.595 yourself"):
        set_prior(model)
    attach(model, create_loss("cb_focal", [9] * 80, scheme="column", reduction="none"))
    with pytest.raises(ConfigError, match="80 classes"):  # only known when it is called
        losses(model, batch([1], [2]))
