"""The errors a user can cause and can fix.

Each derives from :class:`UserError` and from the built-in exception a caller would expect. The
command line prints them as one message and exits with code 2; every other exception is a bug and
keeps its traceback.
"""

from __future__ import annotations

__all__ = [
    "CheckpointError",
    "ConfigError",
    "DataError",
    "MissingFileError",
    "OtherProcessError",
    "OutputExistsError",
    "TrainingError",
    "UserError",
]


class UserError(Exception):
    """Something the user gave cannot be used; the message says what, why and what to do."""


class ConfigError(UserError, ValueError):
    """A configuration, an option or an argument is not acceptable."""


class DataError(UserError, ValueError):
    """Data or annotations contradict themselves, their format or each other."""


class MissingFileError(UserError, FileNotFoundError):
    """A file or folder that was asked for does not exist."""


class OutputExistsError(UserError, FileExistsError):
    """Writing would overwrite something that was there before."""


class CheckpointError(UserError, ValueError):
    """Weights or a checkpoint do not fit the model or the data they are used with."""


class TrainingError(UserError, ArithmeticError):
    """Training cannot go on, for example because the loss is not finite."""


class OtherProcessError(UserError, RuntimeError):
    """Another of several processes failed; it has said why."""
