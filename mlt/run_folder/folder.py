"""The run folder: its files, and the rules for writing to them."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from mlt.config.text_digest import is_as_written, with_digest_line
from mlt.errors import DataError, MissingFileError, OutputExistsError
from mlt.files import (
    read_json_object,
    temporary_files,
    write_json_object,
    write_text_atomic,
)
from mlt.run_folder.earlier_run import EarlierRun
from mlt.run_folder.environment import environment, launch
from mlt.run_folder.history import append_line, read_lines, trim_lines

__all__ = ["RunFolder"]

logger = logging.getLogger(__name__)


class RunFolder:
    """Paths of a run and the rules for writing to them.

    Args:
        path: The folder.
    """

    FILES = (
        "config.yaml",
        "handed_over.json",
        "loggers.json",
        "tensorboard",
        "split.json",
        "data.json",
        "environment.json",
        "log.txt",
        "metrics.jsonl",
        "last.safetensors",
        "best.safetensors",
        "last.decision.json",
        "best.decision.json",
        "training_state.pt",
        "training_state.previous.pt",
        "predictions.npz",
        "validation.npz",
        "metrics.json",
    )

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.config = self.path / "config.yaml"
        self.handed_over = self.path / "handed_over.json"
        self.loggers = self.path / "loggers.json"
        self.tensorboard = self.path / "tensorboard"
        self.split = self.path / "split.json"
        self.data = self.path / "data.json"
        self.environment = self.path / "environment.json"
        self.log = self.path / "log.txt"
        self.history = self.path / "metrics.jsonl"
        self.last = self.path / "last.safetensors"
        self.best = self.path / "best.safetensors"
        self.state = self.path / "training_state.pt"
        self.state_before = self.path / "training_state.previous.pt"
        self.predictions = self.path / "predictions.npz"
        self.validation = self.path / "validation.npz"
        self.metrics = self.path / "metrics.json"
        self._earlier = EarlierRun(self.path, lambda: self.existing)

    @property
    def cache(self) -> Path:
        """The folder beside the run where label tables are kept for the next start."""
        return self.path.parent / ".mlt-cache"

    @property
    def existing(self) -> list[Path]:
        """The files of an earlier run."""
        return [self.path / name for name in self.FILES if (self.path / name).exists()]

    @property
    def worth_keeping(self) -> bool:
        """Whether an earlier run got as far as weights or results; else it can be replaced."""
        written = (self.last, self.best, self.predictions, self.metrics)
        return self.has_state or any(file.exists() for file in written)

    @property
    def has_state(self) -> bool:
        """Whether there is a state from which training can go on."""
        return self.state.exists() or self.state_before.exists()

    def check(self, resume: bool, overwrite: bool) -> None:
        """Refuse to touch an earlier run unless told to; changes nothing.

        Args:
            resume: The run shall be continued.
            overwrite: The run shall be replaced.

        Raises:
            OutputExistsError: If there is an earlier run and neither was asked for.
            MissingFileError: If there is nothing to resume.
        """
        if self.path.exists() and not self.path.is_dir():
            raise OutputExistsError(f"output: {self.path} is a file; name a folder")
        if resume and not self.has_state:
            way = "--overwrite starts anew" if self.worth_keeping else "leave it out to start"
            raise MissingFileError(
                f"output: nothing to resume in {self.path} (no training_state.pt); {way}"
            )
        if self.worth_keeping and not (resume or overwrite):
            goes_on = "--resume continues it" if self.has_state else "it has no state to go on from"
            raise OutputExistsError(
                f"output: {self.path} holds an earlier run; {goes_on}, --overwrite replaces it "
                "(from Python: resume=True, overwrite=True), --output names another folder"
            )

    def recover(self) -> None:
        """Bring back an earlier run that was set aside by one that was killed before it saved.

        Temporary files that killed processes left are deleted.

        Raises:
            OutputExistsError: If that one is not dead: another process trains in the folder.
        """
        leftovers = [file for name in self.FILES for file in temporary_files(self.path / name)]
        if not (leftovers or self._earlier.is_torn or self._earlier.is_aside):
            return
        with self.locked():
            if self._earlier.is_torn or not self.has_state:
                self._earlier.bring_back()
            self._earlier.discard()
            for file in leftovers:
                file.unlink(missing_ok=True)

    def forget_results(self) -> None:
        """Delete the results of an earlier end, which the new state has gone past."""
        for file in (self.metrics, self.predictions, self.validation):
            file.unlink(missing_ok=True)

    @contextmanager
    def replacing(self) -> Iterator[None]:
        """Set an earlier run aside; bring it back if the new one fails before it saves anything.

        Foreign files stay where they are. The earlier run is deleted when the new one has saved its
        first state, see :meth:`forget_earlier`, or has ended.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        self._earlier.discard()
        self._earlier.set_aside()
        try:
            yield
        except BaseException:
            if not self.has_state:
                self._earlier.bring_back()
            raise
        self._earlier.discard()

    def forget_earlier(self) -> None:
        """Delete the earlier run that :meth:`replacing` has set aside."""
        self._earlier.discard()

    def write_config(self, text: str) -> None:
        """Write ``config.yaml`` with its digest."""
        write_text_atomic(self.config, with_digest_line(text))

    def check_config(self) -> None:
        """Refuse a ``config.yaml`` that is not as the run wrote it, or is not there.

        Raises:
            DataError: If it is damaged, or was changed by hand.
        """
        if self.config.exists() and not is_as_written(self.config.read_bytes()):
            raise DataError(
                f"{self.config} is not as the run wrote it: it is damaged, or was changed by hand. "
                "Bring it back as it was; without its first line it is read as it is"
            )

    def append_history(self, record: dict[str, Any]) -> None:
        """Add one line to ``metrics.jsonl``."""
        append_line(self.history, record)

    def read_history(self) -> list[dict[str, Any]]:
        """The lines of ``metrics.jsonl``; see :func:`mlt.run_folder.history.read_lines`."""
        return read_lines(self.history)

    def trim_history(self, epochs: int, updates: int | None = None) -> None:
        """Drop the lines of what a resumed run does again, after so many epochs and updates."""
        trim_lines(self.history, epochs, updates, self.best.name)

    def recorded_epochs(self) -> int:
        """The last epoch that ``metrics.jsonl`` has a line of; 0 without one."""
        complete = [r["epoch"] for r in self.read_history() if not r.get("part_of_epoch")]
        return max(complete, default=0)

    def recorded_updates(self) -> int:
        """The updates at the last evaluation in ``metrics.jsonl``; 0 without one."""
        return max((record.get("updates") or 0 for record in self.read_history()), default=0)

    def best_total(self, by: Literal["mAP", "AUROC", "top1"] = "mAP") -> float:
        """The highest total mAP, mean AUROC or top-1 accuracy in ``metrics.jsonl``; 0 without."""
        means = [record.get(by) or {} for record in self.read_history()]
        return max((mean.get("total") or 0.0 for mean in means), default=0.0)

    @property
    def is_of_this_launch(self) -> bool:
        """Whether torchrun has started this process again to go on with the run in the folder."""
        if not int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) or not self.has_state:
            return False
        try:
            return read_json_object(self.environment).get("launch") == launch()
        except DataError:
            return False

    def write_environment(self, device: str) -> None:
        """Record what the run runs with; a resumed run keeps what its earlier parts ran with."""
        now = environment(device)
        try:
            earlier = read_json_object(self.environment)
            if earlier:
                now["earlier"] = [*earlier.pop("earlier", []), earlier]
        except (DataError, TypeError) as error:  # it only informs
            logger.warning("%s; it is written anew", error)
        write_json_object(self.environment, now)

    def read_handed_over(self) -> dict[str, Any]:
        """What the run was handed from Python, by section of the configuration; empty if nothing.

        Raises:
            DataError: If the file is damaged.
        """
        return read_json_object(self.handed_over)

    def read_data(self) -> dict[str, str]:
        """The digest of each part of the data; empty for a run of an older version.

        Raises:
            DataError: If the file is damaged.
        """
        return read_json_object(self.data)

    @contextmanager
    def logging(self) -> Iterator[None]:
        """Copy the log of mlt to ``log.txt`` inside the block.

        Where nobody has set up logging, warnings still go to stderr, as Python does by default:
        the file's handler alone would keep them from there.
        """
        handler = logging.FileHandler(self.log, encoding="utf-8")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        package = logging.getLogger("mlt")
        last_resort = None if package.hasHandlers() else logging.lastResort
        package.addHandler(handler)
        if last_resort:
            package.addHandler(last_resort)
        level = package.level
        package.setLevel(min(level or logging.INFO, logging.INFO))
        try:
            yield
        finally:
            package.setLevel(level)
            package.removeHandler(handler)
            if last_resort:
                package.removeHandler(last_resort)
            handler.close()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep a second process out of the folder inside the block.

        The lock belongs to the process: it is gone when the process is, however it ended. Where
        the operating system has no such lock (Windows) the block runs without one.

        Raises:
            OutputExistsError: If another process trains in the folder right now.
        """
        try:
            import fcntl
        except ImportError:
            yield
            return
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / ".lock").open("w") as file:
            # Forked processes would hold it too, and those that load images outlive a kill.
            os.register_at_fork(after_in_child=file.close)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise OutputExistsError(
                    f"output: another process is training in {self.path} right now"
                ) from None
            except OSError as error:  # some network file systems
                logger.warning(
                    "%s cannot be locked (%s): see to it that nothing else trains in it",
                    self.path,
                    error.strerror,
                )
            yield
