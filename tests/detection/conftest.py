"""Doubles of the frameworks that cannot be installed here."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def load_double() -> Callable[[str], ModuleType]:
    """Load a module of the folder `doubles` by its name."""

    def load(name: str) -> ModuleType:
        path = Path(__file__).parent / "doubles" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load
