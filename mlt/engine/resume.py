"""Whether a run may go on, and from where."""

from __future__ import annotations

from typing import Any

import torch

from mlt.config import Config, changed_keys, load_config
from mlt.data import Split
from mlt.data.run_data import Data
from mlt.engine.own import Own
from mlt.engine.position import Position
from mlt.engine.setup import Setup
from mlt.engine.stages import at_stage
from mlt.engine.training_state import load_training_state
from mlt.errors import CheckpointError, ConfigError, DataError, UserError
from mlt.models.checkpoint import read_info
from mlt.run_folder import RunFolder

__all__ = ["MAY_CHANGE", "check_same_config", "check_same_own", "data_digests", "go_on"]

MAY_CHANGE = (
    "output",
    "device",
    "logging",
    "training.workers",
    "training.save_every",
    "training.early_stopping",
    "data.root",
    "data.cache",
    "data.on_image_error",
)
"""Keys that may differ when a run goes on. That the images are the same is checked by itself."""


def check_same_config(config: Config, folder: RunFolder) -> None:
    """Refuse to resume under another configuration, but for a longer training or a new place.

    Raises:
        ConfigError: Naming the keys that differ.
        DataError: If the run's configuration is damaged.
    """
    folder.check_config()
    changed = changed_keys(load_config(folder.config), config)
    allowed = (*MAY_CHANGE, "evaluation.", "training.epochs")
    changes_training = "evaluation.unseen"
    refused = [k for k in changed if not k.startswith(allowed) or k.startswith(changes_training)]
    if refused:
        raise ConfigError(
            f"--resume: {', '.join(refused)} differ from the run in {folder.path} "
            f"(see {folder.config}, with which `mlt train {folder.config} --resume` goes on as it "
            "began); start a new run for a new configuration"
        )


def check_same_own(own: Own, folder: RunFolder) -> None:
    """Refuse to resume with other things handed over than the run began with.

    Raises:
        ConfigError: Naming what was handed over then and now.
    """
    earlier, now = folder.read_handed_over(), own.names
    for key in ("data", "model", "loss"):
        if earlier.get(key) == now.get(key):
            continue
        then = (
            f"was handed its {key} ({earlier.get(key)})" if key in earlier else f"built its {key}"
        )
        raise ConfigError(
            f"resume: the run in {folder.path} {then} when it began, and is now "
            f"{f'handed {now[key]}' if key in now else 'handed none'}; make the same call as then, "
            f"mlt.train({', '.join(['config', *(f'{k}=...' for k in earlier)])}, resume=True)"
        )


def data_digests(data: Data) -> dict[str, str]:
    """The digest of each part's images and labels, by which a resumed run knows them again."""
    parts = {"training": data.train, "validation": data.validation, "test": data.test}
    return {name: table.digest() for name, table in parts.items() if table is not None}


def go_on(setup: Setup, folder: RunFolder) -> Setup:
    """Take a run up where its last sound state left it, by however many processes.

    Returns:
        The run in the stage it was left in.

    Raises:
        DataError: If images or labels are not those that the run began with.
        CheckpointError: If no state is sound, or the last one is not a state of this run.
        ConfigError: If the run has trained more epochs than are wanted now, or began with other
            weights that it still needs.
    """
    processes = setup.processes
    device = setup.device if processes.count == 1 else torch.device("cpu")

    def read() -> dict[str, Any]:
        _check_same_split(setup, folder)
        _check_same_data(setup, folder)
        _check_same_start(setup, folder)
        return load_training_state(folder.state, device)

    state = processes.on_main(read)
    try:
        setup = at_stage(setup, Position(**state["position"]).stage)
        setup.training.load_state_dict(state, processes)
    except UserError:
        raise
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{folder.state} is not a state of this run, or is of another version of mlt "
            f"({type(error).__name__}: {' '.join(str(error).split())[:300]}); start a new run"
        ) from error
    trained, wanted = setup.training.position.epoch, setup.config.training.epochs
    if trained > wanted:
        raise ConfigError(
            f"training.epochs is {wanted}, but the run in {folder.path} has trained {trained} "
            "epochs; give as many or more, or another output"
        )
    return setup


def _check_same_split(setup: Setup, folder: RunFolder) -> None:
    """Refuse to resume on other training images than the run began with, and say how many."""
    earlier, now = Split.load(folder.split), setup.data.split
    same_images = earlier.sha256_sorted_ids == now.sha256_sorted_ids
    if not same_images or earlier.class_counts != now.class_counts:
        raise DataError(
            f"--resume: the training data has changed since the run in {folder.path} began: "
            f"{earlier.num_images} images then, {now.num_images} now"
            f"{'' if same_images else ', not the same ones'}. Start a new run, or train on the "
            f"earlier images with data.split={folder.split} if the annotations still have them"
        )


def _check_same_start(setup: Setup, folder: RunFolder) -> None:
    """Refuse to resume from other weights than the run's checkpoints hold the difference to."""
    if setup.starting_weights is None or not folder.last.exists():
        return
    if read_info(folder.last).starting_weights != setup.starting_weights.digest:
        raise ConfigError(
            f"--resume: the weights that the backbone begins with have changed since the run in "
            f"{folder.path} began, and with training.save: difference its checkpoints need them; "
            "bring them back, or start a new run"
        )


def _check_same_data(setup: Setup, folder: RunFolder) -> None:
    """Refuse to resume on other labels, whatever their counts, or on other test images."""
    earlier, now = folder.read_data(), data_digests(setup.data)
    changed = [part for part in {**earlier, **now} if earlier.get(part) != now.get(part)]
    if earlier and changed:
        raise DataError(
            f"--resume: the {' and '.join(changed)} data (images, their order, or labels) changed "
            f"since the run in {folder.path} began; bring the earlier annotations back, or start a "
            "new run"
        )
