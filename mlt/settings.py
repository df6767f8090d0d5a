"""The base of every configuration model: frozen, strict about keys, kind about numbers."""

from __future__ import annotations

import os.path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

__all__ = ["Settings", "UserPath"]

UserPath = Annotated[str, AfterValidator(os.path.expanduser)]
"""A file or folder; ``~`` is the home folder, as in a shell."""


class Settings(BaseModel):
    """A configuration section: immutable, without unknown keys, with documented fields."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        # Files are validated strictly, see `mlt.config.load`; Python code may pass a list.
        strict=False,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        validate_default=True,
        protected_namespaces=(),
    )
