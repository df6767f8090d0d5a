"""A process killed before any one of its operations on files leaves the old run or the new one."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from mlt.files import atomic_write
from mlt.run_folder import RunFolder

EVENTS = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.link"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
LEFT: list[int] = []  # operations until the kill; empty: nobody is to be killed


class Killed(BaseException):
    """What is raised in place of each operation after the kill, those of cleaning up included."""


def _count(event: str, arguments: tuple[Any, ...]) -> None:
    opens = event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING
    if LEFT and (event in EVENTS or opens):
        if LEFT[0] == 0:
            raise Killed
        LEFT[0] -= 1


sys.addaudithook(_count)


def killed(work: Callable[[], None], operations: int) -> bool:
    """Do the work, which has no effect on files any more from operation ``operations`` on.

    On the folder that is as if its process were killed there, at a hundredth of the cost.
    benchmarks/kills.py kills processes.
    """
    LEFT.append(operations)
    try:
        work()
    except Killed:
        return True
    finally:
        LEFT.clear()
    return False


def write(file: Path, text: str) -> None:
    with atomic_write(file) as temporary:
        temporary.write_text(text)


def write_run(folder: RunFolder, name: str) -> None:
    """What training writes, in its order: every file says of which run it is."""
    write(folder.config, name)
    folder.log.write_text(name)
    for state in ("first", "second"):
        with atomic_write(folder.state) as temporary:
            temporary.write_text(f"{name} {state}")
            if folder.state.exists():
                folder.state.replace(folder.state_before)
        folder.forget_earlier()
        folder.forget_results()
        write(folder.last, name)
    folder.tensorboard.mkdir(exist_ok=True)
    (folder.tensorboard / "events").write_text(name)
    for file in (folder.predictions, folder.metrics):
        write(file, name)


def overwrite(path: Path) -> None:
    folder = RunFolder(path)
    folder.recover()
    folder.check(resume=False, overwrite=True)
    with folder.replacing():
        write_run(folder, "new")


def overwrite_and_fail(path: Path) -> None:
    folder = RunFolder(path)
    with suppress(KeyboardInterrupt), folder.replacing():
        write(folder.config, "new")
        folder.log.write_text("new")
        raise KeyboardInterrupt


def content(path: Path) -> dict[str, str]:
    return {
        str(file.relative_to(path)): file.read_text()
        for file in sorted(path.rglob("*"))
        if file.is_file() and not str(file.relative_to(path)).startswith(".")
    }


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "run"
    path.mkdir()
    write_run(RunFolder(path), "old")
    (path / "notes.txt").write_text("of the user")
    return path


def check(path: Path, before: dict[str, str]) -> str:
    """Which run is there, whole as far as it had got; called after ``recover``."""
    folder, now = RunFolder(path), content(path)
    assert now.pop("notes.txt") == "of the user"
    assert folder.has_state
    state = (folder.state if folder.state.exists() else folder.state_before).read_text()
    if state.startswith("old"):
        assert now == {name: text for name, text in before.items() if name != "notes.txt"}
        return "old"
    assert all(text.startswith("new") for name, text in now.items()), now
    return "new"


def test_killed_at_every_operation_of_an_overwrite_and_of_what_brings_the_run_back(
    old: Path, tmp_path: Path
) -> None:
    before, found, operations = content(old), [], 0
    while True:
        path = tmp_path / "copy"
        shutil.copytree(old, path)
        if not killed(lambda: overwrite(path), operations):  # noqa: B023
            break
        recoveries = 0
        while True:  # and the process that brings it back is killed, too, at each of its own
            again = tmp_path / "again"
            shutil.copytree(path, again)
            dies = killed(RunFolder(again).recover, recoveries)
            RunFolder(again).recover()
            found.append(check(again, before))
            shutil.rmtree(again)
            if not dies:
                break
            recoveries += 1
        shutil.rmtree(path)
        operations += 1
    assert operations > 40 and found[0] == "old" and found[-1] == "new"
    assert found == sorted(found, reverse=True)  # first the old one, from some point on the new


def test_killed_while_a_run_that_failed_makes_room_for_the_earlier_one(
    old: Path, tmp_path: Path
) -> None:
    before, operations = content(old), 0
    while True:
        path = tmp_path / "copy"
        shutil.copytree(old, path)
        dies = killed(lambda: overwrite_and_fail(path), operations)  # noqa: B023
        RunFolder(path).recover()
        assert check(path, before) == "old"
        shutil.rmtree(path)
        if not dies:
            break
        operations += 1
    assert operations > 20


def test_the_longest_name_a_file_may_have(tmp_path: Path) -> None:
    write(tmp_path / f"{'n' * 245}.json", "whole")
    assert [file.read_text() for file in tmp_path.iterdir()] == ["whole"]


def test_killed_runs_leave_no_temporary_files_for_ever(old: Path) -> None:
    for operations in range(0, 60, 3):
        killed(lambda: overwrite(old), operations)
    overwrite(old)
    left = [file.name for file in old.iterdir() if file.name.startswith(".")]
    assert left in ([], [".lock"])
