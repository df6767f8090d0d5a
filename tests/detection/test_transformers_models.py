"""Attaching to real models of transformers: tiny, random, built from their configurations."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

pytest.importorskip("transformers")

import transformers

from mlt.detection.transformers import (
    against_no_object,
    attach,
    attached_loss,
    detach,
    set_prior,
)
from mlt.errors import ConfigError
from mlt.losses import create_loss

K = 3
SMALL = {
    "d_model": 32,
    "encoder_layers": 1,
    "decoder_layers": 2,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 16,
    "decoder_ffn_dim": 16,
    "num_queries": 5,
    "num_labels": K,
    "auxiliary_loss": True,
}


def resnet() -> Any:
    return transformers.ResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 8, 8, 16],
        depths=[1, 1, 1, 1],
        layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )


def deformable() -> nn.Module:
    config = transformers.DeformableDetrConfig(
        **SMALL,
        backbone_config=resnet(),
        num_feature_levels=3,
        encoder_n_points=2,
        decoder_n_points=2,
        with_box_refine=True,
    )
    return transformers.DeformableDetrForObjectDetection(config)


def detr() -> nn.Module:
    backbone = resnet()
    backbone.out_features = ["stage4"]
    config = transformers.DetrConfig(**SMALL, backbone_config=backbone)
    return transformers.DetrForObjectDetection(config)


def conditional() -> nn.Module:
    backbone = resnet()
    backbone.out_features = ["stage4"]
    config = transformers.ConditionalDetrConfig(**SMALL, backbone_config=backbone)
    return transformers.ConditionalDetrForObjectDetection(config)


def dab() -> nn.Module:
    backbone = resnet()
    backbone.out_features = ["stage4"]
    small = {**SMALL, "hidden_size": SMALL["d_model"]}
    del small["d_model"]
    return transformers.DabDetrForObjectDetection(
        transformers.DabDetrConfig(**small, backbone_config=backbone)
    )


def yolos() -> nn.Module:
    config = transformers.YolosConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=[64, 64],
        num_detection_tokens=5,
        num_labels=K,
    )
    return transformers.YolosForObjectDetection(config)


def real_time(kind: str) -> nn.Module:
    backbone = transformers.RTDetrResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 8, 8, 16],
        depths=[1, 1, 1, 1],
        layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )
    options: dict[str, Any] = {
        "backbone_config": backbone,
        "encoder_hidden_dim": 16,
        "encoder_in_channels": [8, 8, 16],
        "encoder_ffn_dim": 16,
        "encoder_attention_heads": 2,
        "d_model": 16,
        "num_queries": 6,
        "decoder_in_channels": [16, 16, 16],
        "decoder_ffn_dim": 16,
        "decoder_layers": 2,
        "decoder_attention_heads": 2,
        "num_denoising": 4,
        "num_labels": K,
        "hidden_expansion": 0.5,
    }
    if kind == "d_fine":
        options["decoder_n_points"] = [2, 2, 2]
        return transformers.DFineForObjectDetection(transformers.DFineConfig(**options))
    if kind == "rt_detr_v2":
        return transformers.RTDetrV2ForObjectDetection(transformers.RTDetrV2Config(**options))
    return transformers.RTDetrForObjectDetection(transformers.RTDetrConfig(**options))


def light_weight() -> nn.Module:
    backbone = transformers.LwDetrViTConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=64,
        pretrain_image_size=64,
        out_indices=[1],
        window_block_indices=[0],
    )
    config = transformers.LwDetrConfig(
        backbone_config=backbone,
        projector_scale_factors=[1.0],
        d_model=16,
        decoder_layers=2,
        decoder_ffn_dim=16,
        decoder_self_attention_heads=2,
        decoder_cross_attention_heads=2,
        num_queries=5,
        group_detr=2,
        num_labels=K,
    )
    return transformers.LwDetrForObjectDetection(config)


MODELS = {
    "deformable": deformable,
    "detr": detr,
    "conditional": conditional,
    "dab": dab,
    "yolos": yolos,
    "lw_detr": light_weight,
    "rt_detr": lambda: real_time("rt_detr"),
    "rt_detr_v2": lambda: real_time("rt_detr_v2"),
    "d_fine": lambda: real_time("d_fine"),
}


@pytest.fixture(scope="module", params=sorted(MODELS))
def model(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(0)
    return MODELS[request.param]().train()


def batch(counts: tuple[int, ...]) -> tuple[Tensor, list[dict[str, Tensor]]]:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randn(len(counts), 3, 64, 64, generator=generator)
    labels = [
        {
            "class_labels": torch.randint(0, K, (n,), generator=generator),
            "boxes": 0.2 + 0.3 * torch.rand(n, 4, generator=generator),
        }
        for n in counts
    ]
    return pixels, labels


def step(model: nn.Module, counts: tuple[int, ...] = (2, 0, 1)) -> Any:
    pixels, labels = batch(counts)
    torch.manual_seed(0)  # dropout, and the noise of denoising queries
    model.zero_grad()
    output = model(pixels, labels=labels)
    output.loss.backward()
    return output


def test_attach_changes_the_class_term_alone_and_detach_gives_it_back(model: nn.Module) -> None:
    names = list(model.state_dict())
    before = step(model)
    attach(model, create_loss("cb_focal", [90, 9, 1], reduction="none", scheme="column"))
    during = step(model)
    assert list(model.state_dict()) == names
    slopes = [p.grad for n, p in model.named_parameters() if "class" in n and p.grad is not None]
    assert slopes and all(torch.isfinite(s).all() for s in slopes)
    assert any(s.abs().sum() > 0 for s in slopes)
    detach(model)
    after = step(model)
    assert torch.equal(before.loss, after.loss)
    assert list(before.loss_dict) == list(during.loss_dict)
    for part, value in before.loss_dict.items():
        is_class_term = part.startswith(("loss_ce", "loss_vfl"))
        assert torch.equal(value, during.loss_dict[part]) != is_class_term, part
    assert torch.equal(before.logits, during.logits)
    with pytest.raises(ConfigError, match="No loss of mlt is attached"):
        detach(model)


@pytest.mark.parametrize("counts", [(0, 0), (1,)])
def test_images_without_boxes(model: nn.Module, counts: tuple[int, ...]) -> None:
    attach(model, create_loss("focal", reduction="none"))
    assert torch.isfinite(step(model, counts).loss)
    detach(model)


def test_attaching_again_replaces(model: nn.Module) -> None:
    plain = model.loss_function
    loss = create_loss("focal", reduction="none")
    assert attached_loss(model) is None
    assert attach(model, loss) is model and attached_loss(model) is loss
    first = step(model).loss
    attach(model, create_loss("focal", reduction="none", scale=2.0))
    second = step(model).loss
    detach(model)
    assert second > first
    assert model.loss_function is plain


def test_a_copy_keeps_its_loss(model: nn.Module) -> None:
    attach(model, create_loss("focal", reduction="none"))
    twin = copy.deepcopy(model)
    expected = step(model).loss
    detach(model)
    assert torch.equal(step(twin).loss, expected)


def test_autocast(model: nn.Module) -> None:
    attach(model, create_loss("focal", reduction="none"))
    pixels, labels = batch((2, 1))
    with torch.autocast("cpu", torch.bfloat16):
        output = model(pixels, labels=labels)
    output.loss.backward()
    detach(model)
    assert torch.isfinite(output.loss)


def test_loads_what_was_saved_before_and_after(model: nn.Module, tmp_path: Any) -> None:
    attach(model, create_loss("focal", reduction="none"))
    model.save_pretrained(tmp_path)
    detach(model)
    again = type(model).from_pretrained(tmp_path)
    for name, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    attach(again, create_loss("focal", reduction="none"))
    again.load_state_dict(model.state_dict())


def test_wrong_number_of_classes(model: nn.Module) -> None:
    with pytest.raises(ConfigError):
        attach(model, create_loss("cb_focal", [90, 9, 1, 1], reduction="none"))


def test_other_models_are_refused() -> None:
    loss = create_loss("focal", reduction="none")
    with pytest.raises(ConfigError, match="not a model of transformers"):
        attach(nn.Linear(2, 2), loss)
    with pytest.raises(ConfigError, match=r"what is wrapped, model\.module"):
        attach(nn.DataParallel(deformable()), loss)
    with pytest.raises(ConfigError, match=r"only the body of a detector"):
        attach(deformable().model, loss)


def test_the_prior_is_the_probability_that_every_class_starts_with(model: nn.Module) -> None:
    model = copy.deepcopy(model).eval()
    assert set_prior(model, 0.2) is model
    for name, head in model.named_modules():  # so that a logit is its bias
        if "class_" in name or name.endswith("enc_score_head"):
            for layer in head.modules():
                if isinstance(layer, nn.Linear):
                    nn.init.zeros_(layer.weight)
    pixels, labels = batch((2, 1))
    output = model(pixels, labels=labels)
    logits = output.logits
    if type(model).__name__ in ("DetrForObjectDetection", "YolosForObjectDetection"):
        logits = against_no_object(logits)
    assert logits.shape[-1] == K
    torch.testing.assert_close(logits.sigmoid(), torch.full_like(logits, 0.2))
    proposals = getattr(output, "enc_outputs_class", None)
    if proposals is not None:
        proposals = proposals[proposals.isfinite()]  # places outside the image have no class
        torch.testing.assert_close(proposals.sigmoid(), torch.full_like(proposals, 0.2))


def test_a_prior_lowers_the_loss_that_a_new_deformable_detr_starts_with() -> None:
    config = deformable().config
    config.num_labels, config.num_queries = 90, 50  # as in use, nearly all is background
    model = transformers.DeformableDetrForObjectDetection(config)
    attach(model, create_loss("focal", reduction="none"))
    before = step(model).loss_dict["loss_ce"]
    assert step(set_prior(model)).loss_dict["loss_ce"] < before / 10


def test_a_prior_that_cannot_be_set() -> None:
    model = deformable()
    with pytest.raises(ConfigError, match="between 0 and 1"):
        set_prior(model, 0.0)
    model.class_embed = nn.ModuleList([nn.Linear(32, K, bias=False)])
    with pytest.raises(ConfigError, match=r"biases to -4\.595 yourself"):
        set_prior(model)
    with pytest.raises(ConfigError, match="not a model of transformers"):
        set_prior(nn.Linear(2, 2))


@pytest.mark.slow
def test_softmax_post_processing_finds_what_an_element_wise_loss_has_learned() -> None:
    """Of a model with a no-object column: learn two images by heart, then ask the framework."""
    torch.manual_seed(0)
    model = attach(yolos().train(), create_loss("bce", reduction="none"))
    pixels, labels = batch((2, 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(150):
        optimizer.zero_grad()
        model(pixels, labels=labels).loss.backward()
        optimizer.step()
    output = model.eval()(pixels)
    found = transformers.YolosImageProcessor().post_process_object_detection(output, threshold=0.5)
    for image, label in zip(found, labels):
        assert set(image["labels"].tolist()) == set(label["class_labels"].tolist())
