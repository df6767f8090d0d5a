"""Where the quotation marks of a CSV file are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias

import numpy as np

__all__ = ["Quoting", "find_quoting"]

Quoting: TypeAlias = Literal["none", "cells", "mixed"]
"""No quotation marks; marks around whole cells alone, doubled within them; or marks elsewhere."""

_MARK = b'"'
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def find_quoting(blocks: Iterable[bytes], delimiter: str) -> Quoting:
    r"""Say what the quotation marks of a file are around.

    Args:
        blocks: Its bytes, in UTF-8.
        delimiter: Between cells, an ASCII character.

    Example:
        >>> find_quoting([b'path,labels\na.jpg,"cat,', b'dog"\n"say ""b"".jpg",cow\n'], ",")
        'cells'
        >>> find_quoting([b'path,labels\n5" nail.jpg,nail\n'], ",")
        'mixed'
    """
    may_be_beside = np.zeros(256, np.bool_)
    may_be_beside[list(_MARK + delimiter.encode() + b"\r\n")] = True
    marks = 0
    # Each block is looked at with a byte before and one after it.
    held = b"\n"
    for block in _with_end(blocks):
        text = held + block
        held = text[-2:]
        if _MARK not in text:
            continue
        values = np.frombuffer(text, np.uint8)
        places = np.flatnonzero(values[1:-1] == ord(_MARK)) + 1
        # A mark opens or closes in turn; a doubled one closes and opens again.
        opens = (np.arange(len(places)) + marks) % 2 == 0
        if not may_be_beside[values[np.where(opens, places - 1, places + 1)]].all():
            return "mixed"
        marks += len(places)
    return "none" if not marks else "mixed" if marks % 2 else "cells"


def _with_end(blocks: Iterable[bytes]) -> Iterable[bytes]:
    for number, block in enumerate(blocks):
        yield block if number else block.removeprefix(_BYTE_ORDER_MARK)
    yield b"\n"
