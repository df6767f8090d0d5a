"""Evaluation: a model and a set of images in, predictions and results out."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import nn

from mlt.config import Config
from mlt.data.dataset import ImageDataset
from mlt.data.loader import Loader, build_loader
from mlt.data.stats import GroupLimits
from mlt.data.transforms import Preprocessing, eval_transform
from mlt.errors import ConfigError, DataError, OutputExistsError
from mlt.files import write_json_atomic
from mlt.metrics import Predictions, Summary
from mlt.models.checkpoint import check_class_names, load_checkpoint, weights_digest
from mlt.run_folder import RunFolder
from mlt.runtime.device import pick_device
from mlt.runtime.progress import Progress

__all__ = [
    "Part",
    "check_free",
    "evaluate_checkpoint",
    "limits_from",
    "predict",
    "predict_logits",
    "write_results",
]

Part = Literal["test", "validation"]


def evaluate_checkpoint(config: Config, checkpoint: str | Path, part: Part = "test") -> Predictions:
    """Predict the test images of a configuration, or its validation images, with a checkpoint.

    Model, preprocessing and training counts come from the checkpoint, the images and their labels
    from the configuration.

    Args:
        config: Says which images, and on which device.
        checkpoint: A ``.safetensors`` file of a run.
        part: Which of its images.

    Returns:
        Predictions of every image of that part.

    Raises:
        ConfigError: If the configuration names no validation images and they are asked for.
        CheckpointError: If the checkpoint is damaged, or has other classes than the data.
        DataError: If that part has no image.
    """
    device = pick_device(config.device)
    model, info = load_checkpoint(checkpoint)
    source = config.data.source(RunFolder(config.output).cache)
    table = source.test() if part == "test" else source.validation()
    if table is None:
        raise ConfigError("data.validation: the configuration names no validation images")
    check_class_names(checkpoint, info.class_names, table.class_names)
    source.check(table, part)
    transform = eval_transform(Preprocessing.from_dict(info.preprocessing))
    loader = build_loader(
        ImageDataset(table, transform, on_error=config.data.on_image_error),
        batch_size=config.evaluation.batch_size,
        workers=config.training.workers,
    )
    return predict(
        model.to(device),
        loader,
        np.array(info.class_counts),
        info.num_train_images,
        device,
        mirror=config.evaluation.mirror,
    )


def predict(
    model: nn.Module,
    loader: Loader,
    class_counts: np.ndarray,
    num_train_images: int,
    device: torch.device,
    mirror: bool = False,
) -> Predictions:
    """Predict all images of a loader and put the answers beside their targets.

    Args:
        model: Gives logits; it is switched to evaluation mode.
        loader: Batches of images, without repetition.
        class_counts: (C,) positives in the training split.
        num_train_images: Images of the training split.
        device: Where to compute.
        mirror: Average the logits of each image and its mirror image.

    Returns:
        Predictions in the order of the loader's table; images that could not be read are left out.
    """
    rows, logits = predict_logits(model, loader, device, mirror)
    order = np.argsort(rows)
    rows, logits = rows[order], logits[order]
    table = loader.dataset.table
    ids = table.image_ids
    return Predictions(
        image_ids=np.array([ids[int(row)] for row in rows]),
        logits=logits,
        targets=table.targets(rows).astype(bool),
        class_names=table.class_names,
        class_counts=np.asarray(class_counts),
        num_train_images=num_train_images,
        known=None if table.known is None else table.known_mask(rows),
        model=weights_digest(model.state_dict()),
    )


def predict_logits(
    model: nn.Module, loader: Loader, device: torch.device, mirror: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Logits of all images of a loader, in float32 whatever the model was trained in.

    Args:
        model: Gives logits; it is switched to evaluation mode.
        loader: Batches of images.
        device: Where to compute.
        mirror: Average the logits of each image and its mirror image.

    Returns:
        Row numbers (N,) and logits (N, C), in the order of the loader.
    """
    model.eval()
    rows, logits = [], []
    with torch.inference_mode(), Progress("evaluation", len(loader)) as progress:
        for batch in loader:
            if len(batch.indices):
                images = batch.images.to(device, non_blocking=True)
                answer = model(images)
                if mirror:
                    answer = (answer + model(images.flip(-1))) / 2
                logits.append(answer.float().cpu().numpy())
                rows.append(batch.indices.numpy())
            progress.step(len(batch.indices))
    if not rows:
        raise DataError("not one image could be read; see the messages above")
    return np.concatenate(rows), np.concatenate(logits)


def limits_from(
    head: int | None, tail: int | None, default_head: int = 100, default_tail: int = 20
) -> GroupLimits:
    """Limits of head and tail from two options, each with its default where it is not given."""
    return GroupLimits(
        head=default_head if head is None else head, tail=default_tail if tail is None else tail
    )


def check_free(folder: str | Path, overwrite: bool) -> None:
    """Refuse to write results over earlier ones unless told to.

    Raises:
        OutputExistsError: If the folder has results already.
    """
    taken = [n for n in ("metrics.json", "predictions.npz") if (Path(folder) / n).exists()]
    if taken and not overwrite:
        raise OutputExistsError(
            f"--output {folder} has {' and '.join(taken)} already; --overwrite replaces them"
        )


def write_results(folder: str | Path, summary: Summary, predictions: Predictions | None) -> None:
    """Write ``metrics.json``, and ``predictions.npz`` if predictions are given, to a folder."""
    if predictions is not None:
        predictions.save(Path(folder) / "predictions.npz")
    write_json_atomic(Path(folder) / "metrics.json", summary.to_json())
