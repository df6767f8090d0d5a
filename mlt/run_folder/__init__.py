"""The run folder: what is in it, and that nothing in it is lost by accident."""

from mlt.run_folder.environment import environment
from mlt.run_folder.folder import RunFolder

__all__ = ["RunFolder", "environment"]
