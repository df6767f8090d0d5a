"""Several labels an image: in a classifier of transformers, and in its Trainer."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

pytest.importorskip("transformers")
pytest.importorskip("accelerate")  # the Trainer of transformers needs it

import transformers

from mlt.detection.transformers import attach, detach, set_prior, trainer_loss
from mlt.errors import ConfigError
from mlt.losses import create_loss

K = 3


def classifier() -> nn.Module:
    config = transformers.ViTConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=16,
        patch_size=8,
        num_labels=K,
        problem_type="multi_label_classification",
    )
    return transformers.ViTForImageClassification(config)


class Rows(torch.utils.data.Dataset):
    """Six images, the last label of the last of which nobody annotated."""

    def __init__(self, unknown: float = -100.0) -> None:
        generator = torch.Generator().manual_seed(0)
        self.pixels = torch.randn(6, 3, 16, 16, generator=generator)
        self.labels = torch.randint(0, 2, (6, K), generator=generator).float()
        self.labels[-1, -1] = unknown

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {"pixel_values": self.pixels[index], "labels": self.labels[index]}


def test_image_classification() -> None:
    torch.manual_seed(0)
    model = classifier().eval()
    rows = Rows(unknown=0.0)
    own = model(rows.pixels, labels=rows.labels).loss
    attach(model, create_loss("bce"))
    torch.testing.assert_close(model(rows.pixels, labels=rows.labels).loss, own)
    rows.labels[2, 0] = -100
    logits = model(rows.pixels).logits
    expected = nn.functional.binary_cross_entropy_with_logits(
        logits[rows.labels >= 0], rows.labels[rows.labels >= 0]
    )
    torch.testing.assert_close(model(rows.pixels, labels=rows.labels).loss, expected)
    attach(model, create_loss("zlpr"))  # one that couples the classes is fine here
    assert torch.isfinite(model(rows.pixels, labels=rows.labels).loss)
    detach(model)
    with pytest.raises(ConfigError, match='reduction="mean"'):
        attach(model, create_loss("bce", reduction="none"))
    with pytest.raises(ConfigError, match="exactly one class"):
        attach(model, nn.CrossEntropyLoss())
    attach(model, create_loss("bce"))
    with pytest.raises(ConfigError, match="one for each class"):
        model(rows.pixels, labels=torch.zeros(6))


@pytest.mark.parametrize("how", ["attach", "compute_loss_func"])
def test_trainer_does_not_depend_on_accumulation(how: str, tmp_path: Any) -> None:
    """One step over six images, at once or in batches of two, moves the weights alike."""
    trained = []
    for size, steps in ((6, 1), (2, 3)):
        torch.manual_seed(0)
        model = classifier()
        loss = create_loss("cb_focal", [5, 3, 1], beta=0.9)
        function = None
        if how == "attach":
            attach(model, loss)
        else:
            function = trainer_loss(loss)
        arguments = transformers.TrainingArguments(
            output_dir=str(tmp_path),
            per_device_train_batch_size=size,
            gradient_accumulation_steps=steps,
            max_steps=1,
            learning_rate=0.1,
            optim="sgd",
            report_to=[],
            save_strategy="no",
            use_cpu=True,
            remove_unused_columns=False,
            disable_tqdm=True,
            max_grad_norm=0.0,
        )
        trainer = transformers.Trainer(
            model, arguments, train_dataset=Rows(), compute_loss_func=function
        )
        trainer.train()
        trained.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    torch.testing.assert_close(trained[0], trained[1])


def test_trainer_loss_refuses_detectors() -> None:
    outputs = {"logits": torch.zeros(1, 5, K), "pred_boxes": torch.zeros(1, 5, 4)}
    with pytest.raises(ConfigError, match="attach"):
        trainer_loss(create_loss("bce"))(outputs, torch.zeros(1, K))


def test_a_classifier_has_no_prior_to_set() -> None:
    with pytest.raises(ConfigError, match="classifies images"):
        set_prior(classifier())
