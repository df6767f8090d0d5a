"""What holds for every loss: shapes, masks, reductions, limits, extreme inputs."""

from __future__ import annotations

import warnings

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays

from mlt.class_counts import ClassCounts
from mlt.errors import ConfigError, DataError
from mlt.losses import SeesawLoss, create_loss, list_losses
from mlt.losses.class_weights import effective_number_weights, sum_to_classes

COUNTS = [60, 30, 9, 2]
NUM_IMAGES = 80
# Losses whose elements do not depend on other rows or on earlier calls.
ELEMENTWISE = [
    name for name in list_losses("sigmoid") if name not in ("two_way", "zlpr", "federated", "eqlv2")
]
ALL = [name for name in list_losses("sigmoid") if name != "federated"]

pytestmark = pytest.mark.filterwarnings("ignore:All class weights")


def make(name: str, reduction: str = "mean", **options: object):
    if name == "eqlv2" or name == "two_way":
        return create_loss(name, COUNTS, NUM_IMAGES, reduction=reduction, **options).eval()
    return create_loss(name, COUNTS, NUM_IMAGES, reduction=reduction, **options)


def batch(rows: int = 6, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(rows, len(COUNTS), generator=generator, dtype=torch.float64)
    targets = (torch.rand(rows, len(COUNTS), generator=generator) < 0.4).double()
    return logits, targets


@pytest.mark.parametrize("name", ALL)
def test_reductions_agree(name: str) -> None:
    logits, targets = batch()
    total = make(name, "sum")(logits, targets)
    torch.testing.assert_close(total, 6 * make(name, "batchmean")(logits, targets))
    if name in ELEMENTWISE:
        elements = make(name, "none")(logits, targets)
        assert elements.shape == logits.shape
        torch.testing.assert_close(total, elements.sum())
        torch.testing.assert_close(make(name, "mean")(logits, targets), elements.mean())


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("reduction", ["mean", "sum", "batchmean"])
def test_a_masked_label_changes_nothing(name: str, reduction: str) -> None:
    logits, targets = batch()
    known = torch.rand(logits.shape, generator=torch.Generator().manual_seed(1)) < 0.7
    known[3] = False  # a row that nobody annotated
    results = []
    for filler in (0.0, float("nan"), 1e4):
        z = torch.where(known, logits, filler).requires_grad_()
        y = torch.where(known, targets, -1.0)
        value = make(name, reduction)(z, y, known)
        value.backward()
        assert not z.grad[~known].any()
        results.append((value.detach(), z.grad))
    for value, grad in results[1:]:
        torch.testing.assert_close(value, results[0][0])
        torch.testing.assert_close(grad, results[0][1])
    # The row without annotations might as well not be there.
    rows = [0, 1, 2, 4, 5]
    shorter = make(name, reduction)(logits[rows], targets[rows], known[rows])
    torch.testing.assert_close(results[0][0], shorter)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_mean_divides_by_known_elements(name: str) -> None:
    logits, targets = batch()
    known = torch.ones_like(targets, dtype=torch.bool)
    known[0, 1] = known[2, 3] = False
    elements = make(name, "none")(logits, targets, known)
    assert elements[~known].abs().max() == 0
    torch.testing.assert_close(
        make(name, "mean")(logits, targets, known), elements.sum() / (elements.numel() - 2)
    )


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_leading_axes_are_rows(name: str) -> None:
    logits, targets = batch(rows=6)
    flat = make(name, "none")(logits, targets)
    deep = make(name, "none")(logits.view(2, 3, -1), targets.view(2, 3, -1))
    torch.testing.assert_close(deep.view_as(flat), flat)


@pytest.mark.parametrize("name", ALL)
def test_inputs_stay_as_they_are(name: str) -> None:
    logits, targets = batch()
    z, y = logits.clone().requires_grad_(), targets.clone()
    make(name)(z, y).backward()
    assert torch.equal(z, logits)
    assert torch.equal(y, targets)


@pytest.mark.parametrize("name", ALL)
def test_permuting_classes_permutes_the_loss(name: str) -> None:
    order = [2, 0, 3, 1]
    logits, targets = batch()
    grads = []
    for counts, z, y in (
        (COUNTS, logits, targets),
        ([COUNTS[i] for i in order], logits[:, order], targets[:, order]),
    ):
        z = z.clone().requires_grad_()
        value = create_loss(name, counts, NUM_IMAGES)(z, y)
        value.backward()
        grads.append((value.detach(), z.grad))
    torch.testing.assert_close(grads[1][0], grads[0][0])
    torch.testing.assert_close(grads[1][1], grads[0][1][:, order])


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("rows", [0, 1])
def test_empty_batches_and_rows_without_positives(name: str, rows: int) -> None:
    logits = torch.zeros(rows, len(COUNTS), requires_grad=True)
    value = make(name)(logits, torch.zeros(rows, len(COUNTS)))
    value.backward()
    assert value.isfinite()
    assert logits.grad.isfinite().all()
    if rows == 0:
        assert value == 0


@pytest.mark.parametrize("scheme", ["instance", "average_w", "average_n", "min_n"])
def test_instance_weight_is_1_without_positives(scheme: str) -> None:
    plain = make("bce", "none")(torch.zeros(1, 4), torch.zeros(1, 4))
    weighted = make("cb_bce", "none", scheme=scheme)(torch.zeros(1, 4), torch.zeros(1, 4))
    torch.testing.assert_close(weighted, plain)


def test_rebalanced_weight_is_1_plus_alpha_without_positives() -> None:
    plain = make("bce", "none")(torch.zeros(1, 4), torch.zeros(1, 4))
    weighted = make("r_bce", "none", map_alpha=0.3)(torch.zeros(1, 4), torch.zeros(1, 4))
    torch.testing.assert_close(weighted, 1.3 * plain)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_extreme_logits_stay_finite(name: str, dtype: torch.dtype) -> None:
    largest = {torch.float16: 6e4, torch.bfloat16: 1e4, torch.float32: 1e4}[dtype]
    scale = torch.tensor([1e-4, 1e-3, 2e-3, 1.0])
    logits = (largest * torch.stack([scale, -scale])).to(dtype).requires_grad_()
    for target in (0, 1):
        logits.grad = None
        value = make(name)(logits, torch.full(logits.shape, target))
        value.backward()
        assert value.dtype == torch.float32
        assert value.isfinite(), target
        assert logits.grad.isfinite().all(), target
        if name not in ("ral", "hill", "poly"):  # those rise with p_t somewhere
            wrong_way = logits.grad if target else -logits.grad
            assert (wrong_way <= 0).all(), target


# Hill's positives are focal at z - 1; RAL's slope is 1 - 1 / (1 + ...) of a cross entropy's.
@pytest.mark.parametrize("name", [n for n in ELEMENTWISE if n not in ("hill", "splc")])
def test_a_badly_missed_positive_keeps_its_gradient(name: str) -> None:
    logits = torch.full((1, 4), -19.0, requires_grad=True)
    make(name, "sum")(logits, torch.ones(1, 4)).backward()
    assert (logits.grad < -0.05).all()


@pytest.mark.parametrize("name", ["focal", "asl", "ral", "hill", "poly", "db_focal", "splc"])
def test_gamma_between_0_and_1(name: str) -> None:
    options = {"asl": {"gamma_pos": 0.3, "gamma_neg": 0.3}, "ral": {"gamma_neg": 0.3}}
    loss = make(name, "none", **options.get(name, {"gamma": 0.3}))
    logits = torch.linspace(-200, 200, 400).view(-1, 4).requires_grad_()
    for target in (0, 1):
        y = torch.full(logits.shape, target)
        for elements in (loss(logits, y), loss.elements(logits, y.float(), None)):
            (grad,) = torch.autograd.grad(elements.sum(), logits)
            assert elements.isfinite().all()
            assert grad.isfinite().all()


@settings(max_examples=30, deadline=None)
@given(arrays(np.float64, (3, 4), elements=st.floats(-50, 50)))
def test_gamma_0_is_cross_entropy(values: np.ndarray) -> None:
    logits = torch.from_numpy(values)
    targets = batch(3)[1]
    expected = make("bce", "none")(logits, targets)
    for name, options in (
        ("focal", {"gamma": 0}),
        ("asl", {"gamma_pos": 0, "gamma_neg": 0, "clip": 0}),
        ("poly", {"epsilon": 0}),
        ("ldam", {"max_m": 0, "s": 1}),
        ("logit_adjusted", {"tau": 0}),
        ("db", {"neg_scale": 1, "init_bias": 0, "map_alpha": 0.5, "map_beta": 0}),
    ):
        torch.testing.assert_close(make(name, "none", **options)(logits, targets), expected)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 10_000), min_size=2, max_size=20), st.floats(0, 0.999999))
def test_class_weights_sum_to_the_classes(counts: list[int], beta: float) -> None:
    weights = effective_number_weights(np.array(counts, float), beta)
    assert np.isclose(sum_to_classes(weights).sum(), len(counts))
    by_count = np.argsort(counts)
    assert (np.diff(weights[by_count]) <= 1e-12).all()


@settings(max_examples=30, deadline=None)
@given(arrays(np.float64, (3, 4), elements=st.floats(0, 1)))
def test_a_soft_target_costs_the_mean_of_its_readings(soft: np.ndarray) -> None:
    logits, _ = batch(3)
    y = torch.from_numpy(soft)
    for name in ("bce", "focal", "asl", "ral", "hill", "poly", "ldam", "splc", "logit_adjusted"):
        loss = make(name, "none")
        positive = loss(logits, torch.ones_like(y))
        negative = loss(logits, torch.zeros_like(y))
        torch.testing.assert_close(loss(logits, y), y * positive + (1 - y) * negative)


def test_beta_limits() -> None:
    counts = np.array(COUNTS, float)
    np.testing.assert_array_equal(effective_number_weights(counts, 0.0), 1)
    near_1 = sum_to_classes(effective_number_weights(counts, 1 - 1e-12))
    np.testing.assert_allclose(near_1, sum_to_classes(1 / counts), rtol=1e-9)


def test_shapes_that_do_not_fit() -> None:
    loss = make("cb_bce", scheme="column")
    with pytest.raises(ConfigError, match=r"Logits have shape \(2, 4\) but targets \(2, 3\)"):
        loss(torch.zeros(2, 4), torch.zeros(2, 3))
    with pytest.raises(ConfigError, match="known mask"):
        loss(torch.zeros(2, 4), torch.zeros(2, 4), torch.ones(2, 1))
    for name in ("cb_bce", "r_bce", "db", "ldam", "eql", "logit_adjusted"):
        with pytest.raises(ConfigError, match="4 classes"):
            make(name)(torch.zeros(2, 5), torch.zeros(2, 5))


def test_counts_that_cannot_be() -> None:
    with pytest.raises(ConfigError, match="positives among 80 images"):
        ClassCounts.from_counts([90, 1], 80)
    with pytest.raises(ConfigError, match="not negative"):
        ClassCounts.from_counts([-1, 1], 80)
    with pytest.raises(ConfigError, match="needs class_counts"):
        create_loss("cb_bce")
    with pytest.raises(ConfigError, match="needs num_images"):
        create_loss("db", [3, 4])


def test_classes_without_images_are_named_once() -> None:
    with pytest.warns(UserWarning, match="'hair drier', 'toaster'") as caught:
        loss = create_loss("inverse", [0, 5, 80], 80, class_names=("hair drier", "dog", "toaster"))
    assert len(caught) == 1
    torch.testing.assert_close(loss.weighting.weight, torch.tensor([80, 16, 80 / 79]).double())


@pytest.mark.parametrize("name", ["cb_bce", "cb_focal"])
def test_class_balanced_weights_do_something_by_default_and_sum_to_the_classes(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loss = create_loss(name, class_counts=[1128, 37, 276], num_images=1909)
        create_loss(name, [1900, 1820], 1909)  # nearly balanced: nothing to choose better
    beta = 1908 / 1909
    weights = (1 - beta) / (1 - beta ** torch.tensor([1128.0, 37.0, 276.0]).double())
    torch.testing.assert_close(loss.weighting.weight, 3 * weights / weights.sum())


def test_auto_counts_labels_where_nobody_said_how_many_images() -> None:
    counts = [1128, 37, 276]
    expected = create_loss("cb_bce", counts, beta=1440 / 1441).weighting.weight
    torch.testing.assert_close(create_loss("cb_bce", counts).weighting.weight, expected)
    assert (create_loss("cb_bce", counts, 1909).weighting.weight != expected).all()


def test_weights_that_do_nothing_are_reported() -> None:
    with pytest.warns(UserWarning, match="re-weighting does nothing"):
        create_loss("cb_bce", [100, 900], beta=0.9)


def test_a_federated_loss_that_keeps_every_class_is_reported() -> None:
    with pytest.warns(UserWarning, match="it keeps 50 classes in a batch, and there are 2"):
        create_loss("federated", [5, 80], 100)


def test_seesaw_takes_a_number_of_classes() -> None:
    with pytest.raises(ConfigError, match=r"takes the number of classes, an integer, not \[3, 2\]"):
        SeesawLoss([3, 2])


def test_equalization_without_a_rare_class_is_reported() -> None:
    with pytest.warns(UserWarning, match=r"no class is rarer than the threshold of 0\.00176"):
        create_loss("eql", [5, 80], 100)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        create_loss("eql", [5, 80], 100, threshold=0.1)


def test_buffers_are_saved_and_move() -> None:
    loss = create_loss("db_focal", COUNTS, NUM_IMAGES)
    assert set(loss.state_dict()) == {"adjustment.shift", "weighting.inverse_counts"}
    assert loss.to("meta").weighting.inverse_counts.device.type == "meta"


def test_a_device_without_float64_gets_float32() -> None:
    def move(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.dtype == torch.float64:
            raise TypeError("Cannot convert a MPS Tensor to float64")
        return tensor

    loss = create_loss("db_focal", COUNTS, NUM_IMAGES)
    loss._apply(move)
    assert loss.adjustment.shift.dtype == torch.float32


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("dtype", [torch.int64, torch.int8, torch.float32])
@pytest.mark.parametrize("with_gradient", [False, True])
def test_a_target_outside_0_and_1_is_refused(
    name: str, dtype: torch.dtype, with_gradient: bool
) -> None:
    logits = torch.zeros(2, len(COUNTS), requires_grad=with_gradient)
    for wrong in (-1, 2):
        targets = torch.tensor([[1, 0, 1, 0], [0, 1, wrong, 0]], dtype=dtype)
        with pytest.raises(DataError, match=r"between 0 and 1.*give known="):
            make(name)(logits, targets)
        assert make(name)(logits, targets, targets == targets.clamp(0, 1)).isfinite()


def test_a_target_that_is_nan_is_refused() -> None:
    with pytest.raises(DataError, match="between 0 and 1"):
        make("bce")(torch.zeros(1, 4), torch.tensor([[0, 1, torch.nan, 0]]))


def test_targets_under_vmap_and_on_a_device_without_values() -> None:
    logits, targets = batch()
    loss = make("bce", "sum")
    by_row = torch.vmap(loss)(logits, targets)
    torch.testing.assert_close(by_row.sum(), loss(logits, targets))
    assert loss(logits.to("meta"), targets.to("meta")).device.type == "meta"
