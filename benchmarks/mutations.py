"""Bytes as damage, and as a fuzzer, makes them of sound ones."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np

__all__ = ["KINDS", "damaged", "mutated"]

_Random = np.random.Generator


def _flip(content: bytearray, random: _Random) -> None:
    content[random.integers(len(content))] ^= 1 << int(random.integers(8))


def _replace(content: bytearray, random: _Random) -> None:
    start, length = _span(content, random)
    content[start : start + length] = random.bytes(length)


def _delete(content: bytearray, random: _Random) -> None:
    start, length = _span(content, random)
    del content[start : start + length]


def _insert(content: bytearray, random: _Random) -> None:
    start, length = _span(content, random)
    content[start:start] = random.bytes(length)


def _truncate(content: bytearray, random: _Random) -> None:
    del content[random.integers(len(content)) :]


def _zero(content: bytearray, random: _Random) -> None:
    start, length = _span(content, random)
    content[start : start + length] = bytes(length)


KINDS: dict[str, Callable[[bytearray, _Random], None]] = {
    "flip": _flip,
    "replace": _replace,
    "delete": _delete,
    "insert": _insert,
    "truncate": _truncate,
    "zero": _zero,
}
"""Kinds of damage: one bit, one to 64 bytes at one place, or the end."""


def damaged(content: bytes, kind: str, random: np.random.Generator) -> bytes:
    """The content with one damage of a kind; never empty before, always another afterwards."""
    while True:
        copy = bytearray(content)
        KINDS[kind](copy, random)
        if copy != content:
            return bytes(copy)


def mutated(content: bytes, tokens: Sequence[bytes], random: np.random.Generator) -> bytes:
    """The content with one to five changes: damage, spans moved or repeated, other values.

    Args:
        content: Of a sound file.
        tokens: What is put in place of words and numbers, or between them.
        random: Decides everything.
    """
    copy = bytearray(content)
    for _ in range(random.integers(1, 6)):
        if not copy:
            break
        draw = random.random()
        if draw < 0.4:
            KINDS[str(random.choice(list(KINDS)))](copy, random)
        elif draw < 0.6:
            _repeat(copy, random)
        else:
            _put_token(copy, tokens[random.integers(len(tokens))], random)
    return bytes(copy)


def _span(content: bytearray, random: _Random) -> tuple[int, int]:
    start = int(random.integers(len(content)))
    return start, int(min(1 << random.integers(7), len(content) - start))


def _repeat(content: bytearray, random: _Random) -> None:
    """Insert a span of the content again, at another place, once or often."""
    start, length = _span(content, random)
    place = int(random.integers(len(content)))
    content[place:place] = content[start : start + length] * int(random.choice([1, 1, 2, 50]))


def _put_token(content: bytearray, token: bytes, random: _Random) -> None:
    words = list(re.finditer(rb"[\w.+-]+", content))
    if words and random.random() < 0.8:
        start, end = words[random.integers(len(words))].span()
    else:
        start = end = int(random.integers(len(content)))
    content[start:end] = token
