"""Every reader of files, on files that are nearly right: nothing but a `UserError` comes out.

`MLT_FUZZ_SECONDS` is how long fuzzing takes, about: 60 by default, half of it here. The cases of a
reader are the same each time, and more with more time. What fails is kept in pytest's folder.
"""

from __future__ import annotations

import resource
import signal
import time
import traceback
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from mutations import mutated
from readers import READERS, SECONDS, TOKENS, Reader

from mlt.errors import UserError

LONGEST_CASE = 10.0
MOST_MEMORY = 3 << 30  # bytes, beyond what the process has when the reader begins

pytestmark = pytest.mark.slow


class Hangs(BaseException):
    """Not an `Exception`, which a reader would turn into an error of the user."""


@contextmanager
def limited() -> Iterator[None]:
    """Let a case neither hang nor take all memory; only the main thread can do this."""

    def stop(*_: object) -> None:
        raise Hangs(f"more than {LONGEST_CASE:g} s")

    earlier = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, LONGEST_CASE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, earlier)


@pytest.fixture
def little_memory() -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(
        resource.RLIMIT_AS, (pages * resource.getpagesize() + MOST_MEMORY, limits[1])
    )
    yield
    resource.setrlimit(resource.RLIMIT_AS, limits)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_nothing_but_user_errors(
    reader: Reader, tmp_path: Path, little_memory: None, capsys: pytest.CaptureFixture[str]
) -> None:
    random = np.random.default_rng(zlib.crc32(reader.name.encode()))
    sound = reader.prepare(tmp_path)
    cases = refused = 0
    faults: dict[str, str] = {}
    with limited(), warnings.catch_warnings(action="ignore"):
        reader.read(sound)  # a reader that refuses everything would prove nothing
    content = sound.read_bytes()
    end = time.perf_counter() + 0.5 * SECONDS / len(READERS)
    while time.perf_counter() < end and len(faults) < 20:
        case = mutated(content, TOKENS, random)
        sound.write_bytes(case)
        try:
            with limited():
                reader.read(sound)
        except UserError as error:
            assert str(error)
            refused += 1
        except BaseException as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            kind = f"{type(error).__name__} in {place.filename}, line {place.lineno}"
            if kind not in faults:
                kept = tmp_path / f"fault{len(faults)}{sound.suffix}"
                kept.write_bytes(case)
                faults[kind] = f"{kind}\n  case {cases}, {kept}\n  {str(error)[:200]}"
        cases += 1
    with capsys.disabled():
        print(f"\nfuzzing {reader.name}: {cases} cases, {refused} refused, {len(faults)} faults")
    assert not faults, "\n".join(faults.values())
    assert bool(refused) == reader.refuses
