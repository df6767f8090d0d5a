"""The base of every configuration model: frozen, strict about keys, kind about numbers."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

__all__ = ["Strict"]


class Strict(BaseModel):
    """A configuration section: immutable, without unknown keys, with documented fields."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        # Numbers keep pydantic's lax mode on purpose: PyYAML reads `1e-4` as a string.
        strict=False,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        validate_default=True,
        protected_namespaces=(),
    )
