"""Training in stages, held against training in one and against what is done by hand."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

import mlt
from mlt.cli.describe import describe
from mlt.config import parse_config
from mlt.engine import epochs
from mlt.engine.own import Own
from mlt.engine.setup import Setup, prepare
from mlt.engine.tau import choose_tau, tau_factors
from mlt.engine.train import train
from mlt.errors import CheckpointError, ConfigError
from mlt.metrics.ranking import ranking_metrics
from mlt.models import Classifier
from mlt.models.checkpoint import load_checkpoint
from mlt.predictions import Predictions
from mlt.run_folder import RunFolder

REPEATING = {"name": "repeat_factor", "threshold": 0.9}
"""A sampler whose epochs are longer."""


def run(values: dict[str, Any], name: str, **training: Any) -> dict[str, Tensor]:
    """The weights after training with these keys of the section training."""
    train(parse_config(named(values, name, **training)))
    return weights(values, name)


def named(values: dict[str, Any], name: str, **training: Any) -> dict[str, Any]:
    section = values["training"] | training
    if "stages" in training:
        section.pop("epochs", None)
    return values | {"output": str(output(values, name)), "training": section}


def output(values: dict[str, Any], name: str) -> Path:
    return Path(values["output"]).with_name(name)


def weights(values: dict[str, Any], name: str) -> dict[str, Tensor]:
    return load_file(output(values, name) / "last.safetensors")


def history(values: dict[str, Any], name: str) -> list[dict[str, Any]]:
    lines = (output(values, name) / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def moved(one: dict[str, Tensor], other: dict[str, Tensor]) -> set[str]:
    """The parts of the model, to the first dot but one, whose weights differ."""
    differ = [name for name in one if not torch.equal(one[name], other[name])]
    return {".".join(name.split(".")[:2]) for name in differ}


@pytest.mark.parametrize("ema_decay", [None, 0.9])
def test_alike_stages_are_one(tiny_values: dict[str, Any], ema_decay: float | None) -> None:
    tiny_values["schedule"] = {"name": "cosine", "warmup_updates": 2}
    tiny_values["training"] |= {"ema_decay": ema_decay, "accumulate": 2}
    one = run(tiny_values, "one", epochs=3)
    three = run(tiny_values, "three", stages=[{"epochs": 1}, {"epochs": 2}])
    assert same(one, three)
    assert [line["lr"] for line in history(tiny_values, "one")] == [
        line["lr"] for line in history(tiny_values, "three")
    ]
    assert [line.get("stage") for line in history(tiny_values, "one")] == [None] * 3
    assert [line["stage"] for line in history(tiny_values, "three")] == [1, 2, 2]


def test_deferred_reweighting_is_the_start_epoch_of_the_weighting(
    tiny_values: dict[str, Any],
) -> None:
    weighting = {"name": "effective_number", "beta": 0.9}
    tiny_values["loss"] = {"weighting": weighting | {"start_epoch": 2}}
    by_hand = run(tiny_values, "by hand", epochs=4)
    tiny_values["loss"] = {}
    stages = [{"epochs": 2}, {"epochs": 2, "loss": {"weighting": weighting}}]
    assert same(by_hand, run(tiny_values, "stages", stages=stages))
    assert not same(by_hand, run(tiny_values, "plain", epochs=4))


def test_head_only_epochs_are_a_frozen_stage(plain_values: dict[str, Any]) -> None:
    """Where the optimizer remembers nothing and the rate is constant."""
    one = run(plain_values, "one", epochs=3, head_only_epochs=1)
    stages = [{"epochs": 1, "freeze": "all", "features": "none"}, {"epochs": 2, "freeze": []}]
    assert same(one, run(plain_values, "two", stages=stages))


def test_features_are_cached_in_a_frozen_stage_alone(
    tiny_values: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    tiny_values["transforms"] = {"name": "plain", "size": 32, "shift": 0, "flip": 0.0}
    tiny_values["optimizer"] = {"name": "sgd", "lr": 0.01}
    frozen = {"epochs": 1, "freeze": "all"}
    stages = [frozen, {"epochs": 1, "optimizer": {"lr": 0.001}}, frozen]
    cached = run(tiny_values, "cached", stages=stages)
    assert caplog.text.count("the head learns from features of the frozen backbone") == 2
    caplog.clear()
    images = run(tiny_values, "images", stages=stages, features="none")
    assert "learns from features" not in caplog.text
    for name, value in cached.items():
        torch.testing.assert_close(value, images[name], rtol=1e-3, atol=1e-4)


def test_what_a_stage_freezes_stays(tiny_values: dict[str, Any]) -> None:
    begun = run(tiny_values, "begun", epochs=0)
    stages: list[dict[str, Any]] = [{"epochs": 1, "freeze": "all"}]
    head = run(tiny_values, "head", stages=stages)
    assert moved(begun, head) == {"head.1"}
    stages.append({"epochs": 1, "freeze": ["conv1", "bn1", "layer[1-3]"]})
    assert moved(head, run(tiny_values, "upper", stages=stages)) == {"head.1", "backbone.layer4"}
    stages[1] = {"epochs": 1, "schedule": {"name": "constant"}}
    assert "backbone.conv1" in moved(head, run(tiny_values, "all", stages=stages))


def test_a_stage_has_the_rates_that_it_names(tiny_values: dict[str, Any]) -> None:
    tiny_values["optimizer"] |= {"weight_decay": 0.1}
    stages = [
        {"epochs": 1},
        {"epochs": 2, "optimizer": {"lr": 0.02}, "schedule": "constant"},
        {"epochs": 1, "optimizer": {"backbone_lr_scale": 0.1}},
    ]
    values = named(tiny_values, "rates", stages=stages)
    groups = prepare(parse_config(values), None).stages[1].optimizer.param_groups
    assert {group["weight_decay"] for group in groups} == {0.0, 0.1}
    train(parse_config(values))
    rates = [line["lr"] for line in history(tiny_values, "rates")]
    assert rates == pytest.approx([0.0, 0.02, 0.02, 0.0])
    saved = (output(tiny_values, "rates") / "config.yaml").read_text()
    assert mlt.load_config(output(tiny_values, "rates") / "config.yaml") == parse_config(values)
    assert "epochs: 4" in saved


def test_a_stage_draws_with_its_sampler(tiny_values: dict[str, Any]) -> None:
    tiny_values["training"]["batch_size"] = 4
    stages = [{"epochs": 1}, {"epochs": 1, "sampler": REPEATING, "schedule": "constant"}]
    run(tiny_values, "drawn", stages=stages)
    alone = tiny_values | {"sampler": REPEATING}
    config = parse_config(named(alone, "alone", epochs=1))
    length = prepare(config, None).updates_per_epoch
    lines = history(tiny_values, "drawn")
    assert lines[1]["updates"] - lines[0]["updates"] == length != lines[0]["updates"]


def test_a_schedule_does_not_go_on_over_epochs_of_another_length(
    tiny_values: dict[str, Any],
) -> None:
    tiny_values["training"]["batch_size"] = 4
    stages = [{"epochs": 1}, {"epochs": 1, "sampler": REPEATING}]
    config = parse_config(named(tiny_values, "refused", stages=stages))
    with pytest.raises(ConfigError, match=r"training\.stages\.1\.sampler: its epochs have"):
        train(config)


@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_a_run_resumed_in_any_stage_ends_as_an_uninterrupted_one(
    tiny_values: dict[str, Any], epoch: int
) -> None:
    tiny_values["training"] |= {"ema_decay": 0.9}
    stages = [
        {"epochs": 1, "freeze": "all"},
        {"epochs": 2, "optimizer": {"lr": 0.01}, "loss": "cb_focal"},
        {"epochs": 1, "freeze": "all", "head": "reinit", "sampler": "class_aware"},
    ]
    whole = run(tiny_values, "whole", stages=stages)
    config = parse_config(named(tiny_values, "part", stages=stages))

    def stop(record: dict[str, Any]) -> None:
        if record["epoch"] == epoch:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config, on_epoch=stop)
    train(config, resume=True)
    assert same(whole, weights(tiny_values, "part"))
    lines = [history(tiny_values, name) for name in ("whole", "part")]
    assert lines[0] == lines[1]


def test_a_run_resumed_in_the_middle_of_an_epoch_of_a_stage(
    tiny_values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = [{"epochs": 1, "freeze": "all"}, {"epochs": 2, "loss": "cb_focal", "freeze": []}]
    whole = run(tiny_values, "whole", stages=stages)
    values = named(tiny_values, "part", stages=stages, save_every={"updates": 1})
    save = epochs._save_state

    def save_and_stop(setup: Setup, folder: RunFolder) -> None:
        save(setup, folder)
        position = setup.training.position
        if (position.epoch, position.batch) == (1, 2):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(epochs, "_save_state", save_and_stop)
        train(parse_config(values))
    train(parse_config(values), resume=True)
    assert same(whole, weights(tiny_values, "part"))


def test_classifier_retraining_from_a_checkpoint(tiny_values: dict[str, Any]) -> None:
    """The stage after others, and a run of its own from the checkpoint of the first."""
    first = run(tiny_values, "first", epochs=2)
    retrained = {"epochs": 1, "freeze": "all", "head": "reinit", "sampler": "class_aware"}
    one = run(tiny_values, "one", stages=[{"epochs": 2}, retrained])
    assert moved(first, one) == {"head.1"}
    file = str(output(tiny_values, "first") / "last.safetensors")
    from_file = tiny_values | {"model": tiny_values["model"] | {"checkpoint": file}}
    two = run(from_file, "two", stages=[retrained])
    assert moved(one, two) == {"head.1"}
    config = parse_config(named(from_file, "begun", epochs=0))
    setup = prepare(config, None)
    assert same(first, dict(setup.training.model.state_dict()))
    assert any("its backbone and its head" in note for note in setup.notes)


def test_a_fresh_head_is_as_the_first_one_was_made(tiny_values: dict[str, Any]) -> None:
    stages = [{"epochs": 1}, {"epochs": 1, "head": "reinit"}]
    setup = prepare(parse_config(named(tiny_values, "fresh", stages=stages)), None)
    fresh = setup.stages[1].head
    assert fresh is not None
    begun = setup.training.model.head.state_dict()
    assert torch.equal(fresh["1.bias"], begun["1.bias"])
    assert not torch.equal(fresh["1.weight"], begun["1.weight"])
    assert fresh["1.weight"].std().item() == pytest.approx(0.01, rel=0.2)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"head": {"name": "projection", "width": 8}}, "a fresh head, because model.head is"),
        ({"backbone": "test_vit"}, None),
    ],
)
def test_a_checkpoint_of_another_model(
    tiny_values: dict[str, Any], change: dict[str, Any], said: str | None
) -> None:
    run(tiny_values, "first", epochs=0)
    file = str(output(tiny_values, "first") / "last.safetensors")
    tiny_values["model"] |= change | {"checkpoint": file}
    config = parse_config(named(tiny_values, "second", epochs=1))
    if said is None:
        with pytest.raises(
            CheckpointError, match=r"model\.checkpoint: the backbone .* test_resnet"
        ):
            prepare(config, None)
    else:
        assert any(said in note for note in prepare(config, None).notes)


@pytest.mark.parametrize(
    ("training", "said"),
    [
        ({"epochs": 4}, "training.epochs: 4 is not the sum of the stages' epochs, 3"),
        ({"head_only_epochs": 1}, "training.head_only_epochs: does not go with training.stages"),
        ({"features": "cache"}, "training.features: only a frozen backbone has them: no stage"),
        (
            {"stages": [{"epochs": 3, "schedule": {"name": "multistep", "milestones": [5]}}]},
            "training.stages.0.schedule.milestones: the last milestone",
        ),
        ({"stages": [{"epochs": 3, "los": "bce"}]}, "training.stages.0.los: unknown key"),
        ({"stages": [{"epochs": 3, "loss": "bcee"}]}, "training.stages.0.loss: There is no loss"),
        ({"stages": [{"epochs": 0}]}, "training.stages.0: a stage needs epochs of 1 or more"),
        ({"stages": [{"epochs": 3, "head": {"tau": 1}}]}, "a stage without epochs is head"),
        ({"stages": [{"epochs": 3, "head": "lws", "freeze": ["layer1"]}]}, "lws freezes the back"),
    ],
)
def test_stages_that_cannot_be(
    tiny_values: dict[str, Any], training: dict[str, Any], said: str
) -> None:
    stages = [{"epochs": 1}, {"epochs": 2}]
    values = named(tiny_values, "refused", **({"stages": stages} | training))
    if "epochs" in training:
        values["training"]["epochs"] = training["epochs"]
    with pytest.raises(ConfigError, match=said.replace(".", r"\.")):
        parse_config(values)


def test_what_is_handed_over_is_not_changed_by_stages(tiny_values: dict[str, Any]) -> None:
    own = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 4))
    frozen = parse_config(named(tiny_values, "own", stages=[{"epochs": 1, "freeze": "all"}]))
    with pytest.raises(ConfigError, match=r"training\.stages\.0\.freeze: a model of your own"):
        prepare(frozen, None, Own.of(model=own))
    scaled = [{"epochs": 1}, {"epochs": 1, "optimizer": {"backbone_lr_scale": 0.1}}]
    with pytest.raises(ConfigError, match=r"training\.stages\.1\.optimizer\.backbone_lr_scale"):
        prepare(parse_config(named(tiny_values, "own", stages=scaled)), None, Own.of(model=own))
    weighted = parse_config(named(tiny_values, "own", stages=[{"epochs": 1, "loss": "focal"}]))
    with pytest.raises(ConfigError, match=r"training\.stages\.0\.loss: the loss was handed over"):
        prepare(weighted, None, Own.of(loss=mlt.create_loss("bce")))


def test_a_classifier_that_was_handed_over_is_frozen_by_stages(tiny_values: dict[str, Any]) -> None:
    backbone = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 8))
    model = Classifier(backbone, nn.Linear(8, 4))
    before = backbone[1].weight.detach().clone()
    stages: list[dict[str, Any]] = [{"epochs": 1, "freeze": "all"}]
    train(parse_config(named(tiny_values, "own", stages=stages)), model=model)
    assert torch.equal(before, backbone[1].weight)
    model.freeze(())  # what it is handed over with is what stages leave to it
    stages.append({"epochs": 1, "optimizer": {"lr": 0.01}})
    train(parse_config(named(tiny_values, "own2", stages=stages)), model=model)
    assert not torch.equal(before, backbone[1].weight)


def test_learnable_weight_scaling_learns_factors_and_biases(tiny_values: dict[str, Any]) -> None:
    tiny_values["training"] |= {"ema_decay": 0.5}
    stages: list[dict[str, Any]] = [{"epochs": 1}]
    scaled = {"epochs": 2, "head": "lws", "optimizer": {"weight_decay": 0.5}}
    values = tiny_values | {
        "model": tiny_values["model"] | {"head": {"name": "linear", "class_scale": True}}
    }
    first = run(values, "first", stages=stages)
    assert first["head.1.scale"].tolist() == [1, 1, 1, 1]
    last = run(tiny_values, "last", stages=[*stages, scaled])
    differ = {name for name in first if not torch.equal(first[name], last[name])}
    assert differ == {"head.1.scale", "head.1.bias"}
    model, _ = load_checkpoint(output(tiny_values, "last") / "last.safetensors")
    features = torch.randn(3, model.head[1].in_features)
    expected = last["head.1.scale"] * (features @ last["head.1.weight"].T) + last["head.1.bias"]
    torch.testing.assert_close(model.forward_head(features), expected)


def test_weights_learn_again_after_their_scales(tiny_values: dict[str, Any]) -> None:
    stages = [{"epochs": 1, "head": "lws"}, {"epochs": 1, "freeze": "all"}]
    begun = run(tiny_values, "begun", stages=stages[:1])
    after = run(tiny_values, "after", stages=stages)
    assert torch.equal(begun["head.1.scale"], after["head.1.scale"])
    assert not torch.equal(begun["head.1.weight"], after["head.1.weight"])


@pytest.mark.parametrize("ema_decay", [None, 0.5])
def test_tau_normalisation_needs_no_training(
    tiny_values: dict[str, Any], ema_decay: float | None
) -> None:
    tiny_values["training"] |= {"ema_decay": ema_decay}
    stages: list[dict[str, Any]] = [{"epochs": 2}]
    first = run(tiny_values, "first", stages=stages)
    stages.append({"epochs": 0, "head": {"tau": 1.0}})
    last = run(tiny_values, "last", stages=stages)
    assert moved(first, last) == {"head.1"}
    before, after = first["head.1.weight"].norm(dim=1), last["head.1.weight"].norm(dim=1)
    torch.testing.assert_close(after, before.log().mean().exp().expand(4))
    predictions = [
        Predictions.load(output(tiny_values, name) / "predictions.npz")
        for name in ("first", "last")
    ]
    logits = [found.logits - first["head.1.bias"].numpy() for found in predictions]
    np.testing.assert_allclose(logits[1], logits[0] * (after / before).numpy(), atol=1e-5)
    assert (output(tiny_values, "last") / "metrics.json").exists()
    train(parse_config(named(tiny_values, "last", stages=stages)), resume=True)
    assert same(last, weights(tiny_values, "last"))  # a finished run is not normalised twice


def test_tau_is_chosen_on_validation_images(
    tiny_values: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    stages = [{"epochs": 1}, {"epochs": 0, "head": {"tau": "auto"}}]
    values = named(tiny_values, "auto", stages=stages)
    with pytest.raises(ConfigError, match=r"training\.stages\.1\.head\.tau: auto chooses on"):
        prepare(parse_config(values), None)
    values["data"] = values["data"] | {"validation": {"fraction": 0.3}}
    train(parse_config(values))
    plain = run(values, "plain", stages=stages[:1])
    weight, bias = (plain[f"head.1.{name}"].double().numpy() for name in ("weight", "bias"))
    found = Predictions.load(output(values, "plain") / "validation.npz")
    norms = np.linalg.norm(weight, axis=1)
    tau = choose_tau(found.logits, found.targets, found.known, norms, bias)
    assert f"tau is {tau:g}, chosen on the validation images" in caplog.text
    scaled = weights(values, "auto")["head.1.weight"].double().numpy()
    np.testing.assert_allclose(scaled, weight * tau_factors(norms, tau)[:, None], rtol=1e-6)


def test_the_first_stage_may_begin_with_another_head(tiny_values: dict[str, Any]) -> None:
    first = run(tiny_values, "first", epochs=1)
    file = str(output(tiny_values, "first") / "last.safetensors")
    tiny_values["model"] |= {"checkpoint": file}
    tiny_values["training"] |= {"ema_decay": 0.5}
    tau = run(tiny_values, "tau", stages=[{"epochs": 0, "head": {"tau": 1.0}}])
    assert moved(first, tau) == {"head.1"}
    norms = tau["head.1.weight"].norm(dim=1)
    torch.testing.assert_close(norms, norms.mean().expand(4))
    frozen = {"epochs": 1, "freeze": "all", "optimizer": {"lr": 1e-9}}
    stages = [frozen | {"head": "reinit"}]
    fresh = run(tiny_values, "fresh", stages=stages)
    made = prepare(parse_config(named(tiny_values, "made", stages=stages)), None).stages[0].head
    assert made is not None
    torch.testing.assert_close(fresh["head.1.weight"], made["1.weight"], rtol=0, atol=1e-6)
    assert not torch.allclose(fresh["head.1.weight"], first["head.1.weight"], atol=1e-3)


def test_the_dry_run_shows_the_stages(tiny_values: dict[str, Any]) -> None:
    stages = [
        {"epochs": 2, "freeze": "all"},
        {"epochs": 3, "optimizer": {"lr": 0.01, "backbone_lr_scale": 0.1}},
        {"epochs": 1, "loss": "cb_focal"},
        {"epochs": 1, "head": "reinit", "freeze": "all", "sampler": "class_aware"},
        {"epochs": 0, "head": {"tau": 0.5}},
    ]
    lines = describe(parse_config(named(tiny_values, "dry", stages=stages))).splitlines()
    begin = next(k for k, line in enumerate(lines) if line.startswith("stage 1"))
    shown = [line for line in lines[begin:] if line.startswith(("stage", "steps"))]
    assert shown == [
        "stage 1        epochs 1 to 2, 388 parameters learn",
        "steps          2 epochs of 3 updates = 6",
        "stage 2        epochs 3 to 5, 373,076 parameters learn",
        "steps          3 epochs of 3 updates = 9",
        "stage 3        epochs 6 to 6, 373,076 parameters learn, another loss, "
        "goes on with optimizer and schedule",
        "steps          1 epochs of 3 updates = 3",
        "stage 4        epochs 7 to 7, 388 parameters learn, head reinit, another sampler",
        "steps          1 epochs of 3 updates = 3",
        "stage 5        no training: the head is normalised, tau 0.5",
    ]
    rates = [line.split("lr ")[1] for line in lines if line.startswith("  backbone ")]
    assert rates == ["0.001, decay 0"]


def test_tau_has_the_best_ranking() -> None:
    """Class 1 is right but weak: it wins over class 0 once the norms are near each other."""
    logits = np.array([[2.0, 1.0], [2.0, 0.1], [0.1, 1.0]])
    targets = np.array([[0, 1], [1, 0], [0, 1]], bool)
    norms = np.array([4.0, 1.0])
    chosen = choose_tau(logits, targets, None, norms, np.zeros(2))
    best = ranking_metrics(targets, logits * tau_factors(norms, chosen)).lrap
    assert best == 1.0
    assert ranking_metrics(targets, logits * tau_factors(norms, chosen - 0.1)).lrap < 1.0
    factors = tau_factors(np.array([0.0, 2.0, 8.0]), 1.0)
    np.testing.assert_allclose(factors, [1.0, 2.0, 0.5])  # a class without weights stays
