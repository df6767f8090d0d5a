"""The digest that a run writes into its configuration, which stays a text for people."""

from __future__ import annotations

import hashlib
import re

__all__ = ["is_as_written", "with_digest_line"]

_LINE = "# sha256 of what follows: "
_WRITTEN = re.compile(rb"(?:\xef\xbb\xbf)?" + _LINE.encode() + rb"([0-9a-f]{64})\n(.*)", re.DOTALL)


def with_digest_line(text: str) -> str:
    """The text below a comment with its SHA-256; above it, where no cut-off text loses it.

    Example:
        >>> is_as_written(with_digest_line("seed: 0").encode()), is_as_written(b"seed: 0")
        (True, True)
    """
    return f"{_LINE}{hashlib.sha256(text.encode()).hexdigest()}\n{text}"


def is_as_written(content: bytes) -> bool:
    """Whether a text is what its digest is of; texts of people and of earlier versions have none.

    Example:
        >>> is_as_written(with_digest_line("seed: 0").encode() + b"1")
        False
    """
    found = _WRITTEN.fullmatch(content.replace(b"\r\n", b"\n"))
    return found is None or hashlib.sha256(found[2]).hexdigest() == found[1].decode()
