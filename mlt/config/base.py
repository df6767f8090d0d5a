"""The base of every configuration model: frozen, strict about keys, kind about numbers."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

__all__ = ["Strict"]


class Strict(BaseModel):
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
