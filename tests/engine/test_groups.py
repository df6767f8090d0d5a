"""The patients of a table go with its predictions, also of several folds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from mlt.data.columns import StringColumn
from mlt.data.dataset import ImageDataset
from mlt.data.labels import LabelTable
from mlt.data.loader import build_loader
from mlt.engine.evaluate import predict
from mlt.engine.folds import pooled
from mlt.predictions import Predictions

PATIENTS = ["anna", "", "anna", "bert"]


@pytest.fixture
def table(tmp_path: Path) -> LabelTable:
    names = [f"{i}.png" for i in range(4)]
    for name in names:
        Image.new("RGB", (2, 2)).save(tmp_path / name)
    table = LabelTable.from_lists([4, 3, 2, 1], names, ["x"], [[0], [], [], [0]], str(tmp_path))
    return replace(table, groups=StringColumn.from_iterable(PATIENTS))


def predicted(table: LabelTable) -> Predictions:
    dataset = ImageDataset(table, lambda image: torch.zeros(3, 2, 2), "skip")
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 1))
    loader = build_loader(dataset, batch_size=3, workers=0)
    return predict(model, loader, np.array([5]), 9, torch.device("cpu"))


def test_predictions_of_a_table_have_its_groups(table: LabelTable) -> None:
    found = predicted(table).groups
    assert found is not None
    assert found.tolist() == PATIENTS
    (Path(table.root) / "1.png").write_bytes(b"")  # cannot be read and is left out
    found = predicted(table).groups
    assert found is not None
    assert found.tolist() == ["anna", "anna", "bert"]
    assert predicted(replace(table, groups=None)).groups is None


def test_pooled_folds_have_groups_where_each_fold_has(table: LabelTable) -> None:
    all_images = predicted(table)
    first, second = all_images.take([0, 2]), all_images.take([1, 3])
    found = pooled([first, second]).groups
    assert found is not None
    assert found.tolist() == ["anna", "anna", "", "bert"]
    assert pooled([first, replace(second, groups=None)]).groups is None
