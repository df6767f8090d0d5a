"""The configurations for CLIP build and step, with tiny towers and data in place of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlt.cli.describe import describe
from mlt.config import parse_config
from mlt.config.load import shipped_configs
from mlt.config.yaml_text import parse_yaml
from mlt.engine.train import train
from mlt.language import ClassEmbeddings
from mlt.language.pairing import paired_text_model

pytest.importorskip("open_clip")

NAMES = [f"{data}_clip_{head}" for data in ("coco_mlt", "voc_mlt") for head in ("prompts", "text")]
IMAGE_TOWER = "vit_xsmall_patch16_clip_224.tinyclip_yfcc15m"


@pytest.mark.parametrize("name", NAMES)
def test_dry_run_and_a_step(
    name: str,
    tiny_values: dict[str, Any],
    tiny_clip: tuple[str, Path],
    tiny_names: list[str],
    tmp_path: Path,
) -> None:
    values: Any = parse_yaml(shipped_configs()[name].read_text())
    head = values["model"]["head"]
    assert paired_text_model(head.get("model", values["model"]["backbone"])) == (
        "ViT-B-16-quickgelu/openai"
    )
    if head["name"] == "text":
        vectors = np.random.default_rng(0).normal(size=(4, 512)).astype(np.float32)
        ClassEmbeddings(tuple(tiny_names), vectors).save(tmp_path / "a.safetensors")
        head["embeddings"] = str(tmp_path / "a.safetensors")
    else:
        head["model"], head["weights"] = tiny_clip[0], str(tiny_clip[1])
    values["model"] |= {"backbone": IMAGE_TOWER, "weights": "none"}
    values["data"], values["transforms"]["size"] = tiny_values["data"], 32
    values |= {"output": str(tmp_path / "run"), "device": "cpu"}
    if "sampler" in values:
        values["sampler"]["length_divisor"] = 40
    values["training"] |= {"workers": 0, "epochs": 1}
    said = describe(parse_config(values))
    assert "dry run: nothing was trained" in said
    # Nothing of the towers learns.
    learning = said.partition("parameters ")[2].splitlines()[0]
    number = int(learning.partition(" in all, ")[2].split()[0].replace(",", ""))
    bias = 4
    if head["name"] == "prompts":
        # The image tower's projection is for texts of another width here, so there is a new one.
        assert number == 4 * 16 * 32 + bias + 256 * 16
    else:
        assert number == 4 * 512 + bias + 1 + 512 * 257
    assert 0 <= train(parse_config(values)).total <= 1
