"""One attach for all frameworks, which imports none that is not there already."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import nn
from torchvision.models.detection import FCOS, fcos_resnet50_fpn

import mlt.detection
from mlt.detection import attach, attached_loss, detach, set_prior
from mlt.errors import ConfigError
from mlt.losses import create_loss

LOSS = create_loss("focal", reduction="none")


class MyFCOS(FCOS):
    """A subclass of somebody's own, in a module of their own."""


def torchvision_model() -> nn.Module:
    model = fcos_resnet50_fpn(weights=None, weights_backbone=None, num_classes=3)
    model.__class__ = MyFCOS
    return model


def transformers_model() -> nn.Module:
    transformers = pytest.importorskip("transformers", reason="needs transformers")
    config = transformers.DeformableDetrConfig(
        num_labels=3,
        d_model=32,
        encoder_layers=1,
        decoder_layers=2,
        encoder_ffn_dim=8,
        decoder_ffn_dim=8,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        num_queries=4,
        backbone_config=transformers.ResNetConfig(
            embedding_size=8,
            hidden_sizes=[8, 8, 8, 8],
            depths=[1, 1, 1, 1],
            out_features=["stage4"],
        ),
        num_feature_levels=1,
    )
    return transformers.DeformableDetrForObjectDetection(config)


def ultralytics_model() -> nn.Module:
    pytest.importorskip("ultralytics", reason="needs ultralytics")
    from ultralytics.cfg import get_cfg
    from ultralytics.nn.tasks import DetectionModel

    model = DetectionModel("yolov8n.yaml", nc=3, verbose=False)
    model.args = get_cfg()
    return model


MODELS = [torchvision_model, transformers_model, ultralytics_model]


@pytest.mark.parametrize("build", MODELS)
def test_attach_and_detach(build: Any) -> None:
    model = build()
    keys = list(model.state_dict())
    assert attached_loss(model) is None
    assert attach(model, LOSS) is model
    assert attached_loss(model) is LOSS
    other = create_loss("asl", reduction="none")
    assert attached_loss(attach(model, other)) is other
    assert list(model.state_dict()) == keys
    assert detach(model) is model
    assert attached_loss(model) is None
    with pytest.raises(ConfigError, match="No loss of mlt is attached"):
        detach(model)
    with pytest.raises(ConfigError, match='reduction="none"'):
        attach(model, create_loss("focal"))


def test_prior() -> None:
    model = set_prior(torchvision_model(), 0.25)
    bias: Any = model.head.classification_head.cls_logits.bias  # type: ignore[union-attr]
    torch.testing.assert_close(bias.sigmoid(), torch.full_like(bias, 0.25))
    with pytest.raises(ConfigError, match="by itself"):
        set_prior(ultralytics_model())


@pytest.mark.parametrize("function", [lambda m: attach(m, LOSS), detach, attached_loss, set_prior])
def test_other_models_are_refused_with_what_is_supported(function: Any) -> None:
    supported = r"Linear \(of torch.nn.modules.linear\) is not .* torchvision, transformers or ultr"
    with pytest.raises(ConfigError, match=supported):
        function(nn.Linear(2, 2))


def test_messages_say_where_to_look() -> None:
    with pytest.raises(ConfigError, match=r"Give what is wrapped, model\.module"):
        attach(nn.DataParallel(torchvision_model()), LOSS)
    for package, said in (("mmdet", "MltLoss"), ("detectron2", "detection_frameworks.md#detectro")):
        kind = type("RetinaNet", (nn.Module,), {"__module__": f"{package}.models"})
        with pytest.raises(ConfigError, match=said):
            attach(kind(), LOSS)


def test_only_the_framework_of_the_model_is_imported() -> None:
    lines = [
        "import sys, mlt.detection",
        "from torch import nn",
        "try: mlt.detection.attach(nn.Linear(1, 1), None)",
        "except ValueError: pass",
        "found = {'torchvision', 'transformers', 'ultralytics', 'pycocotools'} & set(sys.modules)",
        "assert not found, found",
    ]
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True)


def test_all_names_are_there() -> None:
    for name in mlt.detection.__all__:
        assert getattr(mlt.detection, name) is not None
