"""The Python of docs/losses.md runs, without a warning."""

from __future__ import annotations

import re
import warnings
from pathlib import Path


def test_the_blocks_of_the_page_run(repository: Path) -> None:
    page = (repository / "docs" / "losses.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for block in blocks:
            exec(block, {"__name__": "docs"})
