"""Every Python, YAML and shell block of README and pages is run, in the order of the page."""

from __future__ import annotations

import argparse
import contextlib
import glob
import importlib
import re
import shlex
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import SkipTest

import matplotlib as mpl
import pytest
from sybil import Document, Example
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import CodeBlockParser, SkipParser
from sybil.parsers.markdown.lexers import FencedCodeBlockLexer

from mlt.cli import COMMANDS, main
from mlt.config import parse_config
from mlt.config.load import load_config
from mlt.config.yaml_text import parse_yaml

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
PAGES = [page for page in PAGES if "generated" not in page.parts]

# Shell lines that are not run, by how they begin, with the reason. Of these, too, the arguments of
# our own commands are parsed. A line that is not here is run.
NOT_RUN = {
    "git clone": "needs the network",
    "cd mlt": "needs the clone",
    "python -m venv": "installs",
    "source .venv/bin/activate": "needs the environment that is made by hand",
    "pip install": "installs",
    "make": "installs, trains or tests for minutes",
    "mypy": "`make types` runs it",
    "ruff": "`make lint` runs it",
    "python -m pytest": "`make tests` runs it",
    "mlt train digits_mlt_cb_focal": "trains for a minute",
    "python benchmarks/large_tables.py": "reads tables of gigabytes",
    "python benchmarks/loader.py": "needs COCO's photographs",
    "mlt train my.yaml --set data.root=data/own output=runs/mine": "trains for minutes",
    "mlt train my.yaml --set data.root=data/own --output runs/mine": "trains for minutes",
    "mlt train my.yaml --set data.cache=disk data.cache_size=50": "trains as the line before",
    "torchrun": "tests/engine/test_several_processes.py runs it",
    "mlt find-lr": "tests/engine/test_find_lr.py runs it",
    "mlt compare": "trains for minutes",
    "mlt report runs/digits/*-seed*": "needs what `mlt compare` trained",
    "mlt tune": "needs a run of the recipe, which trains for minutes",
    "mlt evaluate my.yaml --predictions scores.csv": "needs scores of the test images of my.yaml",
    "mlt evaluate my.yaml": "needs a run of the recipe, which trains for minutes",
    "mlt evaluate runs/seed0": "needs runs of three seeds; tests/engine/test_views.py runs it",
    "mlt average": "needs runs of three seeds; tests/engine/test_soup.py runs it",
    "mlt embed-classes": "downloads weights; tests/language runs it on a file of random ones",
    "mlt train my_text.yaml": "needs the file that the line before it would write",
    "mlt export": "takes more than ten seconds; tests/inference/test_export.py exports",
    "python tools/report.py runs/bce-seed*": "needs what `mlt compare` trained",
    "mlt train known_data": "needs data sets that are not part of mlt",
    "mlt train cifar10_lt_cb_softmax": "needs CIFAR-10, as the line of cifar10_lt_ce",
    "mlt train cifar10_lt_fast": "needs CIFAR-10; tests/config/test_cifar_fast.py runs it",
    "python benchmarks/cifar_lt.py": "needs CIFAR-10, and trains for hours",
    "python benchmarks/recipe.py": "needs photographs, and trains for an hour",
    "python benchmarks/fine_tuning.py": "needs photographs, and trains for an hour",
    "mlt train cifar10_lt_ce": "needs CIFAR-10; tests/config/test_one_label_configs.py runs it",
    "mlt train own_data_coco": "needs photographs, and trains for a minute",
    "mlt train coco_mlt": "needs COCO's photographs",
    "mlt train voc_mlt": "needs VOC's photographs",
    "mlt evaluate voc_mlt": "needs VOC's photographs",
    "mlt evaluate --predictions runs/voc_mlt": "needs VOC's photographs",
    "mlt report runs/voc_mlt": "needs VOC's photographs",
    "mlt build-split coco-mlt": "needs COCO's annotations",
    "mlt build-split voc-mlt": "needs VOC's annotations",
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
@pytest.mark.usefixtures("workplace")
def test_every_block_runs(page: Path) -> None:
    mpl.use("agg")
    for example in blocks(page):
        with contextlib.suppress(SkipTest):
            example.evaluate()


def test_every_reason_is_needed() -> None:
    lines = [line for page in PAGES for line in shell_lines_of(page)]
    unused = [start for start in NOT_RUN if not any(line.startswith(start) for line in lines)]
    assert not unused


def test_blocks_name_a_language_that_is_run_or_plain_text() -> None:
    known = {"python", "bash", "yaml", "text", "{eval-rst}", "{toctree}", "{include}"}
    fences = FencedCodeBlockLexer(language=r".*")
    for page in PAGES:
        regions = fences(Document.parse(str(page)))
        found = {region.lexemes["language"].partition(" ")[0] for region in regions}
        assert found <= known, page


def test_every_block_that_is_skipped_says_why() -> None:
    skips = [line for page in PAGES for line in page.read_text().splitlines() if "skip:" in line]
    assert [
        line for line in skips if not re.fullmatch(r"""<!-- skip: next "[^"]+" -->""", line)
    ] == []


def blocks(page: Path) -> Iterator[Example]:
    """The blocks of a page, from top to bottom; Python shares one namespace."""
    parsers: list[Any] = [
        CodeBlockParser("python", run_python),
        CodeBlockParser("yaml", run_yaml),
        CodeBlockParser("bash", run_shell),
        SkipParser(),
    ]
    return iter(Document.parse(str(page), *parsers).examples())


def run_python(example: Example) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        PythonEvaluator()(example)


def run_yaml(example: Example) -> None:
    """Sections of a configuration must be valid in one."""
    whole = load_config("digits_mlt_bce").model_dump(mode="json")
    parse_config(whole | parse_yaml(example.parsed), source=example.path)


def run_shell(example: Example) -> None:
    for line in shell_lines(example.parsed):
        run_line(line)


def run_line(line: str) -> None:
    """Run a command of ours in this process: a new one would import torch for seconds each time."""
    is_run = not any(line.startswith(start) for start in NOT_RUN)
    words = shlex.split(line, comments=True)
    words, target = (words[:-2], words[-1]) if ">" in words else (words, None)
    command, arguments = our_command(words)
    if command is None:
        assert not is_run, f"{line!r} is not a command of ours: list it in NOT_RUN with the reason"
        return
    parse(command, arguments)
    if not is_run:
        return
    with contextlib.ExitStack() as stack:
        if target is not None:
            file = stack.enter_context(Path(target).open("w"))
            stack.enter_context(contextlib.redirect_stdout(file))
        try:
            code = main([command, *expanded(arguments)])
        except SystemExit as end:  # --help
            code = end.code
    assert code == 0, line


def our_command(words: list[str]) -> tuple[str | None, list[str]]:
    """`mlt NAME ...`, under torchrun too, and `python tools/NAME.py ...`; None for all else."""
    if words[0] == "torchrun" and "mlt" in words:
        words = words[words.index("mlt") :]
    if words[0] == "mlt":
        return words[1], words[2:]
    if words[0] == "python" and words[1].startswith("tools/"):
        assert (REPOSITORY / words[1]).is_file(), words[1]
        return Path(words[1]).stem.replace("_", "-"), words[2:]
    return None, []


def parse(command: str, arguments: list[str]) -> None:
    """Options that do not exist fail here."""
    assert command in COMMANDS, command
    module = importlib.import_module(f"mlt.cli.{command.replace('-', '_')}")
    parser = argparse.ArgumentParser(exit_on_error=False)
    module.add_arguments(parser)
    if "--help" not in arguments:
        parser.parse_args(arguments)


def expanded(words: list[str]) -> list[str]:
    """Arguments with the patterns that a shell expands; it would leave those in quotes to us."""
    return [found for word in words for found in (sorted(glob.glob(word)) or [word])]  # noqa: PTH207


def shell_lines(text: str) -> list[str]:
    lines = text.replace("\\\n", " ").splitlines()
    commands = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    return [part.strip() for line in commands for part in line.split("&&")]


def shell_lines_of(page: Path) -> list[str]:
    parser = CodeBlockParser("bash", evaluator=lambda _: None)
    examples = Document.parse(str(page), parser).examples()
    return [line for example in examples for line in shell_lines(example.parsed)]
