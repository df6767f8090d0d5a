"""`mlt average`: means of weights, held against those computed by hand."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

from mlt.cli import main
from mlt.config import load_config
from mlt.engine.evaluate import evaluate_checkpoint
from mlt.metrics import summarize
from mlt.models import build_model
from mlt.models.adapters import is_adapter, merge_adapters
from mlt.models.average import average_weights
from mlt.models.checkpoint import CheckpointInfo, load_checkpoint, read_checkpoint, save_checkpoint
from mlt.models.settings import ModelConfig


@pytest.fixture
def members(tiny_run: Path, tmp_path: Path) -> list[Path]:
    """Three checkpoints: the run's, one near to it, and one whose head is turned around."""
    state, info = read_checkpoint(tiny_run / "last.safetensors")
    files = [tmp_path / f"{name}.safetensors" for name in ("good", "near", "bad")]
    for file, change in zip(files, (1.0, 1.2, -3.0)):
        changed = {k: v * change if k.startswith("head") else v for k, v in state.items()}
        save_checkpoint(file, changed, info)
    return files


def test_the_average_of_weights(
    members: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    soup = tmp_path / "soup.safetensors"
    command = ["average", *map(str, members), "--output", str(soup)]
    assert main(command) == 0
    each = [load_file(file) for file in members]
    mean = load_file(soup)
    assert mean.keys() == each[0].keys()
    for name, value in mean.items():
        expected = sum(state[name].double() for state in each) / 3
        torch.testing.assert_close(value.double(), expected, rtol=1e-6, atol=1e-9, msg=name)
        assert value.dtype == each[0][name].dtype
    assert (mean["head.1.weight"] - each[0]["head.1.weight"]).abs().max() > 1e-3
    assert "batch norm" not in caplog.text  # the statistics are the same in all
    assert main(command) == 2
    assert "exists already" in capsys.readouterr().err


def test_other_statistics_of_batch_norm_are_warned_of(
    members: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    state, info = read_checkpoint(members[0])
    name = next(name for name in state if name.endswith("running_mean"))
    save_checkpoint(members[1], state | {name: state[name] + 1}, info)
    out = str(tmp_path / "soup.safetensors")
    assert main(["average", str(members[0]), str(members[1]), "--output", out]) == 0
    assert "other statistics of batch norm" in caplog.text
    torch.testing.assert_close(load_file(out)[name], state[name] + 0.5)


def test_a_greedy_soup_leaves_out_what_does_harm(
    members: list[Path], tiny_values: dict[str, Any], tmp_path: Path
) -> None:
    """The test images stand in for validation images here: those of the tiny data have no other."""
    tiny_values["data"] |= {"validation": tiny_values["data"]["test"]}
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(tiny_values))
    soup = tmp_path / "soup.safetensors"
    files = [str(file) for file in members]
    command = ["average", files[2], files[0], files[1], "--output", str(soup)]
    assert main([*command, "--greedy", str(config)]) == 0
    good, near, mean = (load_file(file)["head.1.weight"] for file in (*members[:2], soup))
    torch.testing.assert_close(mean, (good + near) / 2)
    best = summarize(evaluate_checkpoint(load_config(config), members[0], "validation")).total
    bad = summarize(evaluate_checkpoint(load_config(config), members[2], "validation")).total
    assert bad < best


def test_what_cannot_be_averaged_is_refused(
    members: list[Path], tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "soup.safetensors")
    state, info = read_checkpoint(members[0])
    for change, said in {
        "preprocessing": (info.preprocessing | {"size": 64}, "preprocessing differ"),
        "class_names": (info.class_names[::-1], "the same names in another order"),
        "model": (info.model | {"backbone": "test_vit"}, "backbone differ"),
    }.items():
        value, message = said
        save_checkpoint(members[1], state, dataclasses.replace(info, **{change: value}))
        assert main(["average", *map(str, members), "--output", out]) == 2
        assert message in capsys.readouterr().err
    save_checkpoint(members[1], {**state, "head.1.bias": state["head.1.bias"][:2]}, info)
    assert main(["average", *map(str, members), "--output", out]) == 2
    assert "the shapes of weights differ" in capsys.readouterr().err
    greedy = ["--greedy", str(tiny_run / "config.yaml")]
    assert main(["average", str(members[0]), "--output", out, *greedy]) == 2
    assert "a greedy soup is chosen on validation images" in capsys.readouterr().err
    assert main(["average", str(members[0]), "--output", "soup.pt"]) == 2
    assert "must end in .safetensors" in capsys.readouterr().err
    assert not Path(out).exists()


def test_of_adapters_the_updates_are_averaged_and_not_their_factors(tmp_path: Path) -> None:
    files, merged = [], []
    for seed, alpha in enumerate((8.0, 8.0, 32.0)):
        section = {"backbone": "test_vit", "weights": "none", "learn": {"name": "lora"}}
        section["learn"] |= {"rank": 2, "alpha": alpha}
        torch.manual_seed(0)
        model = build_model(ModelConfig.model_validate(section), 2)
        torch.manual_seed(seed + 1)
        for name, parameter in model.named_parameters():
            if is_adapter(name):
                torch.nn.init.normal_(parameter, std=0.1)
        files.append(tmp_path / f"{seed}.safetensors")
        info = CheckpointInfo(("a", "b"), (3, 2), 4, section, {}, 1)
        save_checkpoint(files[-1], model.state_dict(), info)
        merged.append(merge_adapters(model).state_dict())
    soup = tmp_path / "soup.safetensors"
    save_checkpoint(soup, *average_weights(files))
    found = load_checkpoint(soup)[0].state_dict()
    assert found.keys() == merged[0].keys()
    for name, value in found.items():
        expected = sum(each[name].double() for each in merged) / 3
        torch.testing.assert_close(value.double(), expected, rtol=1e-5, atol=1e-6, msg=name)
