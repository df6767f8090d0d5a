"""Kill training at random moments and before each of its operations on files; count what is lost.

    python benchmarks/kills.py [--kills 25] [--signals 16] [--every 1] [--seed 0]

Trains a tiny net on scenes of the embedded data, with averaged weights, a loss that carries state,
two processes that load images, and a state saved every five updates. Each run is a process group of
its own, ended by a real signal to the group. Prints Markdown. The exit code is 1 if a run that went
on ended with other weights, results or history than the run that nobody disturbed, if more work was
lost than the interval, or if a finished run was lost.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # forked processes cannot use the threads of their parent

import argparse
import hashlib
import json
import logging
import mmap
import platform
import shutil
import signal
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file
from torch.optim.optimizer import register_optimizer_step_post_hook

import mlt.engine.train  # noqa: F401 - here, not in each of the hundreds of forked processes
from mlt.cli import main as run_command
from mlt.data.digits import write_digits
from mlt.predictions import Predictions
from mlt.run_folder import RunFolder

INTERVAL = 5  # updates between two states
EPOCHS, BATCHES = 3, 48  # of each epoch, where moments are random
FILE_EVENTS = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.link"}


@dataclass
class Process:
    """A forked process that trains, in a group of its own."""

    pid: int
    _updates: mmap.mmap
    started: float = field(default_factory=time.perf_counter)

    @property
    def updates(self) -> int:
        """Steps that its optimizer has done."""
        return struct.unpack("q", self._updates[:])[0]

    def wait(self) -> int:
        """Its exit code; negative for the signal that ended it."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def start(work: Callable[[], Any], log: Path, dies_before: int | None = None) -> Process:
    """Do the work in a process; perhaps one killed before its operation number ``dies_before``."""
    updates = mmap.mmap(-1, 8)  # shared with the child
    sys.stdout.flush()  # or the child would print it, too
    child = os.fork()
    if child:
        return Process(child, updates)
    code = 70
    try:
        os.setsid()
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(output, 1)
        os.dup2(output, 2)
        logging.getLogger().handlers.clear()
        done = 0

        def count(*_: object) -> None:
            nonlocal done
            done += 1
            updates[:] = struct.pack("q", done)

        register_optimizer_step_post_hook(count)
        if dies_before is not None:
            sys.addaudithook(_Killer(dies_before))
        code = int(work() or 0)
    finally:
        sys.stdout.flush()
        os._exit(code)


class _Killer:
    """Kills the process before one of its operations on files."""

    def __init__(self, operations: int) -> None:
        self.left = operations

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
        opens = event == "open" and isinstance(arguments[2], int) and arguments[2] & writing
        if event in FILE_EVENTS or opens:
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            self.left -= 1


class Bench:
    """Runs of one configuration side by side in a folder."""

    def __init__(self, root: Path, epochs: int, batches: int, workers: int) -> None:
        root.mkdir()
        self.root = root
        self.log = root / "log.txt"
        data = write_digits(root / "data", train_scenes=4 * batches, test_scenes=32)
        self.config = root / "run.yaml"
        parts = {
            part: {"annotations": f"annotations/instances_{part}.json", "images": part}
            for part in ("train", "test")
        }
        values = {
            "device": "cpu",
            "data": {"name": "coco", "root": str(data), **parts},
            "transforms": {"name": "plain", "size": 32, "shift": 2},
            "model": {"backbone": "test_resnet", "weights": "none"},
            "loss": {"preset": "eqlv2"},
            "training": {
                "epochs": epochs,
                "batch_size": 4,
                "workers": workers,
                "ema_decay": 0.9,
                "save_every": {"updates": INTERVAL},
            },
        }
        self.config.write_text(json.dumps(values))  # JSON is YAML

    def train(self, folder: Path, *options: str, seed: int = 0) -> Callable[[], int]:
        """The command that trains in a folder, to be run in a process."""
        place = ["--output", str(folder), "--set", f"seed={seed}"]
        return lambda: run_command(["train", str(self.config), *place, *options])

    def done(self, work: Callable[[], Any], expected: int = 0) -> Process:
        """Do the work undisturbed, to its end."""
        process = start(work, self.log)
        code = process.wait()
        if code != expected:
            sys.exit(f"exit code {code}, expected {expected}:\n{self.log.read_text()[-3000:]}")
        return process


def end_of(folder: Path) -> str:
    """A digest of all that a run ends with: weights, predictions, results, history."""
    run, digest = RunFolder(folder), hashlib.sha256()
    predictions = Predictions.load(run.predictions)
    tensors = {
        f"{file.name} {name}": tensor
        for file in (run.last, run.best)
        for name, tensor in load_file(file).items()
    } | {"logits": predictions.logits, "targets": predictions.targets}
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tensor.shape}".encode())
        digest.update(np.ascontiguousarray(tensor).tobytes())
    digest.update(run.metrics.read_bytes())
    digest.update(json.dumps(run.read_history()).encode())
    return digest.hexdigest()[:12]


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a run."""
    files = (file for file in folder.rglob("*") if file.is_file() and file.name != ".lock")
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def random_moments(
    bench: Bench, number: int, kind: signal.Signals, rng: np.random.Generator, pause: float
) -> Iterator[tuple[int, int, int, bool]]:
    """End a run within an epoch and go on, each time.

    Yields:
        Updates done at the signal, of those what the next start found saved, the exit code, and
        whether the end is the same as without.
    """
    folder = bench.root / "random"
    total, expected = EPOCHS * BATCHES, end_of(bench.root / "whole")
    within = [update for update in range(1, total) if update % BATCHES]
    for target in rng.choice(within, number, replace=number > len(within)):
        shutil.rmtree(folder, ignore_errors=True)
        process = start(bench.train(folder), bench.log)
        while process.updates < target:
            time.sleep(0.0002)
        time.sleep(rng.uniform(0, pause))
        os.killpg(process.pid, kind)
        code = process.wait()
        done = process.updates
        again = bench.done(bench.train(folder, "--auto-resume"))
        yield done, total - again.updates, code, end_of(folder) == expected


def each_operation(
    bench: Bench, prepare: Callable[[Path], None], work: Callable[[Path], Callable[[], Any]],
    judge: Callable[[Path], str], every: int,
) -> Counter[str]:  # fmt: skip
    """Kill the work before each of its operations on files; what is found after each."""
    found: Counter[str] = Counter()
    operations = 0
    while True:
        folder = bench.root / "operation"
        shutil.rmtree(folder, ignore_errors=True)
        prepare(folder)
        process = start(work(folder), bench.log, dies_before=operations)
        if process.wait() != -signal.SIGKILL:
            return found
        found[judge(folder)] += 1
        operations += every


def file_operations(bench: Bench, every: int) -> dict[str, Counter[str]]:
    """Kills before each operation of a run, a resume, an overwrite and a restore."""
    old, new, begun = (bench.root / name for name in ("old", "new", "begun"))
    bench.done(bench.train(old))
    bench.done(bench.train(new, seed=1))
    operations = 0
    while not RunFolder(begun).has_state:
        operations += 3
        shutil.rmtree(begun, ignore_errors=True)
        start(bench.train(begun), bench.log, dies_before=operations).wait()
    before, aside = content(old), []

    def goes_on(folder: Path, like: Path, option: str, seed: int = 0) -> str:
        bench.done(bench.train(folder, option, seed=seed))
        return "same end" if end_of(folder) == end_of(like) else "LOST: another end"

    def overwritten(folder: Path) -> str:
        if not RunFolder(folder).has_state:
            aside.append(shutil.copytree(folder, bench.root / f"aside{len(aside)}"))
        bench.done(bench.train(folder), expected=2)  # brings back, and refuses
        if content(folder) == before:
            return "old run, whole"
        if not RunFolder(folder).has_state:
            return "LOST: neither run"
        ends = goes_on(folder, new, "--resume", seed=1)
        return "new run, same end" if ends == "same end" else ends

    def restored(folder: Path) -> str:
        bench.done(RunFolder(folder).recover)
        return "old run, whole" if content(folder) == before else "LOST: the old run"

    copy = lambda source: lambda folder: shutil.copytree(source, folder)  # noqa: E731
    found = {
        "a run": each_operation(
            bench, lambda folder: None, lambda folder: bench.train(folder),
            lambda folder: goes_on(folder, old, "--auto-resume"), every,
        ),
        "a resume": each_operation(
            bench, copy(begun), lambda folder: bench.train(folder, "--resume"),
            lambda folder: goes_on(folder, old, "--resume"), every,
        ),
        "an overwrite": each_operation(
            bench, copy(old), lambda folder: bench.train(folder, "--overwrite", seed=1),
            overwritten, every,
        ),
        "a restore": Counter(),
    }  # fmt: skip
    for torn in aside:
        found["a restore"] += each_operation(
            bench, copy(torn), lambda folder: RunFolder(folder).recover, restored, every
        )
    return found


def main() -> int:
    """Kill, count and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--kills", type=int, default=25, help="kills at random moments")
    parser.add_argument("--signals", type=int, default=16, help="of SIGTERM, and of SIGINT")
    parser.add_argument("--every", type=int, default=1, help="each operation on files, or fewer")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    began, rng = time.perf_counter(), np.random.default_rng(options.seed)
    with tempfile.TemporaryDirectory() as root:
        bench = Bench(Path(root) / "random", EPOCHS, BATCHES, workers=2)
        whole = bench.done(bench.train(bench.root / "whole"))
        pause = (time.perf_counter() - whole.started) / whole.updates  # about one update
        sound = True
        print(
            "| killed in epoch | updates done | saved | lost | end |\n| ---: " + "| ---: " * 4 + "|"
        )
        losses, same = [], 0
        for done, saved, code, is_same in random_moments(
            bench, options.kills, signal.SIGKILL, rng, pause
        ):
            losses.append(done - saved)
            same += is_same and code == -signal.SIGKILL
            end = "same" if is_same else "OTHER"
            print(f"| {done // BATCHES + 1} | {done} | {saved} | {done - saved} | {end} |")
        sound &= same == options.kills and max(losses, default=0) <= INTERVAL
        print(
            f"\n{options.kills} kills within epochs of {BATCHES} updates: {same} ends bit for bit "
            f"the same; lost at most {max(losses, default=0)} updates, {np.mean(losses):.1f} on "
            f"average, with save_every: {{updates: {INTERVAL}}}"
        )
        for kind in (signal.SIGTERM, signal.SIGINT):
            ends = list(random_moments(bench, options.signals, kind, rng, pause))
            saved_all = sum(code == 130 and done == saved for done, saved, code, _ in ends)
            same = sum(is_same for *_, is_same in ends)
            sound &= saved_all == same == options.signals
            print(
                f"{options.signals} {kind.name} to the group: {saved_all} saved every update and "
                f"left with exit code 130, {same} ends the same"
            )
        print("\n| killed before each operation on files of | kills | found | lost |")
        print("| --- | ---: | --- | ---: |")
        small = Bench(Path(root) / "operations", epochs=1, batches=8, workers=0)
        for what, found in file_operations(small, options.every).items():
            kinds = ", ".join(f"{number} {kind}" for kind, number in sorted(found.items()))
            lost = sum(number for kind, number in found.items() if kind.startswith("LOST"))
            sound &= lost == 0 and found.total() > 0
            print(f"| {what} | {found.total()} | {kinds} | {lost} |")
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    took = time.perf_counter() - began
    print(f"\n`{' '.join(['python', *sys.argv])}`, {date.today()}, {machine}, {took:.0f} s")
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
