"""Every loss against the numbers of its published implementation."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mlt.class_counts import ClassCounts
from mlt.losses import (
    BalancedSoftmaxLoss,
    ClassBalancedSoftmaxLoss,
    ElementwiseLoss,
    EqualizationLossV2,
    LDAMSoftmaxLoss,
    LogitAdjustedSoftmaxLoss,
    Loss,
    create_loss,
)
from mlt.losses.adjustment import NegativeTolerant
from mlt.losses.factory import build_from_counts
from mlt.losses.focusing import Focal
from mlt.losses.reweighting import ColumnWeighting
from mlt.losses.settings import Composition
from mlt.losses.softmax_functional import seesaw

# Relative to the value itself, with an allowance of the same size for values near 0: a slope that
# changes its sign is made of larger terms.
TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-5}

# Regular expression of a key -> name and options of the loss. `mu` is the data set's map_gamma.
RECIPES = [
    (r"bce", lambda mu: ("bce", {})),
    (r"focal_g2_b2", lambda mu: ("focal", {"gamma": 2, "scale": 2})),
    (r"focal_g05_b1", lambda mu: ("focal", {"gamma": 0.5})),
    (r"inverse", lambda mu: ("inverse", {})),
    (r"sqrt_inverse", lambda mu: ("sqrt_inverse", {})),
    (
        r"cb_bce_(\w+)_beta([\d.]+)",
        lambda mu, scheme, beta: ("cb_bce", {"scheme": scheme, "beta": float(beta)}),
    ),
    (
        r"cb_focal_(\w+)_beta([\d.]+)_g2_b2",
        lambda mu, scheme, beta: (
            "cb_focal",
            {"scheme": scheme, "beta": float(beta), "balance_param": 2},
        ),
    ),
    (r"r_bce", lambda mu: ("r_bce", {"map_gamma": mu})),
    (r"r_bce_focal_g2_b2", lambda mu: ("r_focal", {"map_gamma": mu})),
    (
        r"r_bce_norm_by_instance",
        lambda mu: ("r_bce", {"map_gamma": mu, "norm_by_instance": True}),
    ),
    (
        r"db_scale(\d)_bias0.05",
        lambda mu, scale: ("db", {"map_gamma": mu, "neg_scale": float(scale)}),
    ),
    (
        r"db_focal_scale(\d)_bias0.05_g2_b2",
        lambda mu, scale: ("db_focal", {"map_gamma": mu, "neg_scale": float(scale)}),
    ),
    (
        r"asl_pos(\d)_neg(\d)_clip([\d.]+?)(_detached)?",
        lambda mu, pos, neg, clip, detached: (
            "asl",
            {
                "gamma_pos": float(pos),
                "gamma_neg": float(neg),
                "clip": float(clip),
                "detached": detached is not None,
            },
        ),
    ),
    (r"ral_pos0_neg4_clip0.05_lambda1.5_eps1_-2.5", lambda mu: ("ral", {})),
    (r"hill_lambda1.5_margin1_g2", lambda mu: ("hill", {})),
    (r"splc_tau0.6_margin1_g2_epoch\d", lambda mu: ("splc", {})),
    (r"poly_eps2", lambda mu: ("poly", {})),
    (r"poly_eps-1_g2", lambda mu: ("poly", {"epsilon": -1, "gamma": 2})),
    (r"two_way_tp4_tn1__scalar", lambda mu: ("two_way", {})),
    (r"zlpr__scalar", lambda mu: ("zlpr", {})),
]


def make(key: str, data_set: str, counts: np.ndarray, num_images: int) -> Loss:
    """Build the loss of one key of the golden file."""
    reduction = "mean" if key.endswith("__scalar") else "none"
    if key == "ntr_scale2_bias0.05_inverse":  # no preset: written out
        parts = {
            "adjustment": {"name": "negative_tolerant", "neg_scale": 2, "init_bias": 0.05},
            "weighting": {"name": "inverse", "normalise": False},
            "reduction": reduction,
        }
        part = Composition.model_validate(parts)
        return build_from_counts(part, ClassCounts.from_counts(counts, num_images))
    for pattern, recipe in RECIPES:
        if match := re.fullmatch(pattern, key):
            name, options = recipe({"voc": 0.3, "coco": 0.2}[data_set], *match.groups())
            loss = create_loss(name, counts, num_images, reduction=reduction, **options)
            if key.startswith("splc"):
                loss.set_epoch(int(key[-1]))
            return loss
    pytest.fail(f"no recipe for the golden key {key!r}")


def assert_close(got: Tensor, expected: np.ndarray, what: str) -> None:
    """Compare within the tolerance of the type."""
    tolerance = TOLERANCE[got.dtype]
    np.testing.assert_allclose(
        got.detach().double().numpy(), expected, rtol=tolerance, atol=tolerance, err_msg=what
    )


@pytest.mark.filterwarnings("ignore:All class weights")
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("data_set", ["voc", "coco"])
@pytest.mark.parametrize("as_bool", [False, True])
def test_published_losses(golden: Path, data_set: str, dtype: torch.dtype, as_bool: bool) -> None:
    numbers = np.load(golden / f"{data_set}.npz", allow_pickle=False)
    targets = torch.from_numpy(numbers["targets"]).to(torch.bool if as_bool else dtype)
    keys = [key.removesuffix(".value") for key in numbers.files if key.endswith(".value")]
    assert len(keys) == 35
    for key in keys:
        loss = make(key, data_set, numbers["class_counts"], int(numbers["num_images"]))
        logits = torch.from_numpy(numbers["logits"]).to(dtype).requires_grad_()
        value = loss(logits, targets)
        value.sum().backward()
        assert_close(value, numbers[f"{key}.value"], key)
        assert_close(logits.grad, numbers[f"{key}.grad"], f"gradient of {key}")
        with torch.no_grad():  # the plain formula
            assert_close(loss(logits, targets), numbers[f"{key}.value"], f"{key}, plain")


def extreme_losses() -> dict[str, Loss]:
    """Build the losses of extreme.npz."""

    def db(focusing: Focal | None, scale: float) -> Loss:
        one = torch.ones(1, dtype=torch.float64)
        return ElementwiseLoss(
            adjustment=NegativeTolerant(-0.1 * one, neg_scale=2.0),
            focusing=focusing,
            weighting=ColumnWeighting(0.7 * one),
            scale=scale,
            reduction="none",
        )

    losses = {
        f"focal_g{gamma}": create_loss("focal", gamma=float(gamma), reduction="none")
        for gamma in ("0.5", "1", "2", "5")
    }
    return losses | {
        "bce": create_loss("bce", reduction="none"),
        "asl_pos1_neg4_clip0.05": create_loss("asl", reduction="none"),
        "asl_pos0_neg2_clip0": create_loss(
            "asl", gamma_pos=0, gamma_neg=2, clip=0, reduction="none"
        ),
        "db_bias-0.1_scale2_weight0.7": db(None, 1.0),
        "db_focal_bias-0.1_scale2_weight0.7_g2_b2": db(Focal(2.0), 2.0),
        "hill_lambda1.5_margin1_g2": create_loss("hill", reduction="none"),
    }


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", list(extreme_losses()))
@pytest.mark.parametrize("target", [0, 1])
def test_extreme_logits(golden: Path, name: str, target: int, dtype: torch.dtype) -> None:
    numbers = np.load(golden / "extreme.npz", allow_pickle=False)
    logits = torch.from_numpy(numbers["logits"]).to(dtype)[:, None].requires_grad_()
    value = extreme_losses()[name](logits, torch.full_like(logits, target, dtype=torch.bool))
    value.sum().backward()
    # torch's sigmoid is 0 in float32 where it would be less than 1e-38 (a logit of -89); the file
    # has lost its digits below 1e-76 here and there.
    smallest = {torch.float64: 1e-75, torch.float32: 1e-36}[dtype]
    for what, got in (("value", value), ("grad", logits.grad)):
        expected = numbers[f"{name}.target{target}.{what}"]
        np.testing.assert_allclose(
            got.detach().double().numpy()[:, 0], expected, TOLERANCE[dtype], smallest, err_msg=what
        )


@pytest.mark.filterwarnings("ignore:All class weights")
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_single_label_losses(golden: Path, dtype: torch.dtype) -> None:
    numbers = np.load(golden / "single_label.npz", allow_pickle=False)
    counts, labels = numbers["class_counts"], torch.from_numpy(numbers["labels"])
    one_hot = torch.nn.functional.one_hot(labels, 10)

    def check(key: str, loss, targets: Tensor = labels) -> None:
        logits = torch.from_numpy(numbers["logits"]).to(dtype).requires_grad_()
        value = loss(logits, targets)
        value.backward()
        assert_close(value, numbers[key], key)
        if f"{key}.grad" in numbers.files:
            assert_close(logits.grad, numbers[f"{key}.grad"], f"gradient of {key}")

    for beta in (0.9, 0.99, 0.999, 0.9999):
        balanced = ClassBalancedSoftmaxLoss(counts, beta=beta)
        np.testing.assert_allclose(balanced.weight, numbers[f"weights_beta{beta}"], 1e-12)
        check(f"cb_softmax_beta{beta}", balanced)
        single = create_loss("cb_sigmoid_single", counts, beta=beta)
        check(f"cb_sigmoid_beta{beta}", single, one_hot)
        options = {"scheme": "instance", "beta": beta, "reduction": "batchmean"}
        check(f"cb_sigmoid_beta{beta}", create_loss("cb_bce", counts, **options), one_hot)
        for gamma in (0.5, 1.0, 2.0):
            loss = create_loss("cb_focal", counts, gamma=gamma, **options)
            check(f"cb_focal_beta{beta}_g{gamma}", loss, one_hot)
            single = create_loss("cb_focal_single", counts, beta=beta, gamma=gamma)
            check(f"cb_focal_beta{beta}_g{gamma}", single, one_hot)
    check("ldam_max_m0.5_s30", LDAMSoftmaxLoss(counts))
    check("logit_adjusted_tau1", LogitAdjustedSoftmaxLoss(counts))
    check("balanced_softmax", BalancedSoftmaxLoss(counts))
    check("seesaw_p0.8_q2", lambda z, y: seesaw(z, y, torch.from_numpy(counts)).mean())

    # Background rows (label 10) have no positive among the ten classes.
    foreground = torch.nn.functional.one_hot(torch.from_numpy(numbers["eql_labels"]), 11)[:, :10]
    eql = create_loss(
        "eql", numbers["eql_frequency"] * 10_000, 10_000, reduction="batchmean", threshold=0.08
    )
    check("eql_lambda0.08_background0_15", eql, foreground)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_eqlv2_over_three_steps(golden: Path, dtype: torch.dtype) -> None:
    numbers = np.load(golden / "single_label.npz", allow_pickle=False)
    targets = torch.nn.functional.one_hot(torch.from_numpy(numbers["eqlv2_labels"]), 11)
    loss = EqualizationLossV2(num_classes=11, background=True, reduction="batchmean")
    for step in range(3):
        value = loss(torch.from_numpy(numbers["eqlv2_logits"][step]).to(dtype), targets)
        assert_close(value, numbers[f"eqlv2_step{step}"], f"step {step}")
        assert_close(loss.ratio.to(dtype), numbers[f"eqlv2_ratio_after{step}"], f"ratio {step}")
