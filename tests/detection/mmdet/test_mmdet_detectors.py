"""Whole detectors of the real mmdet, small and with random weights, and DINO's head."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from mlt.class_counts import ClassCounts
from mlt.detection.mmdet import MltLoss

C = 3
FOCAL = {"name": "focal", "gamma": 2.0, "alpha": 0.25, "use_sigmoid": True}
BALANCED = {
    "type": MltLoss,
    "name": "cb_focal",
    "class_counts": [900, 40, 3],
    "beta": 0.99,
    "scheme": "positive",
    "use_sigmoid": True,
}

BACKBONE = {
    "depth": 18,
    "base_channels": 8,
    "stem_channels": 8,
    "norm_cfg": {"type": "BN", "requires_grad": True},
    "frozen_stages": -1,
    "init_cfg": None,
}
PYRAMID = {"in_channels": [8, 16, 32, 64], "out_channels": 16}
DENSE = {
    "neck": PYRAMID,
    "bbox_head": {"num_classes": C, "in_channels": 16, "feat_channels": 32, "stacked_convs": 1},
}
REGION_HEAD = {"num_classes": C, "in_channels": 16, "fc_out_channels": 32}
PROPOSALS = {"in_channels": 16, "feat_channels": 16}
WIDTHS = {"feedforward_channels": 32, "ffn_drop": 0.0}
QUERIES = {
    "num_queries": 12,
    "neck": {"in_channels": [64]},
    "encoder": {"num_layers": 1, "layer_cfg": {"ffn_cfg": WIDTHS}},
    "decoder": {"num_layers": 2, "layer_cfg": {"ffn_cfg": WIDTHS}},
    "bbox_head": {"num_classes": C},
    "test_cfg": {"max_per_img": 10},
}


class Case(NamedTuple):
    """A configuration that mmdet ships, and what makes it small."""

    file: str
    changes: dict[str, Any]

    def loss_config(self, model: Any) -> list[Any]:
        """Return the configurations that hold `loss_cls`: one, or one per stage of a cascade."""
        head = model.roi_head.bbox_head if "roi_head" in model else model.bbox_head
        return list(head) if isinstance(head, (list, tuple)) else [head]


CASES = {
    "retinanet": Case("retinanet/retinanet_r50_fpn_1x_coco.py", DENSE),
    "fcos": Case("fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py", DENSE),
    "gfl": Case("gfl/gfl_r50_fpn_1x_coco.py", DENSE),
    "faster_rcnn": Case(
        "faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py",
        {
            "neck": PYRAMID,
            "rpn_head": PROPOSALS,
            "roi_head": {"bbox_roi_extractor": {"out_channels": 16}, "bbox_head": REGION_HEAD},
        },
    ),
    "cascade_rcnn": Case(
        "cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco.py",
        {
            "neck": PYRAMID,
            "rpn_head": PROPOSALS,
            "roi_head": {
                "bbox_roi_extractor": {"out_channels": 16},
                "bbox_head": {"0": REGION_HEAD, "1": REGION_HEAD, "2": REGION_HEAD},
            },
        },
    ),
    "detr": Case("detr/detr_r50_8xb2-150e_coco.py", QUERIES),
    "conditional_detr": Case("conditional_detr/conditional-detr_r50_8xb2-50e_coco.py", QUERIES),
}
FOCAL_CASES = ["retinanet", "fcos", "conditional_detr"]
TWO_STAGE = ["faster_rcnn", "cascade_rcnn"]


@pytest.fixture
def build(load_config: Callable[..., Any]) -> Callable[..., nn.Module]:
    """Build the detector of a case, with its own loss or with another."""

    def make(name: str, loss_cls: dict[str, Any] | None = None) -> nn.Module:
        from mmdet.registry import MODELS

        case = CASES[name]
        config = load_config(case.file, {"backbone": BACKBONE, **case.changes})
        for head in case.loss_config(config) if loss_cls is not None else []:
            head.loss_cls = {**loss_cls}
        torch.manual_seed(0)
        model = MODELS.build(config)
        model.init_weights()
        return model

    return make


def batch(boxes_on_both: bool = True) -> tuple[Tensor, list[Any]]:
    """Two pictures of 64 x 64 pixels with two boxes and one, or two and none."""
    from mmdet.structures import DetDataSample
    from mmengine.structures import InstanceData

    pictures = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    first = [[4.0, 4, 40, 44], [30, 20, 60, 60]], [0, 2]
    second = ([[10.0, 8, 50, 40]], [1]) if boxes_on_both else ([], [])
    samples = []
    for boxes, labels in (first, second):
        shapes = ("img_shape", "batch_input_shape", "pad_shape", "ori_shape")
        size = {**dict.fromkeys(shapes, (64, 64)), "scale_factor": (1.0, 1.0)}
        sample = DetDataSample(metainfo=size)
        sample.gt_instances = InstanceData(
            bboxes=torch.tensor(boxes).reshape(-1, 4), labels=torch.tensor(labels).long()
        )
        samples.append(sample)
    return pictures, samples


def losses_of(model: nn.Module, *data: Any) -> dict[str, Tensor]:
    torch.manual_seed(0)  # the samplers of regions are random
    losses = model.loss(*(data or batch()))  # type: ignore[operator]
    return {k: sum(v) if isinstance(v, list) else v for k, v in losses.items()}  # type: ignore[misc]


@pytest.mark.parametrize("boxes_on_both", [True, False])
@pytest.mark.parametrize("name", FOCAL_CASES)
def test_its_own_loss_plugged_in_gives_its_own_numbers(
    name: str, boxes_on_both: bool, build: Callable[..., Any]
) -> None:
    model = build(name)
    before = losses_of(model, *batch(boxes_on_both))
    own = model.bbox_head.loss_cls
    model.bbox_head.loss_cls = MltLoss(**FOCAL, loss_weight=own.loss_weight)
    after = losses_of(model, *batch(boxes_on_both))
    after.pop("acc_classes", None)  # FCOS logs what a loss with an accuracy of its own says
    assert before.keys() == after.keys()
    for key, value in before.items():
        if "loss_cls" in key:
            torch.testing.assert_close(after[key], value, rtol=1e-6, atol=0)
        else:
            assert torch.equal(after[key], value)


@pytest.mark.parametrize("name", ["gfl", *TWO_STAGE])
def test_box_losses_stay_to_the_bit(name: str, build: Callable[..., Any]) -> None:
    own, ours = build(name), build(name, BALANCED)
    shapes = {key: value.shape for key, value in ours.state_dict().items()}
    fitting = {k: v for k, v in own.state_dict().items() if shapes.get(k) == v.shape}
    # Only the classifier of a second stage has another shape: a softmax has a background column.
    assert all(".fc_cls." in key for key in own.state_dict().keys() - fitting.keys())
    ours.load_state_dict(fitting, strict=False)
    before, after = losses_of(own), losses_of(ours)
    # The first stage of a cascade chooses the boxes of the others by its scores.
    boxes = [k for k in before if ("bbox" in k or "dfl" in k) and k[:2] not in ("s1", "s2")]
    assert boxes
    for key in boxes:
        assert torch.equal(before[key], after[key]), key


@pytest.mark.parametrize("name", list(CASES))
def test_it_trains_and_predicts(name: str, build: Callable[..., Any]) -> None:
    model = build(name, BALANCED).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    values = []
    for _ in range(10):
        losses = losses_of(model)
        total = sum(value for key, value in losses.items() if "loss" in key)
        classes = sum(value for key, value in losses.items() if "loss_cls" in key)
        optimizer.zero_grad()
        total.backward()
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        assert torch.isfinite(total) and all(torch.isfinite(g).all() for g in gradients)
        optimizer.step()
        values.append(classes.item())
    if name != "gfl":  # there better boxes ask for higher scores, and its loss rises with them
        assert values[-1] < 0.9 * values[0]
    model.eval()
    with torch.no_grad():
        found = model.predict(*batch())[0].pred_instances
    assert len(found) == 0 or int(found.labels.max()) < C
    assert ((found.scores >= 0) & (found.scores <= 1)).all()


@pytest.mark.parametrize("name", TWO_STAGE)
def test_a_second_stage_has_a_sigmoid_of_each_class(name: str, build: Callable[..., Any]) -> None:
    model = build(name, BALANCED).eval()
    heads = model.roi_head.bbox_head
    heads = heads if isinstance(heads, nn.ModuleList) else [heads]
    for head in heads:
        assert head.fc_cls.out_features == C
        nn.init.zeros_(head.fc_cls.weight)
        head.fc_cls.bias.data = torch.tensor([-9.0, 1.0, 0.5])
    with torch.no_grad():
        found = model.predict(*batch())[0].pred_instances
    assert set(found.labels.tolist()) == {1, 2}
    expected = torch.tensor([1.0, 0.5]).sigmoid()[found.labels - 1]
    torch.testing.assert_close(found.scores, expected)


def test_gfl_asks_for_the_quality_of_a_box(build: Callable[..., Any]) -> None:
    model = build("gfl", {**FOCAL, "type": MltLoss})
    asked = []

    def look(module: nn.Module, arguments: tuple[Any, ...]) -> None:
        asked.append(arguments[1])

    model.bbox_head.loss_cls.register_forward_pre_hook(look)
    losses_of(model)
    labels, quality = (torch.cat([pair[place] for pair in asked]) for place in (0, 1))
    assert set(labels.tolist()) == {0, 1, 2, C}
    assert (quality[labels == C] == 0).all()
    assert 0 < quality[labels < C].max() < 1


def test_dino(load_config: Callable[..., Any]) -> None:
    """Its head alone: the decoder before it needs an operator that is compiled."""
    from mmdet.registry import MODELS

    config = load_config("dino/dino-4scale_r50_8xb2-12e_coco.py", {"bbox_head": {"num_classes": C}})
    head = MODELS.build({**config.bbox_head, "train_cfg": config.train_cfg, "num_pred_layer": 3})
    generator = torch.Generator().manual_seed(0)
    # One group of denoising queries: a positive and a negative one per box, as many on each image.
    noisy = {"num_denoising_queries": 4, "num_denoising_groups": 1}
    scores = torch.randn(2, 2, 12 + 4, C, generator=generator).requires_grad_()
    boxes = 0.2 + 0.5 * torch.rand(2, 2, 12 + 4, 4, generator=generator)
    samples = batch()[1]
    truth, sizes = [s.gt_instances for s in samples], [s.metainfo for s in samples]

    def call() -> dict[str, Tensor]:
        return head.loss_by_feat(scores, boxes, scores[0], boxes[0], truth, sizes, noisy)

    before = call()
    head.loss_cls = MltLoss(**FOCAL, loss_weight=head.loss_cls.loss_weight)
    after = call()
    assert before.keys() == after.keys() >= {"dn_loss_cls", "enc_loss_cls", "d0.loss_cls"}
    for key, value in before.items():
        if "loss_cls" in key:
            torch.testing.assert_close(after[key], value, rtol=1e-6, atol=0)
        else:
            assert torch.equal(after[key], value)
    sum(after.values()).backward()  # type: ignore[union-attr]
    assert scores.grad is not None and torch.isfinite(scores.grad).all()


def test_registered_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, load_config: Callable[..., Any]
) -> None:
    """The configuration of the documentation, as a file."""
    from mmdet.registry import MODELS
    from mmengine.config import Config

    base = Path(importlib.import_module("mmdet").__file__ or "").parent / ".mim/configs"
    file = tmp_path / "mine.py"
    file.write_text(
        f"_base_ = [{str(base / CASES['retinanet'].file)!r}]\n"
        "custom_imports = dict(imports=['mlt.detection.mmdet_registered'])\n"
        "loss_cls = dict(type='MltLoss', name='cb_focal', class_counts=[900, 40, 3],\n"
        "                use_sigmoid=True)\n"
        "loss_cls.update(beta=0.99, scheme='positive', alpha=0.25, loss_weight=1.0)\n"
        "model = dict(bbox_head=dict(num_classes=3, loss_cls=dict(_delete_=True, **loss_cls)))\n"
    )
    monkeypatch.delitem(sys.modules, "mlt.detection.mmdet_registered", raising=False)
    monkeypatch.delitem(MODELS._module_dict, "MltLoss", raising=False)
    config = Config.fromfile(file)  # imports what custom_imports names
    head = MODELS.build({**config.model.bbox_head, "train_cfg": config.model.train_cfg})
    assert isinstance(head.loss_cls, MltLoss) and head.cls_out_channels == C
    assert head.loss_cls.loss.class_counts.counts.tolist() == [900, 40, 3]


class Squared(nn.Module):
    """A loss of one's own that says nothing about itself."""

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        return (logits.sigmoid() - targets).square()


@pytest.mark.parametrize("name", ["retinanet", "faster_rcnn"])
def test_a_loss_of_ones_own(name: str, build: Callable[..., Any]) -> None:
    model = build(name, {"type": MltLoss, "name": Squared(), "use_sigmoid": True})
    head = model.roi_head.bbox_head if name == "faster_rcnn" else model.bbox_head
    assert isinstance(head.loss_cls.loss, Squared)
    value = losses_of(model)["loss_cls"]
    value.backward()
    assert torch.isfinite(value) and value > 0


def test_box_counts_of_a_configuration(build: Callable[..., Any]) -> None:
    counts = ClassCounts.from_counts([900, 40, 3], unit="boxes")
    model = build("retinanet", {**BALANCED, "class_counts": counts})
    assert model.bbox_head.loss_cls.loss.class_counts.unit == "boxes"
