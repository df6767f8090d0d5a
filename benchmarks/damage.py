"""What comes of damaged bytes in each file that mlt reads back: the table of `docs/run_folder.md`.

Trains a small run, tunes it, and then damages one file at a time, at one seeded place: one bit is
flipped, up to 64 bytes are replaced, deleted, inserted or zeroed, or the end is cut off. Then what
reads the file runs. Prints Markdown; ends with 1 if anything was silently wrong.

    python benchmarks/damage.py --cases 300 --resumes 60
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mutations import KINDS, damaged

from mlt.config import Config, load_config, parse_config
from mlt.data import Partition, Split
from mlt.data.digits import write_digits
from mlt.data.formats.coco import read_coco
from mlt.data.images import load_image
from mlt.data.run_data import load_data
from mlt.data.splits.parts import cut_partition
from mlt.engine.train import train
from mlt.engine.training_state import load_training_state
from mlt.engine.tune import tune_checkpoint
from mlt.errors import UserError
from mlt.models.checkpoint import checkpoint_digest, load_checkpoint, weights_digest
from mlt.predictions import Predictions
from mlt.report.runs import load_run
from mlt.run_folder import RunFolder

__all__ = ["OUTCOMES", "Reading", "outcomes", "prepare", "readings"]

OUTCOMES = ("same", "refused", "recovered", "warned", "silent", "traceback")
"""The result of sound files; an error of one sentence; that result with a warning; another result
with a warning; another result without; any other exception."""


@dataclass(frozen=True)
class Reading:
    """A file, and what reads it.

    Attributes:
        file: Below the folder of :func:`prepare`.
        reader: What the table calls what reads it.
        read: Returns what came of it, to be compared.
        slow: Whether it trains.
    """

    file: str
    reader: str
    read: Callable[[], Any]
    slow: bool = False


def prepare(folder: Path) -> None:
    """Write data, a partition, and a run of one epoch of two that has been tuned."""
    data = write_digits(folder / "digits", train_scenes=24, test_scenes=12)
    train(_config(folder, data, epochs=1))
    tune_checkpoint(
        folder / "run" / "last.safetensors",
        folder / "run" / "validation.npz",
        calibration="none",
        allow_test_images=True,
    )
    table = read_coco(data / "annotations" / "instances_train.json", data / "train")
    cut_partition("parts", table, {"train": 0.7, "test": 0.3}).save(folder / "parts.json")


def _config(folder: Path, data: Path, epochs: int) -> Config:
    part = {"annotations": "annotations/instances_test.json", "images": "test"}
    return parse_config(
        {
            "output": str(folder / "run"),
            "device": "cpu",
            "data": {
                "name": "coco",
                "root": str(data),
                "train": {"annotations": "annotations/instances_train.json", "images": "train"},
                "validation": part,
                "test": part,
            },
            "transforms": {"name": "plain", "size": 32},
            "model": {"backbone": "test_resnet", "weights": "none"},
            "loss": {"focusing": {"name": "focal"}},
            "optimizer": {"name": "adamw", "lr": 3e-3},
            "schedule": {"name": "constant"},  # of which two epochs begin as one
            "training": {
                "epochs": epochs,
                "batch_size": 12,
                "workers": 0,
                "save_every": {"updates": 1},
            },
            "evaluation": {"head": 5, "tail": 3},
        }
    )


def readings(folder: Path) -> list[Reading]:
    """Every file of :func:`prepare` that is read back, with what reads it."""
    run = RunFolder(folder / "run")
    digits = folder / "digits"
    data = "digits/annotations/instances_train.json"

    def resume() -> Any:
        train(load_config(run.config, ["training.epochs=2"]), resume=True)
        return (
            checkpoint_digest(run.last),
            checkpoint_digest(run.best),
            run.metrics.read_text(),
            [{k: v for k, v in r.items() if k != "lr"} for r in run.read_history()],
        )

    def report() -> Any:
        found = load_run(run.path)
        return (
            found.predictions.logits.tobytes(),
            found.predictions.targets.tobytes(),
            found.ap.tobytes(),
            found.class_counts,
            found.config,
            found.history,
            found.decision,
            found.checks,
        )

    def checkpoint() -> Any:
        model, info = load_checkpoint(run.last)
        return weights_digest(model.state_dict()), info

    def state() -> Any:
        return _digest_of(load_training_state(run.state, torch.device("cpu")))

    def tune() -> Any:
        found = Predictions.load(run.validation)
        return found.logits.tobytes(), found.targets.tobytes(), found.class_names, found.model

    def tables() -> Any:
        found = load_data(load_config(run.config).data, run.cache)
        return [t and t.digest() for t in (found.train, found.validation, found.test)]

    def embedded() -> Any:
        write_digits(digits, train_scenes=24, test_scenes=12)
        table = read_coco(folder / data, digits / "train")
        return table.digest(), [load_image(table.image_path(n)).tobytes() for n in range(3)]

    def partition() -> Any:
        return Partition.load(folder / "parts.json").parts

    resumed = ["config.yaml", "split.json", "data.json", "environment.json", "metrics.jsonl"]
    resumed += [run.state.name, run.state_before.name]
    reported = ["predictions.npz", "config.yaml", "metrics.jsonl", "metrics.json"]
    reported += ["last.decision.json"]
    cached = sorted(p.relative_to(folder) for p in run.cache.iterdir() if p.is_file())
    return [
        *(Reading(f"run/{name}", "train --resume", resume, slow=True) for name in resumed),
        *(Reading(f"run/{name}", "report, compare", report) for name in reported),
        Reading("run/last.safetensors", "predict, evaluate, tune, export", checkpoint),
        Reading("run/training_state.pt", "the state alone", state),
        Reading("run/validation.npz", "tune", tune),
        Reading("run/split.json", "data.split", lambda: Split.load(run.split)),
        Reading("parts.json", "data.split", partition),
        *(Reading(str(name), "any start", tables) for name in cached),
        Reading("digits/digits_mlt.json", "the embedded data", embedded),
        Reading(data, "the embedded data", embedded),
        Reading("digits/train/000001.png", "the embedded data", embedded),
    ]


def _digest_of(value: Any) -> Any:
    """Tensors as bytes, everything else as it is."""
    if isinstance(value, torch.Tensor):
        return str(value.dtype), tuple(value.shape), value.numpy().tobytes()
    if isinstance(value, dict):
        return {key: _digest_of(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_digest_of(item) for item in value]
    return repr(value)


class _Warnings(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def outcomes(
    folder: Path, reading: Reading, cases: int, seed: int = 0, *, details: bool = False
) -> Iterator[str]:
    """Damage the file ``cases`` times, each kind in turn, and say what came of each.

    Args:
        folder: What :func:`prepare` wrote; it is as before afterwards.
        reading: Which file, and what reads it.
        cases: How many times.
        seed: Of kinds and places.
        details: Print what was silent or ended in a traceback.
    """
    sound = folder.with_name(f"{folder.name}-sound")
    shutil.copytree(folder, sound)
    package, warned = logging.getLogger("mlt"), _Warnings()
    package.addHandler(warned)
    random = np.random.default_rng([seed, len(reading.file)])
    try:
        expected = reading.read()
        usual = set(warned.messages)
        for case in range(cases):
            _restore(folder, sound)
            file = folder / reading.file
            kind = list(KINDS)[case % len(KINDS)]
            stat = file.stat()
            file.write_bytes(damaged(file.read_bytes(), kind, random))
            os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
            warned.messages.clear()
            try:
                result = reading.read()
            except UserError:
                yield "refused"
            except Exception as error:
                if details:
                    print(f"{reading.file}: {kind} {case}: {error!r}", file=sys.stderr)
                yield "traceback"
            else:
                warnings = set(warned.messages) - usual
                if result == expected:
                    yield "recovered" if warnings else "same"
                    continue
                if details and not warnings:
                    print(f"{reading.file}: {kind} {case} was silent", file=sys.stderr)
                yield "warned" if warnings else "silent"
    finally:
        package.removeHandler(warned)
        _restore(folder, sound)
        shutil.rmtree(sound)


def _restore(folder: Path, sound: Path) -> None:
    shutil.rmtree(folder)
    shutil.copytree(sound, folder)  # with times, by which the label cache knows its sources


def main() -> int:
    """Prepare, damage, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=300, help="per file")
    parser.add_argument("--resumes", type=int, default=60, help="per file, where each one trains")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    logging.getLogger("mlt").propagate = False
    bad = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "work"
        prepare(folder)
        print(f"| file | read by | cases | {' | '.join(OUTCOMES)} |")
        print(f"| --- | --- |{' ---: |' * (1 + len(OUTCOMES))}")
        for reading in readings(folder):
            cases = options.resumes if reading.slow else options.cases
            found = Counter(outcomes(folder, reading, cases, options.seed, details=True))
            counts = " | ".join(str(found[outcome]) for outcome in OUTCOMES)
            print(f"| `{reading.file}` | {reading.reader} | {cases} | {counts} |", flush=True)
            bad += found["silent"] + found["traceback"]
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
