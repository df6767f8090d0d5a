"""Evaluation: a model and a set of images in, predictions and results out."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from torch import nn

from mlt.activation import Activation
from mlt.class_groups import GroupLimits
from mlt.config import Config, load_config
from mlt.data.dataset import ItemDataset
from mlt.data.labels import LabelTable
from mlt.data.loader import Loader, build_loader
from mlt.data.own_data import Given, OwnPart, check_mapping, own_parts
from mlt.data.samplers import SequentialSampler
from mlt.data.splits.split import Split
from mlt.data.transforms import Preprocessing
from mlt.data.view_settings import Average, check_average
from mlt.data.view_transform import Inputs, inputs_of
from mlt.engine.compilation import eager_unless
from mlt.engine.own_checks import check_logits, check_model
from mlt.engine.parallel import full, in_step, share_state
from mlt.engine.view_checks import check_views
from mlt.errors import CheckpointError, ConfigError, DataError
from mlt.metrics import Decision, Summary, mean_predictions, summarize
from mlt.models.checkpoint import check_class_names, load_checkpoint, read_info, weights_digest
from mlt.models.over_views import InOrder, OverViews
from mlt.predictions import Predictions
from mlt.run_folder import RunFolder
from mlt.runtime.device import pick_device
from mlt.runtime.processes import ALONE, Processes
from mlt.runtime.progress import Progress

__all__ = [
    "Part",
    "evaluate",
    "evaluate_checkpoint",
    "evaluate_ensemble",
    "predict",
    "predict_logits",
    "tuned_thresholds",
]

logger = logging.getLogger(__name__)

Part = Literal["test", "validation"]

_NO_FORM = Preprocessing(size=1, mean=(0.0,) * 3, std=(1.0,) * 3)
"""Of tensors that are used as they come."""


def evaluate(
    config: Config | str | Path,
    checkpoint: str | Path | Sequence[str | Path],
    *,
    data: Mapping[str, Given] | None = None,
    model: nn.Module | None = None,
    part: Part = "test",
    ensemble: Average = "probabilities",
) -> Summary:
    """Evaluate a checkpoint on the test images of a configuration, or on its validation images.

    Args:
        config: Says which images, and on which device; a configuration, a YAML file, or the name
            of one that ships with mlt.
        checkpoint: A ``.safetensors`` file of a run; several are an ensemble, whose answers are
            averaged. Its rates are at a probability of one half.
        data: Images in place of the configuration's, as for :func:`mlt.train`; only ``part`` is
            looked at.
        model: The model, where the run was handed one of its own.
        part: ``"test"`` or ``"validation"``.
        ensemble: What is averaged over several checkpoints.

    Returns:
        mAP in total and for head, medium and tail, and a line for every class; rates are at the
        thresholds that the checkpoint has from `mlt tune`, else at a probability of one half.

    Raises:
        UserError: For whatever is wrong with configuration, data or checkpoint.
    """
    if not isinstance(config, Config):
        config = load_config(config)
    limits = GroupLimits(head=config.evaluation.head, tail=config.evaluation.tail)
    files = [checkpoint] if isinstance(checkpoint, (str, Path)) else list(checkpoint)
    predictions = evaluate_ensemble(config, files, part, ensemble, data=data, model=model)
    return summarize(predictions, limits=limits, threshold=tuned_thresholds(*files))


def tuned_thresholds(*checkpoints: str | Path) -> tuple[float, ...] | None:
    """The logits from which a checkpoint gives each label; None if it was not tuned, or of several.

    A softmax has none: it gives the most probable class.
    """
    info = read_info(checkpoints[0]) if len(checkpoints) == 1 else None
    if info is None or info.decision is None or info.activation == "softmax":
        return None
    return Decision.from_json(info.decision).limits


def evaluate_ensemble(
    config: Config,
    checkpoints: Sequence[str | Path],
    part: Part = "test",
    ensemble: Average = "probabilities",
    *,
    data: Mapping[str, Given] | None = None,
    model: nn.Module | None = None,
    processes: Processes = ALONE,
) -> Predictions:
    """Predict with several checkpoints, one after the other, and average their answers.

    Their backbones, sizes and order of classes may differ; the classes must be those of the data.

    Args:
        config: As for :func:`evaluate_checkpoint`; so are the others.
        checkpoints: ``.safetensors`` files of runs; one is evaluated as it is.
        part: Which of the images.
        ensemble: What is averaged.
        data: Images in place of the configuration's.
        model: The model, where the run was handed one of its own; then all checkpoints are its.
        processes: Those that share the images; all must call this, and all get the answer.

    Raises:
        UserError: For whatever is wrong with configuration, data or checkpoints.
    """
    if not checkpoints:
        raise ConfigError("give at least one checkpoint")
    check_average("ensemble", ensemble)
    each = [
        evaluate_checkpoint(
            config,
            file,
            part,
            data=data,
            model=model,
            any_order=len(checkpoints) > 1,
            processes=processes,
        )
        for file in checkpoints
    ]
    return mean_predictions(each, ensemble)


def evaluate_checkpoint(
    config: Config,
    checkpoint: str | Path,
    part: Part = "test",
    *,
    data: Mapping[str, Given] | None = None,
    model: nn.Module | None = None,
    any_order: bool = False,
    processes: Processes = ALONE,
) -> Predictions:
    """Predict the test images of a configuration, or its validation images, with a checkpoint.

    Model, preprocessing and training counts come from the checkpoint, the images and their labels
    from the configuration.

    Args:
        config: Says which images, and on which device.
        checkpoint: A ``.safetensors`` file of a run.
        part: Which of its images.
        data: Images in place of the configuration's.
        model: The model, where the run was handed one of its own.
        any_order: Take a checkpoint whose classes stand in another order than those of the data;
            its thresholds then do not fit the predictions.
        processes: Those that share the images; all must call this, and all get the answer.

    Returns:
        Predictions of every image of that part.

    Raises:
        ConfigError: If the configuration names no validation images and they are asked for.
        CheckpointError: If the checkpoint is damaged, or has other classes than the data.
        DataError: If that part has no image.
    """
    if part not in get_args(Part):
        raise ConfigError(f"part must be one of {', '.join(get_args(Part))}, not {part!r}")
    with processes.together():
        device = pick_device(config.device, processes)
        model, info = load_checkpoint(checkpoint, model)
        images = _part(config, part, data)
        if data is None and config.data.cuts(part):
            _warn_of_training_images(Path(checkpoint).parent, images.table, part)
        names = images.table.class_names
        if not (any_order and sorted(info.class_names) == sorted(names)):
            check_class_names(checkpoint, info.class_names, names)
        columns = [info.class_names.index(name) for name in names]
        if info.class_names != names:
            model = InOrder(model, columns)
        if images.items is None and not info.preprocessing:
            raise CheckpointError(
                f"{checkpoint} was trained on tensors of a data set of your own, so mlt does not "
                "know how to make them from image files; hand that data set over: data={...}"
            )
        # A data set's own tensors stay as they are, whatever the transform.
        form = Preprocessing.from_dict(info.preprocessing) if info.preprocessing else _NO_FORM
        inputs = inputs_of([(form, config.evaluation.shown)])
        loader = build_loader(
            images.dataset(inputs.transform, config.data.on_image_error),
            batch_size=config.evaluation.batch_size,
            sampler=SequentialSampler(len(images.table), processes.count, processes.rank),
            workers=config.training.workers,
            device=device,
        )
        model = model.to(device)
        if (
            isinstance(loader.dataset, ItemDataset)
            and (image := loader.dataset[0].image) is not None
        ):
            check_model(model, image, len(info.class_names), device)
        check_views(
            model,
            config.evaluation.shown,
            len(info.class_names),
            device,
            of_tensors=isinstance(loader.dataset, ItemDataset),
        )
    return predict(
        model,
        loader,
        np.array(info.class_counts)[columns],
        info.num_train_images,
        device,
        inputs,
        config.evaluation.average,
        processes,
        info.activation,
    )


def _part(config: Config, part: Part, data: Mapping[str, Given] | None) -> OwnPart:
    """The images to evaluate on: those handed over, or those of the configuration."""
    if data is not None:
        check_mapping(data)
        if part not in data:
            raise ConfigError(f"data has no part {part!r}; its parts are {', '.join(data)}")
        return own_parts({part: data[part]}, config.training.workers)[part]
    source = config.data.source(RunFolder(config.output).cache)
    table = source.test() if part == "test" else source.validation()
    if table is None:
        raise ConfigError("data.validation: the configuration names no validation images")
    source.check(table, part)
    return OwnPart(part, table)


def _warn_of_training_images(folder: Path, table: LabelTable, part: Part) -> None:
    """Say if images that are cut out of the training table were trained on after all.

    They are cut again for each evaluation, and another label or image makes it another cut.
    """
    file = RunFolder(folder).split
    if not file.is_file():
        return
    shared = len(set(Split.load(file).image_ids) & set(table.image_ids.tolist()))
    if shared:
        logger.warning(
            "warning: %d of %d %s images were trained on, see %s: labels, images or the settings "
            "of the cut have changed since. `mlt split` keeps a cut in a file",
            shared,
            len(table),
            part,
            file,
        )


def predict(
    model: nn.Module,
    loader: Loader,
    class_counts: np.ndarray,
    num_train_images: int,
    device: torch.device,
    inputs: Inputs | None = None,
    average: Average = "logits",
    processes: Processes = ALONE,
    activation: Activation = "sigmoid",
) -> Predictions:
    """Predict all images of a loader and put the answers beside their targets.

    Args:
        model: Gives logits; it is switched to evaluation mode.
        loader: Batches of images, without repetition.
        class_counts: (C,) positives in the training split.
        num_train_images: Images of the training split.
        device: Where to compute.
        inputs: What the loader makes of each image, and the views to average over; None: the model
            takes what the loader has.
        average: What is averaged over views.
        processes: Those that share the loader's images; all get the answer.
        activation: How the logits become probabilities.

    Returns:
        Predictions in the order of the loader's table; images that could not be read are left out.
    """
    share_state(model, processes)
    network = (
        model if inputs is None else OverViews([model], inputs, average, activation=activation)
    )
    rows, logits = predict_logits(network, loader, device, processes)
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
        model=weights_digest(full(model.state_dict())),
        groups=None if table.groups is None else np.array(table.groups[rows]),
        activation=activation,
    )


def predict_logits(
    model: nn.Module,
    loader: Loader,
    device: torch.device,
    processes: Processes = ALONE,
) -> tuple[np.ndarray, np.ndarray]:
    """Logits of all images of a loader, in float32 whatever the model was trained in.

    Args:
        model: Gives logits; it is switched to evaluation mode.
        loader: Batches of images.
        device: Where to compute.
        processes: Those that share the loader's images; all get the answer.

    Returns:
        Row numbers (N,) and logits (N, C), in the order of the loader.
    """
    model.eval()
    num_classes = loader.dataset.table.num_classes
    rows, logits = [torch.empty(0, dtype=torch.int64)], [torch.empty(0, num_classes)]
    full_batch = loader.full_counts[processes.rank]
    shown = processes.is_main
    with torch.inference_mode(), Progress("evaluation", len(loader), shown=shown) as progress:
        for batch in in_step(loader, processes):
            if len(batch.indices):
                images = batch.images.to(device, non_blocking=True)
                with eager_unless(len(images) == full_batch):
                    answer = model(images)
                    check_logits(answer, (len(images), num_classes))
                logits.append(answer.float().cpu())
                rows.append(batch.indices)
            progress.step(len(batch.indices))
    own, answers = torch.cat(rows), torch.cat(logits)
    counts = processes.numbers(len(own))
    if not sum(counts):
        raise DataError("not one image could be read; see the messages above")
    return processes.rows(own, counts).numpy(), processes.rows(answers, counts).numpy()
