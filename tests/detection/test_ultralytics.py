"""The adapter on real, tiny, random models of Ultralytics, and a real training of one epoch."""

from __future__ import annotations

import copy
import json
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from mlt.detection.ultralytics import ClassTerm, attach, detach, make_trainer, plug_criterion
from mlt.errors import ConfigError
from mlt.losses import create_loss

NC = 3


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Undo what Ultralytics does when first imported: settings in the home, how arrays print."""
    arrays, width = np.get_printoptions(), torch._tensor_str.PRINT_OPTS.linewidth
    folder = tmp_path_factory.mktemp("ultralytics")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("YOLO_CONFIG_DIR", str(folder))
        patch.setenv("YOLO_OFFLINE", "true")
        pytest.importorskip("ultralytics")
        yield
    np.set_printoptions(**arrays)  # doctests read it
    torch.set_printoptions(linewidth=width)


@pytest.fixture(scope="module", params=["yolov8n", "yolo11n", "yolo26n"])
def model(request: pytest.FixtureRequest, settings: None) -> Any:
    from ultralytics.cfg import get_cfg
    from ultralytics.nn.tasks import DetectionModel

    torch.manual_seed(0)
    model = DetectionModel(f"{request.param}.yaml", nc=NC, verbose=False)
    model.args = get_cfg()
    return model.train()


def batch(boxes: int = 3, images: int = 2) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "img": torch.rand(images, 3, 64, 64, generator=generator),
        "batch_idx": torch.zeros(boxes),  # the second image has none
        "cls": torch.randint(0, NC, (boxes, 1), generator=generator).float(),
        "bboxes": 0.3 + 0.4 * torch.rand(boxes, 4, generator=generator),
    }


def step(model: Any, **options: Any) -> tuple[Tensor, dict[str, Tensor]]:
    model.zero_grad()
    loss, parts = model.loss(batch(**options))
    loss.sum().backward()
    return loss.detach(), parts


def criteria(model: Any) -> list[Any]:
    criterion = model.criterion
    return [criterion] if hasattr(criterion, "bce") else [criterion.one2many, criterion.one2one]


@pytest.mark.parametrize("boxes", [3, 0])
def test_own_loss_gives_own_number_and_box_losses_stay(model: Any, boxes: int) -> None:
    model.criterion = None
    names = list(model.state_dict())
    before, _ = step(model, boxes=boxes)
    attach(model, nn.BCEWithLogitsLoss(reduction="none"))
    assert torch.equal(step(model, boxes=boxes)[0], before)
    attach(model, create_loss("bce", reduction="none"))
    same, _ = step(model, boxes=boxes)
    # torch's own cross entropy has few digits at the first logits, about -12.
    torch.testing.assert_close(same, before, rtol=1e-4, atol=1e-6)
    attach(model, create_loss("cb_focal", [90, 9, 1], reduction="none", scheme="column"))
    ours, _ = step(model, boxes=boxes)
    assert torch.equal(ours[[0, 2]], before[[0, 2]]) and ours[1] != before[1]
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    assert list(model.state_dict()) == names
    detach(model)
    assert torch.equal(step(model, boxes=boxes)[0], before)
    with pytest.raises(ConfigError, match="No loss of mlt is attached"):
        detach(model)


def test_every_branch_gets_the_loss(model: Any) -> None:
    calls = []

    def spy(logits: Tensor, targets: Tensor) -> Tensor:
        calls.append((logits.shape, targets))
        return F.binary_cross_entropy_with_logits(logits, targets, reduction="none")

    model.criterion = None
    attach(model, spy)
    calls.clear()
    step(model)
    branches = criteria(model)
    assert len(calls) == len(branches) == (2 if "26" in model.yaml["yaml_file"] else 1)
    for shape, targets in calls:
        assert shape == (2, 84, NC)  # 8 x 8 + 4 x 4 + 2 x 2 anchors
        assert targets.min() >= 0 and targets.max() <= 1
        assert ((targets > 0) & (targets < 1)).any()  # soft
        assert (targets[1] == 0).all()
    detach(model)


def test_attaching_again_replaces(model: Any) -> None:
    model.criterion = None
    attach(model, create_loss("focal", reduction="none"))
    attach(model, create_loss("bce", reduction="none"))
    assert all(isinstance(each.bce.plain, nn.BCEWithLogitsLoss) for each in criteria(model))
    detach(model)


def test_autocast(model: Any) -> None:
    model.criterion = None
    attach(model, create_loss("focal", reduction="none"))
    with torch.autocast("cpu", torch.bfloat16):
        loss, _ = model.loss(batch())
    loss.sum().backward()
    assert torch.isfinite(loss).all()
    detach(model)


def test_class_weights_of_ultralytics_are_warned_of_and_multiply(model: Any) -> None:
    model.criterion = None
    model.class_weights = torch.tensor([0.5, 1.0, 1.5])
    expected, _ = step(model)
    with pytest.warns(UserWarning, match="cls_pw"):
        attach(model, create_loss("bce", reduction="none"))
    got, _ = step(model)
    torch.testing.assert_close(got, expected, rtol=1e-6, atol=1e-6)
    del model.class_weights
    model.criterion = None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        attach(model, create_loss("bce", reduction="none"))
    detach(model)


def test_one_class(settings: None) -> None:
    from ultralytics.cfg import get_cfg
    from ultralytics.nn.tasks import DetectionModel

    model = DetectionModel("yolo26n.yaml", nc=1, verbose=False).train()
    model.args = get_cfg()
    attach(model, create_loss("cb_focal", [7], reduction="none", scheme="column"))
    data = batch()
    data["cls"].zero_()
    loss, _ = model.loss(data)
    assert torch.isfinite(loss).all()


def test_refusals(model: Any, settings: None) -> None:
    model.criterion = None
    with pytest.raises(ConfigError):
        attach(model, create_loss("cb_bce", [3, 4], reduction="none", scheme="column"))
    with pytest.raises(ConfigError, match="reduction"):
        attach(model, create_loss("bce"))
    with pytest.raises(ConfigError):
        attach(model, create_loss("two_way", reduction="none"))
    with pytest.raises(ConfigError, match="not a model of Ultralytics"):
        attach(SimpleNamespace(model=model), create_loss("bce", reduction="none"))
    with pytest.raises(ConfigError, match="'focal' is not a loss"):
        attach(model, "focal")
    with pytest.raises(ConfigError, match="no element-wise classification loss"):
        plug_criterion(SimpleNamespace(), create_loss("bce", reduction="none"))


def test_what_would_train_without_the_loss_is_refused(settings: None) -> None:
    """`YOLO(...).train()` builds another model; RT-DETR has another criterion."""
    from ultralytics import YOLO
    from ultralytics.nn.tasks import DetectionModel, RTDETRDetectionModel

    loss = create_loss("bce", reduction="none")
    with pytest.raises(ConfigError, match=r"trainer=make_trainer\(loss\)"):
        attach(YOLO("yolo11n.yaml"), loss)
    with pytest.raises(ConfigError, match=r"model\.args = "):
        attach(DetectionModel("yolo11n.yaml", nc=NC, verbose=False), loss)
    with pytest.raises(ConfigError, match=r"RT-DETR of Ultralytics"):
        attach(RTDETRDetectionModel.__new__(RTDETRDetectionModel), loss)
    trainer = make_trainer(loss)
    with pytest.raises(ConfigError, match=r"RT-DETR of Ultralytics"):
        trainer.get_model(SimpleNamespace(), "rtdetr-l.yaml")
    with pytest.raises(ConfigError, match=r"make_trainer\(loss, task='segment'\)"):
        trainer(overrides={"task": "segment"})
    with pytest.raises(ConfigError, match="task must be one of detect"):
        make_trainer(loss, task="classify")
    with pytest.raises(ConfigError, match="None is not a loss"):
        make_trainer(None)


# --- without the framework ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["bce", "focal", "cb_focal", "asl", "hill", "poly", "ldam", "eql", "eqlv2", "db_focal"]
)
def test_the_result_may_be_changed_in_place(name: str) -> None:
    """As the criterion does with its class weights; the gradient follows."""
    counts = [90, 9, 1]
    options = {"scheme": "column"} if name == "cb_focal" else {}
    loss = create_loss(name, counts, num_images=100, reduction="none", **options).eval()
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 4, NC, generator=generator)
    targets = torch.rand(2, 4, NC, generator=generator)
    weight = torch.tensor([0.5, 1.0, 3.0])

    z = logits.clone().requires_grad_()
    value = ClassTerm(loss, nn.BCEWithLogitsLoss())(z, targets)
    value *= weight
    value.sum().backward()

    twin = logits.clone().requires_grad_()
    (loss(twin, targets) * weight).sum().backward()
    torch.testing.assert_close(z.grad, twin.grad)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype: torch.dtype) -> None:
    term = ClassTerm(create_loss("focal", reduction="none"), nn.BCEWithLogitsLoss())
    logits = torch.full((1, 2, NC), 12.0, dtype=dtype, requires_grad=True)
    value = term(logits, torch.ones(1, 2, NC, dtype=dtype))
    assert value.dtype == torch.float32 and (value > 0).all()
    value.sum().backward()
    assert logits.grad is not None and logits.grad.dtype == dtype


def test_validation_teaches_nothing() -> None:
    loss = create_loss("eqlv2", [5] * NC, reduction="none")
    before = copy.deepcopy(loss.state_dict())
    ClassTerm(loss, nn.BCEWithLogitsLoss())(torch.zeros(1, 2, NC), torch.zeros(1, 2, NC))
    assert loss.training
    assert all(torch.equal(value, before[name]) for name, value in loss.state_dict().items())


# --- the real trainer -----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("config", "task"),
    [
        ("yolov8n.yaml", "detect"),
        ("yolo26n.yaml", "detect"),
        ("yolo11n-seg.yaml", "segment"),
        ("yolo11n-obb.yaml", "obb"),
    ],
)
def test_training(settings: None, config: str, task: Any, tmp_path: Path) -> None:
    from ultralytics import YOLO

    rng = np.random.default_rng(0)
    outline = "0.3 0.3 0.7 0.3 0.7 0.7 0.3 0.7"
    for part in ("train", "val"):
        (tmp_path / "images" / part).mkdir(parents=True)
        (tmp_path / "labels" / part).mkdir(parents=True)
        for i in range(2):
            pixels = rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / part / f"{i}.png")
            (tmp_path / "labels" / part / f"{i}.txt").write_text(f"{i} {outline}\n")
    names = {i: f"c{i}" for i in range(NC)}
    data = {"path": str(tmp_path), "train": "images/train", "val": "images/val", "names": names}
    (tmp_path / "data.yaml").write_text(json.dumps(data))  # JSON is YAML

    calls = {True: 0, False: 0}

    class Counting(nn.Module):
        def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
            calls[logits.requires_grad] += 1
            return F.binary_cross_entropy_with_logits(logits, targets, reduction="none")

    YOLO(config).train(
        data=str(tmp_path / "data.yaml"),
        trainer=make_trainer(Counting(), task),
        epochs=1,
        imgsz=64,
        batch=2,
        workers=0,
        device="cpu",
        project=str(tmp_path / "runs"),
        name="test",
        plots=False,
        verbose=False,
        pretrained=False,
        amp=False,
    )
    branches = 2 if "26" in config else 1
    assert calls[True] == branches  # one step
    assert calls[False] >= branches  # validation, by the moving average
    saved = tmp_path / "runs" / "test" / "weights" / "last.pt"
    again = YOLO(str(saved))
    assert getattr(again.model, "criterion", None) is None
    assert again.predict(np.zeros((64, 64, 3), np.uint8), verbose=False, device="cpu")
