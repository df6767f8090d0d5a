"""The decoded images of a table, by row, for the processes of a machine together."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mlt.data.decoded.blocks import Block, map_block
from mlt.errors import DataError
from mlt.keyed_files import drop_file, match_rows

__all__ = ["DecodedImages"]

logger = logging.getLogger(__name__)


class DecodedImages:
    """Looks up the pixels of rows in blocks, which all processes of a machine map.

    A block that is absent or damaged, and an image whose checksum is another one when it is first
    read, count as not there: its image is decoded again, whenever it is needed. It can be
    pickled, for workers that are spawned.

    Args:
        paths: The blocks.
        keys: (N,) of :data:`mlt.keyed_files.KEY`, those of the rows.
        check: Whether to compare checksums; memory that this very run has written needs none.
        keeps: What has to live as long as this object does, such as the owner of the blocks.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        keys: NDArray[np.bytes_],
        check: bool,
        keeps: object = None,
    ) -> None:
        self.paths = list(paths)
        self.keys = keys
        self.check = check
        self._keeps = keeps
        self._map()

    def _map(self) -> None:
        self._blocks: list[Block] = []
        self._block = np.full(len(self.keys), -1, np.int32)
        self._place = np.zeros(len(self.keys), np.int64)
        self._checked = np.full(len(self.keys), not self.check)
        for path in self.paths:
            try:
                block = map_block(path)
            except DataError as error:
                drop_file(path, str(error))
                continue
            except OSError:  # another process has made room
                continue
            rows, places = match_rows(self.keys, self._block < 0, block.images["key"])
            if len(rows):
                self._block[rows], self._place[rows] = len(self._blocks), places
                self._blocks.append(block)

    @property
    def missing(self) -> NDArray[np.bool_]:
        """(N,) which rows are not there."""
        return self._block < 0

    @property
    def size(self) -> int:
        """Bytes of the blocks that are in use."""
        return sum(block.pixels.nbytes for block in self._blocks)

    def get(self, row: int) -> torch.Tensor | None:
        """The pixels of a row, (3, H, W) uint8, which may be written to; None if not there."""
        number = self._block[row]
        if number < 0:
            return None
        block, place = self._blocks[number], int(self._place[row])
        if not self._checked[row]:
            if not block.is_sound(place):
                logger.warning("%s is damaged; an image of it is decoded again", block.path)
                self._block[row] = -1
                return None
            self._checked[row] = True
        return block.read(place)

    def __getstate__(self) -> dict[str, Any]:
        return {"paths": self.paths, "keys": self.keys, "check": self.check}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._map()
