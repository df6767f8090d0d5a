"""Keys that make training faster or smaller: the numbers are those without them."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch._inductor import config as inductor

from mlt.config import parse_config
from mlt.engine import loop as loop_module
from mlt.engine.loop import train_epoch
from mlt.engine.setup import Setup, prepare
from mlt.engine.train import train
from mlt.errors import ConfigError
from mlt.models import Classifier
from mlt.run_folder import RunFolder
from mlt.runtime.interrupt import GracefulStop
from mlt.runtime.processes import Processes


def changed(values: dict[str, Any], **sections: dict[str, Any]) -> dict[str, Any]:
    """The same values with keys of some sections changed."""
    return values | {name: values.get(name, {}) | section for name, section in sections.items()}


def trained(values: dict[str, Any], **sections: dict[str, Any]) -> Setup:
    """A run after one epoch."""
    setup = prepare(parse_config(changed(values, **sections)), None)
    train_epoch(
        setup.training, setup.train_loader, setup.config.training, setup.device, GracefulStop()
    )
    return setup


def small_model() -> nn.Module:
    """What is compiled in seconds."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3, 4), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(8 * 8 * 8, 4))


def assert_same_state(one: Setup, other: Setup, **tolerance: float) -> None:
    """Compare weights and statistics by name, and the loss of the epoch."""
    a, b = one.training.model.state_dict(), other.training.model.state_dict()
    assert a.keys() == b.keys()
    for name in a:
        torch.testing.assert_close(a[name], b[name], msg=name, **tolerance)
    assert one.training.position.last_loss == pytest.approx(
        other.training.position.last_loss, rel=1e-5
    )


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "adagrad"])
def test_fused_updates_are_those_of_torch(tiny_values: dict[str, Any], name: str) -> None:
    optimizer = {"name": name, "lr": 1e-3, "weight_decay": 0.1}
    fused = trained(tiny_values, optimizer=optimizer)
    assert fused.training.optimizer.defaults["fused"]
    plain = trained(tiny_values, optimizer=optimizer | {"fused": False})
    assert not plain.training.optimizer.defaults["fused"]
    assert_same_state(fused, plain, rtol=1e-4, atol=1e-5)


def test_an_optimizer_without_a_fused_kernel(tiny_values: dict[str, Any]) -> None:
    assert (
        "fused" not in trained(tiny_values, optimizer={"name": "lamb"}).training.optimizer.defaults
    )
    with pytest.raises(ConfigError, match=r"optimizer.fused: lamb has no fused kernel; sgd"):
        trained(tiny_values, optimizer={"name": "lamb", "fused": True})


@pytest.mark.parametrize("momentum", [0.1, None])
def test_gradient_checkpointing_changes_no_number(
    tiny_values: dict[str, Any], momentum: float | None
) -> None:
    """Nor the statistics of batch norm, through which the images go twice."""
    calls = []

    def setup_of(**training: Any) -> Setup:
        setup = prepare(parse_config(changed(tiny_values, training=training)), None)
        for module in setup.training.model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = momentum
        block = setup.training.model.backbone.layer2[0]
        block.register_forward_pre_hook(lambda *_: calls.append(block))
        train_epoch(
            setup.training, setup.train_loader, setup.config.training, setup.device, GracefulStop()
        )
        return setup

    plain = setup_of()
    once = len(calls)
    again = setup_of(gradient_checkpointing=True)
    assert len(calls) == 3 * once  # the block's forward was run again in the backward pass
    assert_same_state(again, plain, rtol=0, atol=0)


def test_gradient_checkpointing_needs_blocks(tiny_values: dict[str, Any]) -> None:
    values = parse_config(changed(tiny_values, training={"gradient_checkpointing": True}))
    own = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 4))
    with pytest.raises(ConfigError, match=r"gradient_checkpointing: mlt does not know the blocks"):
        train(values, model=own)
    with pytest.raises(ConfigError, match=r"gradient_checkpointing: mlt does not know the blocks"):
        train(values, model=Classifier(nn.Flatten(), nn.Linear(3 * 32 * 32, 4)))
    other = changed(tiny_values, model={"backbone": "dla34"})
    with pytest.raises(ConfigError, match=r"gradient_checkpointing: DLA of timm does not have it"):
        trained(other, training={"gradient_checkpointing": True})


def test_compiling_needs_a_compiler(
    tiny_values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))  # nothing is in it
    torch.compiler.reset()
    with (
        inductor.patch({"cpp.cxx": ("no-such-compiler",)}),
        pytest.raises(ConfigError, match=r"training.compile: .* needs a C\+\+ compiler"),
    ):
        trained(tiny_values, training={"compile": True})


def test_what_does_not_go_with_compiling(tiny_values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"does not go with training.gradient_checkpointing"):
        trained(tiny_values, training={"compile": True, "gradient_checkpointing": True})


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("compile", "works in one process only"),
        ("gradient_checkpointing", "without CUDA it does not go with batch norm over"),
    ],
)
def test_what_does_not_go_with_several_processes(
    tiny_values: dict[str, Any], key: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Processes, "_agree", lambda *_: None)
    config = parse_config(changed(tiny_values, training={key: True}))
    with pytest.raises(ConfigError, match=rf"training.{key}: {reason}"):
        prepare(config, None, processes=Processes(rank=0, count=2))


@pytest.mark.slow
@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_compiled_run_is_the_same_to_rounding(
    tiny_values: dict[str, Any], accumulate: int
) -> None:
    """48 images in batches of 20: the last one, of 8, is not compiled."""
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    common = {"batch_size": 20, "accumulate": accumulate, "ema_decay": 0.5, "epochs": 2}
    values = changed(tiny_values, training=common, optimizer={"name": "sgd", "lr": 0.01})
    outputs = [Path(values["output"]).with_name(name) for name in ("plain", "compiled")]
    plain = train(parse_config(values | {"output": str(outputs[0])}), model=small_model())
    assert not torch._dynamo.utils.counters["stats"]["unique_graphs"]
    values = changed(values, training={"compile": True}) | {"output": str(outputs[1])}
    compiled = train(parse_config(values), model=small_model())
    # The trial, the model in training, the loss, the average in evaluation.
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 4
    assert compiled.total == pytest.approx(plain.total, abs=1e-3)
    a, b = (load_file(RunFolder(output).last) for output in outputs)
    assert a.keys() == b.keys()
    for name in a:
        torch.testing.assert_close(a[name], b[name], rtol=1e-3, atol=1e-4, msg=name)


@pytest.mark.slow
def test_a_compiled_run_goes_on_bit_for_bit(tiny_values: dict[str, Any]) -> None:
    """It stops where only the last batch of an epoch, which has another shape, is left."""
    torch._dynamo.reset()
    values = changed(tiny_values, training={"batch_size": 20, "epochs": 2, "compile": True})

    def run(output: str, stop_after: int | None = None) -> dict[str, torch.Tensor]:
        config = parse_config(values | {"output": str(Path(values["output"]).with_name(output))})
        if stop_after is not None:
            original = loop_module._update

            def interrupting(training: Any, config: Any) -> None:
                original(training, config)
                if training.position.updates == stop_after:
                    os.kill(os.getpid(), signal.SIGINT)

            with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
                patch.setattr(loop_module, "_update", interrupting)
                train(config, model=small_model())
            torch._dynamo.reset()
        train(config, model=small_model(), resume=stop_after is not None)
        return load_file(RunFolder(config.output).last)

    whole, resumed = run("whole"), run("resumed", stop_after=2)
    for name in whole:
        torch.testing.assert_close(resumed[name], whole[name], rtol=0, atol=0, msg=name)
