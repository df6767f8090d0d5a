"""The command line: `mlt COMMAND`, `python -m mlt COMMAND` and `python tools/COMMAND.py`."""

from __future__ import annotations

import argparse
import errno
import importlib
import logging
import os
import sys
import warnings
from collections.abc import Sequence

from mlt import __version__
from mlt.cli.process import (
    PrintableFormatter,
    escape_unprintable,
    printable,
    printable_output,
    tune_process,
)
from mlt.errors import OtherProcessError, UserError

__all__ = ["main"]

# The module of each command has `DESCRIPTION`, `add_arguments(parser)` and `run(arguments) -> int`.
COMMANDS = {
    "inspect": "look at the data of a configuration before training",
    "train": "train and evaluate a model from a configuration",
    "find-lr": "suggest a learning rate, from the loss while the rate grows",
    "evaluate": "evaluate a checkpoint, or predictions that were saved",
    "compare": "train several configurations over several seeds and report what differs",
    "report": "write runs, or a comparison of runs, as one HTML file",
    "tune": "tune thresholds and calibration on validation images",
    "predict": "predict the labels of image files with a checkpoint",
    "explain": "show where the labels of image files were seen",
    "average": "average the weights of checkpoints (a model soup)",
    "export": "export a checkpoint to ONNX or torch.export",
    "embed-classes": "embed class names and descriptions with a text tower",
    "split": "cut one table into training, validation and test images, or into folds",
    "build-split": "build a long-tailed split from annotations",
    "show-sampler": "print how often a sampler will draw each class",
    "effective-number": "print effective numbers and class weights over beta, and recommend one",
    "configs": "list the configurations that come with mlt, or print one or their schema",
}

SHARED = ("train", "evaluate", "predict")
"""What several processes share out that torchrun starts."""

EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Arguments without the program's name; by default those of the process.

    Returns:
        The exit code: 0 done, 2 something the user can fix, 130 interrupted.
    """
    escape_unprintable()
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_overview())
        return 0 if arguments else EXIT_USER_ERROR
    if arguments[0] == "--version":
        print(f"mlt {__version__}")
        return 0
    name, *rest = arguments
    if name not in COMMANDS:
        from mlt.problems import did_you_mean

        print(f"mlt: no command {name!r}{did_you_mean(name, COMMANDS)}", file=sys.stderr)
        return EXIT_USER_ERROR
    module = importlib.import_module(f"mlt.cli.{name.replace('-', '_')}")
    parser = argparse.ArgumentParser(
        prog=_program(name),
        description=module.DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(parser)
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parsed, unknown = parser.parse_known_args(rest)
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}{_missing_set(parsed, unknown)}")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PrintableFormatter("%(message)s"))
    logging.basicConfig(handlers=[handler])
    logging.getLogger("mlt").setLevel(logging.INFO)  # other packages keep to warnings
    # A warning is for the user here, who has no use for the line of code that gave it.
    warnings.formatwarning = lambda message, *_, **__: printable(f"warning: {message}\n")
    rank, count = (int(os.environ.get(key, n)) for key, n in (("RANK", "0"), ("WORLD_SIZE", "1")))
    if count > 1 and name not in SHARED:
        if rank == 0:
            print(
                f"error: mlt {name} is work for one process; torchrun shares out mlt "
                f"{', '.join(SHARED)}",
                file=sys.stderr,
            )
        return EXIT_USER_ERROR
    if rank > 0:
        warnings.simplefilter("ignore")  # the first process says the same
    tune_process()
    return _guarded(module.run, parsed)


def _missing_set(parsed: argparse.Namespace, unknown: Sequence[str]) -> str:
    """A hint at ``--set``, where KEY=VALUE stands without it."""
    values = [word for word in unknown if "=" in word and not word.startswith("-")]
    return f"; did you mean --set {' '.join(values)}?" if values and "overrides" in parsed else ""


def _guarded(run, arguments: argparse.Namespace) -> int:  # type: ignore[no-untyped-def]
    """Turn what a user can fix into one message and exit code 2; let bugs keep their traceback."""
    try:
        with printable_output():
            return int(run(arguments))
    except OtherProcessError:
        if arguments.debug:
            raise
        return EXIT_USER_ERROR
    except UserError as error:
        if arguments.debug:
            raise
        print(printable(f"{_who()}error: {error}"), file=sys.stderr)
        return EXIT_USER_ERROR
    except KeyboardInterrupt:
        if arguments.debug:
            raise
        print("interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # `mlt ... | head`: the reader has seen enough; keep Python from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if arguments.debug or error.errno not in _ENVIRONMENT:
            raise
        where = f" ({error.filename})" if error.filename else ""
        print(printable(f"{_who()}error: {_ENVIRONMENT[error.errno]}{where}"), file=sys.stderr)
        return EXIT_USER_ERROR


def _who() -> str:
    """Which of several processes speaks, unless it is the first."""
    rank = os.environ.get("RANK", "0")
    return "" if rank == "0" else f"process {rank}: "


_ENVIRONMENT = {
    errno.ENOENT: "a file or folder is gone that was there when the command began",
    errno.ENOSPC: "no space left on the disk; what was finished before is untouched",
    getattr(errno, "EDQUOT", -1): "the disk quota is used up; what was finished is untouched",
    errno.EACCES: "no permission to read or write",
    errno.EROFS: "the file system is read-only",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
    errno.EISDIR: "this is a folder, not a file",
    errno.EEXIST: "this exists already",
    errno.ENAMETOOLONG: "the name is too long",
}


def _program(name: str) -> str:
    called = os.path.basename(sys.argv[0])  # noqa: PTH119 - only a name is shown
    if called == f"{name.replace('-', '_')}.py":
        return called
    return f"mlt {name}"


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = [
        "usage: mlt COMMAND [options]",
        "",
        "Long-tailed multi-label recognition: splits, losses, training, evaluation.",
        "",
        "commands:",
        *(f"  {name:{width}}  {text}" for name, text in COMMANDS.items()),
        "",
        "`mlt COMMAND --help` explains a command. Start with: mlt train digits_mlt_cb_focal",
    ]
    return "\n".join(lines)
