"""The DETR families' loss functions, of the real transformers, on made-up outputs of a model."""

from __future__ import annotations

import copy
import functools
import itertools
import pickle
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

pytest.importorskip("transformers")

from transformers.loss import loss_utils

from mlt.detection.transformers import LossFunction, against_no_object
from mlt.detection.transformers.attach import FAMILIES
from mlt.errors import ConfigError
from mlt.losses import create_loss
from mlt.losses.seesaw import SeesawLoss

K, QUERIES, LAYERS, BINS = 5, 6, 3, 4
DENOISING = 4
CONFIG = SimpleNamespace(
    num_labels=K,
    auxiliary_loss=True,
    decoder_layers=LAYERS,
    class_cost=2,
    bbox_cost=5,
    giou_cost=2,
    class_loss_coefficient=3.0,
    bbox_loss_coefficient=5.0,
    giou_loss_coefficient=2.0,
    mask_loss_coefficient=1.0,
    dice_loss_coefficient=1.0,
    mask_class_loss_coefficient=1.0,
    mask_dice_loss_coefficient=1.0,
    mask_point_sample_ratio=1,
    eos_coefficient=0.1,
    focal_alpha=0.25,
    group_detr=2,
    matcher_class_cost=2.0,
    matcher_bbox_cost=5.0,
    matcher_giou_cost=2.0,
    use_focal_loss=True,
    matcher_alpha=0.25,
    matcher_gamma=2.0,
    weight_loss_vfl=1.5,
    weight_loss_mal=1.5,
    weight_loss_bbox=5.0,
    weight_loss_giou=2.0,
    weight_loss_fgl=0.15,
    weight_loss_ddf=1.5,
    focal_loss_alpha=0.75,
    focal_loss_gamma=2.0,
    max_num_bins=BINS,
    reg_scale=4.0,
    up=0.5,
    mal_alpha=0.6,
    use_dense_one_to_one=True,
)


# --- each family's own classification loss, element by element, from its paper -----------------


def bce(z: Tensor, t: Tensor) -> Tensor:
    return t * F.softplus(-z) + (1 - t) * F.softplus(z)


def focal(z: Tensor, t: Tensor) -> Tensor:
    p_t = torch.where(t > 0.5, z.sigmoid(), (-z).sigmoid())
    return torch.where(t > 0.5, 0.25, 0.75) * (1 - p_t) ** 2 * bce(z, t)


def varifocal(z: Tensor, t: Tensor) -> Tensor:
    return torch.where(t > 0, t, 0.75 * z.detach().sigmoid() ** 2) * bce(z, t)


def matching_aware(z: Tensor, t: Tensor) -> Tensor:
    return torch.where(t > 0, 1.0, 0.6 * z.detach().sigmoid() ** 2) * bce(z, t)


def iou_aware(z: Tensor, t: Tensor) -> Tensor:
    return torch.where(t > 0, 1.0, z.sigmoid() ** 2) * bce(z, t)


OWN: dict[str, Callable[..., Tensor]] = {
    "DeformableDetrForObjectDetectionLoss": focal,
    "DeformableDetrForSegmentationLoss": focal,
    "RTDetrForObjectDetectionLoss": varifocal,
    "DFineForObjectDetectionLoss": varifocal,
    "Deimv2ForObjectDetectionLoss": matching_aware,
    "LwDetrForObjectDetectionLoss": iou_aware,
    "RfDetrForSegmentationLoss": iou_aware,
    "ForObjectDetectionLoss": nn.CrossEntropyLoss(reduction="none"),
    "ForSegmentationLoss": nn.CrossEntropyLoss(reduction="none"),
}
NAMES = sorted(FAMILIES)
# RF-DETR of transformers 5.23 itself gives no number without any box.
WITHOUT_BOXES = [name for name in NAMES if name != "RfDetrForSegmentationLoss"]


# --- made-up outputs ------------------------------------------------------------------------------


def make_boxes(*shape: int, generator: torch.Generator) -> Tensor:
    # Large and central: any two overlap, so that no IoU is 0.
    centre = 0.45 + 0.1 * torch.rand(*shape, 2, generator=generator)
    return torch.cat([centre, 0.5 + 0.3 * torch.rand(*shape, 2, generator=generator)], -1)


def make_call(
    name: str,
    counts: tuple[int, ...] = (2, 0, 3),
    classes: int = K,
    dtype: torch.dtype | None = None,
) -> tuple[list[Any], dict[str, Any], list[Tensor]]:
    """Positional and keyword arguments as the model of a family gives them, and all logits."""
    generator = torch.Generator().manual_seed(0)
    images = len(counts)
    no_object = name in ("ForObjectDetectionLoss", "ForSegmentationLoss")
    real_time = name.startswith(("RTDetr", "DFine", "Deimv2"))
    grouped = name.startswith(("LwDetr", "RfDetr"))
    queries = QUERIES * (CONFIG.group_detr if grouped else 1) + (DENOISING if real_time else 0)
    columns = classes + no_object

    def logits(*shape: int) -> Tensor:
        values = torch.randn(*shape, columns, generator=generator)
        return values.to(dtype or values.dtype).requires_grad_()

    labels = []
    for n in counts:
        label = {
            "class_labels": torch.randint(0, classes, (n,), generator=generator),
            "boxes": make_boxes(n, generator=generator),
            "masks": torch.rand(n, 8, 8, generator=generator) > 0.5,
        }
        labels.append(label)
    config = copy.copy(CONFIG)
    config.num_labels = classes

    layers = (images, LAYERS) if real_time else (LAYERS, images)
    every = logits(*layers, queries)
    boxes = make_boxes(*layers, queries, generator=generator)
    last = every[:, -1] if real_time else every[-1]
    last_boxes = boxes[:, -1] if real_time else boxes[-1]
    leaves = [every]
    masks = torch.randn(LAYERS, images, queries, 8, 8, generator=generator)
    arguments = [last, labels, torch.device("cpu"), last_boxes]
    keywords: dict[str, Any] = {}
    if "Segmentation" in name:
        arguments.append(masks[-1])
    arguments += [config, every, boxes]
    if name == "RfDetrForSegmentationLoss":
        arguments.append(masks)
    if grouped:
        encoder = logits(images, queries)
        leaves.append(encoder)
        arguments += [encoder, make_boxes(images, queries, generator=generator)]
        if name == "RfDetrForSegmentationLoss":
            arguments.append(masks[0])
    if real_time:
        encoder = logits(images, QUERIES)
        leaves.append(encoder)
        groups = 1
        keywords = {
            "enc_topk_logits": encoder,
            "enc_topk_bboxes": make_boxes(images, QUERIES, generator=generator),
            "denoising_meta_values": {
                "dn_positive_idx": [torch.arange(n * groups) for n in counts],
                "dn_num_group": groups,
                "dn_num_split": [DENOISING, QUERIES],
            },
            "predicted_corners": torch.randn(
                images, LAYERS, queries, 4 * (BINS + 1), generator=generator
            ),
            "initial_reference_points": make_boxes(images, LAYERS, queries, generator=generator),
            "num_items_in_batch": None,  # an argument that the loss does not know
        }
    return arguments, keywords, leaves


def run(
    function: Callable[..., Any], name: str, **options: Any
) -> tuple[Tensor, dict, list[Tensor]]:
    arguments, keywords, leaves = make_call(name, **options)
    torch.manual_seed(0)  # RF-DETR draws points of the masks
    loss, parts, _ = function(*arguments, **keywords)
    return loss, parts, list(torch.autograd.grad(loss, leaves))


def plain(name: str) -> Callable[..., Any]:
    return next(f for f in loss_utils.LOSS_MAPPING.values() if f.__name__ == name)


def is_ours(name: str, part: str) -> bool:
    return part.startswith(FAMILIES[name].key)


# --- tests ----------------------------------------------------------------------------------------


def test_every_detection_loss_of_transformers_is_known_or_refused() -> None:
    theirs = {f.__name__ for f in loss_utils.LOSS_MAPPING.values()}
    detection = {n for n in theirs if "ObjectDetection" in n or n.endswith("ForSegmentationLoss")}
    assert detection - set(FAMILIES) == {"GroundingDinoForObjectDetectionLoss"}
    assert set(FAMILIES) <= theirs


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        *itertools.product(NAMES, [(2, 0, 3), (1,)]),
        *itertools.product(WITHOUT_BOXES, [(0, 0)]),
    ],
)
def test_own_loss_gives_own_number(name: str, counts: tuple[int, ...]) -> None:
    expected, expected_parts, expected_slopes = run(plain(name), name, counts=counts)
    value, parts, slopes = run(LossFunction(OWN[name], plain(name), K), name, counts=counts)
    torch.testing.assert_close(value, expected, rtol=1e-6, atol=1e-6)
    assert list(parts) == list(expected_parts)
    for part in parts:
        if is_ours(name, part):
            torch.testing.assert_close(parts[part], expected_parts[part], rtol=2e-6, atol=1e-6)
        else:
            assert torch.equal(parts[part], expected_parts[part]), part
    for mine, theirs in zip(slopes, expected_slopes):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_no_term_is_dropped_from_the_total(name: str) -> None:
    """Twice the loss adds to the total what each of its terms weighs there, in every layer."""
    once, parts, _ = run(LossFunction(bce, plain(name), K), name)
    twice, _, _ = run(LossFunction(lambda z, t: 2 * bce(z, t), plain(name), K), name)
    ours = {part: value for part, value in parts.items() if is_ours(name, part)}
    coefficient = CONFIG.class_loss_coefficient if name.startswith(("Lw", "Rf")) else 1.0
    # RT-DETR's parts come weighted already.
    torch.testing.assert_close(twice - once, coefficient * sum(ours.values()))
    layers = LAYERS + name.startswith(("Lw", "Rf"))
    if name.startswith(("RTDetr", "DFine", "Deimv2")):
        layers = LAYERS + 1 + LAYERS  # the encoder, and denoising
    if name == "RfDetrForSegmentationLoss":
        assert len(ours) >= layers
    else:
        assert len(ours) == layers


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_logits(name: str, dtype: torch.dtype) -> None:
    function = LossFunction(create_loss("focal", reduction="none"), plain(name), K)
    exact, _, _ = run(function, name)
    value, parts, slopes = run(function, name, dtype=dtype)
    assert torch.isfinite(value) and all(torch.isfinite(s).all() for s in slopes)
    torch.testing.assert_close(value, exact, rtol=0.02, atol=0.02)
    assert all(v.dtype == torch.float32 for k, v in parts.items() if is_ours(name, k))
    assert all(s.dtype == dtype for s in slopes)


@pytest.mark.parametrize("name", NAMES)
def test_double_precision_logits(name: str) -> None:
    function = LossFunction(create_loss("focal", reduction="none"), plain(name), K)
    exact, parts, _ = run(function, name, dtype=torch.float64)
    value, _, _ = run(function, name)
    torch.testing.assert_close(value, exact.float(), rtol=1e-5, atol=1e-6)
    assert all(v.dtype == torch.float64 for k, v in parts.items() if is_ours(name, k))


@pytest.mark.parametrize("name", NAMES)
def test_one_class(name: str) -> None:
    loss = create_loss("cb_focal", [7], reduction="none", scheme="column")
    function = LossFunction(loss, plain(name), 1)
    value, _, slopes = run(function, name, classes=1)
    assert torch.isfinite(value)
    assert all(s.abs().sum() > 0 for s in slopes)


@pytest.mark.parametrize("name", WITHOUT_BOXES)
def test_no_box_at_all_pushes_every_score_down(name: str) -> None:
    function = LossFunction(create_loss("bce", reduction="none"), plain(name), K)
    _, _, slopes = run(function, name, counts=(0, 0))
    if FAMILIES[name].no_object:
        assert (slopes[0][-1, ..., :-1] > 0).all() and (slopes[0][-1, ..., -1] < 0).all()
    else:
        normal = slopes[0][:, -1, DENOISING:] if slopes[0].shape[0] == 2 else slopes[0][-1]
        assert (normal > 0).all()


@pytest.mark.parametrize("name", ["DeformableDetrForObjectDetectionLoss", "ForObjectDetectionLoss"])
def test_weight_on_an_absent_class_changes_only_its_negatives(name: str) -> None:
    options: dict[str, Any] = {"counts": (1, 2)}
    arguments, _, _ = make_call(name, **options)
    present = torch.cat([label["class_labels"] for label in arguments[1]])
    absent = next(c for c in range(K) if c not in present)
    weight = torch.ones(K)
    weight[absent] = 3.0
    _, _, before = run(LossFunction(bce, plain(name), K), name, **options)
    _, _, after = run(
        LossFunction(lambda z, t: weight * bce(z, t), plain(name), K), name, **options
    )
    kept = [c for c in range(K) if c != absent]
    torch.testing.assert_close(after[0][..., kept], before[0][..., kept])
    torch.testing.assert_close(after[0][..., absent], 3 * before[0][..., absent])


def test_hard_targets_where_the_framework_has_soft_ones() -> None:
    name = "RTDetrForObjectDetectionLoss"
    seen: list[Tensor] = []

    def spy(z: Tensor, t: Tensor) -> Tensor:
        seen.append(t)
        return bce(z, t)

    function = LossFunction(spy, plain(name), K)
    seen.clear()
    run(function, name)
    soft = torch.cat([t[t > 0] for t in seen])
    assert ((soft > 0) & (soft < 1)).all()
    function = LossFunction(spy, plain(name), K, targets="hard")
    seen.clear()
    run(function, name)
    assert set(torch.cat([t.unique() for t in seen]).tolist()) == {0.0, 1.0}


def test_softmax_of_the_framework_and_our_logits_agree_on_the_winner() -> None:
    logits = torch.randn(100, K + 1, generator=torch.Generator().manual_seed(1))
    evidence = against_no_object(logits)
    softmax = logits.softmax(-1)[..., :-1]
    torch.testing.assert_close(softmax, evidence.exp() / (1 + evidence.exp().sum(-1, keepdim=True)))
    assert torch.equal(softmax.argmax(-1), evidence.argmax(-1))
    assert (softmax <= evidence.sigmoid() + 1e-7).all()


def test_seesaw_on_the_softmax_head() -> None:
    loss = SeesawLoss(K + 1, reduction="none")
    function = LossFunction(loss, plain("ForObjectDetectionLoss"), K)
    assert loss.counts.sum() == 0  # looking whether it fits has taught it nothing
    value, _, _ = run(function, "ForObjectDetectionLoss")
    assert torch.isfinite(value)
    assert loss.counts.sum() == LAYERS * 3 * QUERIES


def test_a_loss_that_remembers_learns_only_in_training() -> None:
    loss = create_loss("eqlv2", [5] * K, reduction="none")
    name = "DeformableDetrForObjectDetectionLoss"
    function = LossFunction(loss, plain(name), K)
    start = loss.ratio.clone()
    arguments, keywords, _ = make_call(name)
    with torch.no_grad():
        arguments[0], arguments[5] = arguments[0].detach(), arguments[5].detach()
        function(*arguments, **keywords)
    assert torch.equal(loss.ratio, start) and loss.training
    run(function, name)
    assert not torch.equal(loss.ratio, start)


def test_two_functions_do_not_disturb_each_other_or_the_framework() -> None:
    name = "RTDetrForObjectDetectionLoss"
    before, _, _ = run(plain(name), name)
    one = LossFunction(bce, plain(name), K)
    other = LossFunction(focal, plain(name), K)
    first, _, _ = run(one, name)
    run(other, name)
    again, _, _ = run(one, name)
    after, _, _ = run(plain(name), name)
    assert first == again and before == after and first != before


@pytest.mark.parametrize("name", NAMES)
def test_copies_and_pickles(name: str) -> None:
    function = LossFunction(create_loss("focal", reduction="none"), plain(name), K)
    expected, _, _ = run(function, name)
    for twin in (copy.deepcopy(function), pickle.loads(pickle.dumps(function))):  # noqa: S301
        assert run(twin, name)[0] == expected


@pytest.mark.parametrize("loss", ["federated", "db_focal", "eql", "logit_adjusted", "ldam", "asl"])
def test_long_tailed_presets(loss: str) -> None:
    ours = create_loss(loss, [90, 50, 20, 5, 1], num_images=100, reduction="none")
    for name in NAMES:
        value, _, slopes = run(LossFunction(ours, plain(name), K), name)
        assert torch.isfinite(value) and all(torch.isfinite(s).all() for s in slopes)


def test_refusals() -> None:
    deformable = plain("DeformableDetrForObjectDetectionLoss")
    detr = plain("ForObjectDetectionLoss")
    with pytest.raises(ConfigError, match="targets must be one of"):
        LossFunction(bce, deformable, K, targets="soft")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="softmax"):
        LossFunction(nn.CrossEntropyLoss(reduction="none"), deformable, K)
    with pytest.raises(ConfigError, match="softmax"):
        LossFunction(SeesawLoss(K, reduction="none"), deformable, K)
    with pytest.raises(ConfigError, match=f"{K} classes"):  # no-object is one more
        LossFunction(SeesawLoss(K, reduction="none"), detr, K)
    with pytest.raises(ConfigError, match="words of a text"):
        LossFunction(bce, plain("GroundingDinoForObjectDetectionLoss"), K)
    with pytest.raises(ConfigError):  # a mean
        LossFunction(create_loss("bce"), deformable, K)
    with pytest.raises(ConfigError):  # counts of another number of classes
        LossFunction(create_loss("cb_bce", [3, 4], reduction="none"), deformable, K)
    with pytest.raises(ConfigError):  # couples the classes of a row
        LossFunction(create_loss("zlpr", reduction="none"), deformable, K)


def test_a_new_transformers_that_builds_another_criterion_is_noticed() -> None:
    def renamed(logits: Tensor) -> Tensor:
        return logits

    renamed.__name__ = "DeformableDetrForObjectDetectionLoss"
    for other in (renamed, functools.partial(renamed)):
        with pytest.raises(ConfigError):
            LossFunction(bce, other, K)
    with pytest.raises(ConfigError, match="does not build"):
        LossFunction(bce, renamed, K)
