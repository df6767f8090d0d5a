"""What else holds for README, pages and notebooks."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import mlt

REPOSITORY = Path(__file__).resolve().parents[2]
README = REPOSITORY / "README.md"
NOTEBOOKS = sorted((REPOSITORY / "docs" / "notebooks").glob("*.ipynb"))


def test_the_readme_is_short() -> None:
    assert len(README.read_text().splitlines()) <= 150


def test_links_of_the_readme_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", README.read_text())
    files = [link for link in links if not link.startswith("http")]
    assert files
    assert [link for link in files if not (REPOSITORY / link).exists()] == []


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_are_kept_without_output(notebook: Path) -> None:
    """So that they can be reviewed, and are executed whenever the site is built."""
    cells = [c for c in json.loads(notebook.read_text())["cells"] if c["cell_type"] == "code"]
    assert cells
    assert [c["outputs"] for c in cells if c["outputs"]] == []
    assert {c["execution_count"] for c in cells} == {None}


def test_the_reference_of_the_losses_is_complete() -> None:
    page = (REPOSITORY / "docs" / "api" / "losses.md").read_text()
    named = set(re.findall(r"^.. auto(?:class|function):: (\w+)$", page, re.MULTILINE))
    assert named == set(mlt.losses.__all__)


def test_the_reference_names_everything_that_import_mlt_gives() -> None:
    page = (REPOSITORY / "docs" / "api" / "mlt.md").read_text()
    assert [
        name for name in mlt.__all__ if f"mlt.{name}" not in page and f"`{name}`" not in page
    ] == []
