"""Classes that are evaluated but not trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from torch.utils.data import Dataset

import mlt
from mlt.config import parse_config
from mlt.data.hidden_labels import hide_labels
from mlt.data.labels import LabelTable
from mlt.engine.evaluate import evaluate_checkpoint
from mlt.engine.setup import prepare
from mlt.engine.train import train
from mlt.errors import ConfigError, MissingFileError
from mlt.language import ClassEmbeddings
from mlt.metrics import average_precision, summarize
from mlt.models.checkpoint import load_checkpoint
from mlt.predictions import Predictions


@pytest.fixture
def values(tiny_values: dict[str, Any], tiny_names: list[str], tmp_path: Path) -> dict[str, Any]:
    vectors = np.random.default_rng(0).normal(size=(len(tiny_names), 6)).astype(np.float32)
    file = tmp_path / "classes.safetensors"
    ClassEmbeddings(tuple(tiny_names), vectors).save(file)
    tiny_values["model"]["head"] = {"name": "text", "embeddings": str(file), "residual": True}
    tiny_values["evaluation"] |= {"unseen": ["cat", "dog"]}
    return tiny_values


@pytest.mark.parametrize("partly", [False, True])
def test_hidden_labels(partly: bool) -> None:
    known = csr_array(np.array([[1, 1, 1], [1, 1, 0], [0, 1, 1]], bool)) if partly else None
    table = LabelTable(
        image_ids=np.arange(3),
        paths=None,
        class_names=("cat", "dog", "owl"),
        labels=csr_array(np.array([[1, 0, 1], [0, 1, 0], [0, 1, 1]], bool)),
        known=known,
        soft=csr_array(np.array([[1, 0.2, 0.7], [0, 0.5, 0], [0, 1, 0.6]], np.float32)),
    )
    hidden = hide_labels(table, ["dog"])
    assert hidden.targets(range(3)).tolist() == [[1, 0, 1], [0, 0, 0], [0, 0, 1]]
    np.testing.assert_allclose(hidden.soft_targets(range(3)), [[1, 0, 0.7], [0, 0, 0], [0, 0, 0.6]])
    assert hidden.known_mask(range(3)).tolist() == (
        [[True, False, True], [True, False, False], [False, False, True]]
        if partly
        else [[True, False, True]] * 3
    )
    assert hidden.class_counts().counts.tolist() == [1, 0, 2]
    assert table.class_counts().counts.tolist() == [1, 2, 2]  # the table itself is as it was


def test_training_does_not_see_them(values: dict[str, Any], tiny_names: list[str]) -> None:
    setup = prepare(parse_config(values), None)
    counts = dict(zip(setup.class_counts.names, setup.class_counts.counts.tolist()))
    assert counts["cat"] == counts["dog"] == 0 < counts["person"]
    for batch in setup.train_loader:
        assert not batch.targets[:, 1:3].any()
        assert batch.known is not None
        assert batch.known.tolist() == [[True, False, False, True]] * len(batch.targets)
    # With no label to say how frequent they are, they begin like the classes in the middle.
    begin = setup.training.model.head.bias
    assert begin[1] == begin[2] > begin[3]
    assert begin[1] < begin[0]
    summary = train(parse_config(values))
    folder = Path(values["output"])
    trained = load_checkpoint(folder / "last.safetensors")[0].head
    assert not trained.residual[1:3].any()
    assert trained.residual[[0, 3]].any(dim=1).all()
    assert summary.per_class[1].n_train == 0
    assert summary.per_class[1].n_test > 0


def test_seen_and_unseen_are_reported_apart(values: dict[str, Any], capsys: Any) -> None:
    summary = train(parse_config(values))
    folder = Path(values["output"])
    found = Predictions.load(folder / "predictions.npz")
    ap = average_precision(found.targets, found.logits)
    assert summary.unseen == pytest.approx(ap[1:3].mean())
    assert summary.seen == pytest.approx(ap[[0, 3]].mean())
    written = json.loads((folder / "metrics.json").read_text())
    assert written["mAP"]["unseen"] == pytest.approx(ap[1:3].mean())
    assert written["mAP"]["seen"] == pytest.approx(ap[[0, 3]].mean())
    assert written["num_classes"]["seen"] == written["num_classes"]["unseen"] == 2
    assert set(written["intervals"]["mAP"]) == {"total", "head", "medium", "tail", "seen", "unseen"}
    history = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert "unseen" in history[-1]["mAP"]
    lines = str(summary).splitlines()
    assert lines[5].split()[:5] == ["seen", "1", "image", "or", "more"]
    assert lines[6].split()[:4] == ["unseen", "no", "image", "2"]
    # Evaluated again from what was saved: without the configuration.
    assert summarize(found).unseen == summary.unseen
    from mlt.cli import main

    assert main(["report", str(folder), "--output", str(folder / "report.html")]) == 0
    page = (folder / "report.html").read_text()
    assert "unseen" in page and "no image" in page


def test_without_unseen_classes_nothing_is_said_of_them() -> None:
    summary = summarize([[2.0], [1.0]], [[1], [0]], class_counts=[3])
    assert "seen" not in str(summary) and "seen" not in str(summary.to_json())


def test_zero_shot_on_all_classes(values: dict[str, Any]) -> None:
    values["training"] |= {"epochs": 0}
    summary = train(parse_config(values))
    folder = Path(values["output"])
    assert summary.unseen > 0
    assert {file.name for file in folder.iterdir()} >= {
        "last.safetensors", "metrics.json", "predictions.npz", "config.yaml",
    }  # fmt: skip


@pytest.mark.parametrize(
    "head",
    [
        {"name": "ml_decoder", "width": 16, "attention_heads": 2, "feedforward": 16},
        {"name": "gcn", "graph": "embeddings", "hidden_width": 16},
    ],
)
def test_heads_that_are_made_of_embeddings(values: dict[str, Any], head: dict[str, Any]) -> None:
    """They score classes that were never trained, by what their embeddings share with others."""
    values["model"]["head"] = head | {"embeddings": values["model"]["head"]["embeddings"]}
    summary = train(parse_config(values))
    assert summary.unseen > 0
    folder = Path(values["output"])
    found = Predictions.load(folder / "predictions.npz")
    # The file of embeddings may go: the checkpoint has what it needs.
    Path(values["model"]["head"]["embeddings"]).unlink()
    again = evaluate_checkpoint(parse_config(values), folder / "last.safetensors")
    np.testing.assert_allclose(again.logits, found.logits, atol=1e-4)
    assert np.ptp(found.logits[:, 1]) > 0


def test_names_from_a_file(values: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "unseen.txt").write_text("dog\ncat\n")
    values["evaluation"] |= {"unseen": str(tmp_path / "unseen.txt")}
    assert prepare(parse_config(values), None).class_counts.counts[1:3].tolist() == [0, 0]
    values["evaluation"] |= {"unseen": str(tmp_path / "nowhere.txt")}
    with pytest.raises(
        MissingFileError, match=r"evaluation.unseen: there is no file .*nowhere.*list"
    ):
        prepare(parse_config(values), None)


@pytest.mark.parametrize(
    ("unseen", "message"),
    [
        (["cats"], "evaluation.unseen: the data has no class 'cats'; did you mean 'cat'"),
        (["person", "cat", "dog", "yeti"], "evaluation.unseen: all classes .* none to train"),
    ],
)
def test_what_cannot_be_unseen(values: dict[str, Any], unseen: list[str], message: str) -> None:
    values["evaluation"] |= {"unseen": unseen}
    with pytest.raises(ConfigError, match=message):
        prepare(parse_config(values), None)


def test_labels_that_a_data_set_gives_itself(values: dict[str, Any]) -> None:
    class Own(Dataset[Any]):
        class_names = ("person", "cat", "dog", "yeti")
        targets = np.eye(4)

        def __len__(self) -> int:
            return 4

        def __getitem__(self, row: int) -> Any:
            return torch.zeros(3, 32, 32), torch.eye(4)[row]

    with pytest.raises(ConfigError, match=r"evaluation.unseen: a data set of your own"):
        mlt.train(parse_config(values), data={"train": Own(), "test": Own()})
