"""Losses by name: their signatures, their options, and what is said when counts are missing."""

from __future__ import annotations

import inspect
import re

import pytest
import torch

from mlt import losses
from mlt.errors import ConfigError
from mlt.losses import create_loss, functional, list_losses, loss_options
from mlt.losses.factory import build_from_counts
from mlt.losses.loss_config import COMMON_OPTIONS, PresetLoss, resolve_preset
from mlt.losses.preset_loss import BalancedLoss, PublishedLoss
from mlt.losses.presets import PRESETS

COUNTS = [90, 30, 4]
PUBLISHED = {
    value.preset: value
    for name in losses.__all__
    if isinstance(value := getattr(losses, name), type) and issubclass(value, PublishedLoss)
}
OTHERS = {
    "two_way": losses.TwoWayLoss,
    "zlpr": losses.ZLPRLoss,
    "splc": losses.SelfPacedLoss,
    "eqlv2": losses.EqualizationLossV2,
    "ce": losses.SoftmaxCrossEntropyLoss,
    "cb_softmax": losses.ClassBalancedSoftmaxLoss,
    "logit_adjusted_softmax": losses.LogitAdjustedSoftmaxLoss,
    "balanced_softmax": losses.BalancedSoftmaxLoss,
    "ldam_softmax": losses.LDAMSoftmaxLoss,
    "seesaw": losses.SeesawLoss,
}
ONE_LABEL_SIGMOID = {"cb_sigmoid_single", "cb_focal_single"}
WITHOUT_CLASS = {
    "sqrt_inverse", "pos_weight", "ntr_bce", "balanced_asl", "federated", *ONE_LABEL_SIGMOID
}  # fmt: skip
WITHOUT_COUNTS = {"bce", "focal", "asl", "ral", "hill", "poly", "splc", "two_way", "zlpr", "ce"}
NEED_COUNTS = sorted(set(list_losses()) - WITHOUT_COUNTS)
NEED_IMAGES = "inverse sqrt_inverse pos_weight ntr_bce db db_focal balanced_asl logit_adjusted eql"


def test_every_name_has_its_class() -> None:
    assert len(PUBLISHED) == 16
    assert set(PUBLISHED) | set(OTHERS) | WITHOUT_CLASS == set(list_losses())


@pytest.mark.parametrize("name", [*PUBLISHED, *OTHERS])
def test_a_class_has_the_options_of_its_name_with_their_defaults(name: str) -> None:
    parameters = inspect.signature((PUBLISHED | OTHERS)[name]).parameters.values()
    options = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    options.pop("background", None)  # of EQLv2, for a detector's extra column
    assert options == loss_options(name)
    others = [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY]
    assert others in (
        [],
        ["num_classes"],
        ["class_counts"],
        ["class_counts", "num_images"],
    )


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_class_passes_its_options_on(name: str) -> None:
    # An option that is left out, or passed on as another, would leave a default behind.
    part = PRESETS[name]()
    changed = {
        "gamma": 1.0, "alpha": 0.3, "lamb": 2.0, "margin": 0.5, "epsilon": 1.5, "gamma_pos": 0.5,
        "gamma_neg": 3.0, "clip": 0.1, "detached": True, "epsilon_pos": 0.5, "power": 0.7,
        "epsilon_pos_pow": -1.5, "scheme": "positive", "normalise": True, "start_epoch": 2,
        "beta": 0.99, "map_alpha": 0.2, "map_beta": 9.0, "map_gamma": 0.3, "max_m": 0.4, "s": 3.0,
        "norm_by_instance": True, "neg_scale": 3.0, "init_bias": 0.1, "tau": 0.5, "drw_epoch": 4,
        "margin_epoch": 1, "threshold": 0.2, "scale": 1.5, "label_smoothing": 0.1,
        "reduction": "sum", "soft_targets": "mixed",
    }  # fmt: skip
    options = {key: changed[key] for key in loss_options(name)}
    if name == "ldam":
        options["scheme"] = "column"
    counted = issubclass(PUBLISHED[name], BalancedLoss)
    ours = PUBLISHED[name](*([COUNTS, 100] if counted else []), **options)
    by_name = create_loss(name, COUNTS, 100, **options)
    assert part != resolve_preset(name, options)
    logits, targets = torch.randn(5, 3), torch.eye(3)[[0, 1, 2, 0, 1]]
    for loss in (ours, by_name):
        loss.set_epoch(5)
    torch.testing.assert_close(ours(logits, targets), by_name(logits, targets))
    assert str(ours.state_dict()) == str(by_name.state_dict())
    if counted:
        again = PUBLISHED[name].from_counts(COUNTS, 100, **options)
        again.set_epoch(5)
        torch.testing.assert_close(again(logits, targets), ours(logits, targets))


def test_help_on_create_loss_shows_every_option() -> None:
    told = re.findall(r"^ {8}(\w+): (.*(?:\n {12}.*)*)", create_loss.__doc__ or "", re.MULTILINE)
    shown = {name: " ".join(line.split()) for name, line in told if name in PRESETS}
    for name in list_losses():
        own = {k: v for k, v in loss_options(name).items() if k not in COMMON_OPTIONS}
        text = ", ".join(f"{k}={v!r}" for k, v in own.items()) or "none"
        assert shown[name] == text.replace("'", '"'), name


def test_options_are_keyword_only() -> None:
    with pytest.raises(TypeError, match="positional"):
        create_loss("focal", None, None, "none")  # type: ignore[misc]
    for name in functional.__all__:
        if name != "reduce":
            for p in inspect.signature(getattr(functional, name)).parameters.values():
                optional = p.default is not p.empty and p.name != "known"
                assert not optional or p.kind is p.KEYWORD_ONLY, (name, p.name)


@pytest.mark.parametrize("name", NEED_COUNTS)
def test_missing_counts_are_asked_for_in_the_name_of_the_loss(name: str) -> None:
    message = rf"^The loss '{name}' needs class_counts, the number of positives of each class"
    with pytest.raises(ConfigError, match=message):
        create_loss(name)
    with pytest.raises(ConfigError, match=message):
        build_from_counts(PresetLoss(preset=name))


@pytest.mark.parametrize("name", NEED_IMAGES.split())
def test_a_missing_number_of_images_is_asked_for_in_the_name_of_the_loss(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"^The loss '{name}' needs num_images, the number of"):
        create_loss(name, COUNTS)
    if name in PUBLISHED:
        own = PUBLISHED[name]
        with pytest.raises(ConfigError, match=rf"^{own.__name__} needs num_images, the number of"):
            own(COUNTS)
        with pytest.raises(TypeError, match=r"missing 1 required positional argument: 'class_cou"):
            own()


def test_kinds_of_losses() -> None:
    assert sorted(list_losses("sigmoid") + list_losses("softmax")) == list_losses()
    for kind in ("sigmoid", "softmax"):
        for name in list_losses(kind):
            with torch.no_grad():
                loss = create_loss(name, COUNTS, 100)
            assert loss.activation == ("sigmoid" if name in ONE_LABEL_SIGMOID else kind)
    with pytest.raises(ConfigError, match="must be sigmoid, softmax or None, not 'both'"):
        list_losses("both")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", sorted(set(list_losses("softmax")) - ONE_LABEL_SIGMOID))
def test_a_softmax_loss_by_its_name_is_its_class(name: str) -> None:
    by_name = create_loss(name, COUNTS, reduction="none")
    counts = {"seesaw": [3], "ce": []}.get(name, [COUNTS])
    by_class = OTHERS[name](*counts, reduction="none")
    logits, labels = torch.randn(4, 3), torch.tensor([0, 2, 1, 0])
    assert type(by_name) is OTHERS[name]
    torch.testing.assert_close(by_name(logits, labels), by_class(logits, labels))


@pytest.mark.parametrize("name", [None, 3, torch.nn.BCEWithLogitsLoss()])
def test_a_loss_is_named_by_a_string(name: object) -> None:
    with pytest.raises(ConfigError, match=r"named by a string, not by .* Known: bce, "):
        create_loss(name)
