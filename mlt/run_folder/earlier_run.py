"""An earlier run that waits, set aside, until the one that replaces it has saved something.

A folder is in one of four states, told apart by hidden folders in it, and a process may be killed
between any two operations on files:

- none of them: the run in the folder is whole;
- ``.setting-aside``: a part of the earlier run is in there, the rest is still outside, and nothing
  of another run is: moving everything back makes it whole, however often that is begun;
- ``.previous``: the earlier run is in there, whole, and outside is what the new one has written;
- ``.discarded``: is being deleted.

One rename leads from each state to the next.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

__all__ = ["EarlierRun"]


class EarlierRun:
    """Sets the files of a run aside, and brings them back or discards them.

    Args:
        folder: The folder of both runs.
        run_files: Lists the files of a run that are in the folder now; others are left alone.
    """

    def __init__(self, folder: Path, run_files: Callable[[], list[Path]]) -> None:
        self._folder = folder
        self._run_files = run_files
        self._moving = folder / ".setting-aside"
        self._aside = folder / ".previous"
        self._discarded = folder / ".discarded"

    @property
    def is_torn(self) -> bool:
        """Whether a part of the earlier run is set aside, and nothing of another is there."""
        return self._moving.exists()

    @property
    def is_aside(self) -> bool:
        """Whether the whole earlier run is set aside."""
        return self._aside.exists()

    def set_aside(self) -> None:
        """Move the run that is in the folder aside; nothing happens where there is none."""
        files = self._run_files()
        if not files:
            return
        self._moving.mkdir()
        for file in files:
            file.rename(self._moving / file.name)
        self._moving.rename(self._aside)

    def bring_back(self) -> None:
        """Delete what the new run has written, and move the earlier one back."""
        if self._aside.exists():
            for file in self._run_files():
                shutil.rmtree(file) if file.is_dir() else file.unlink()
            self._aside.rename(self._moving)
        if self._moving.exists():
            for file in self._moving.iterdir():
                file.rename(self._folder / file.name)
            self._moving.rmdir()

    def discard(self) -> None:
        """Delete the earlier run, of which the new one no longer has need."""
        if self._discarded.exists():
            shutil.rmtree(self._discarded)
        if self._aside.exists():
            self._aside.rename(self._discarded)
            shutil.rmtree(self._discarded)
