"""The package as it is built: nothing is left out of the wheel."""

from __future__ import annotations

import configparser
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import mlt


def test_every_package_and_the_configurations_are_in_the_wheel(repository: Path) -> None:
    setup = configparser.ConfigParser()
    setup.read(repository / "setup.cfg")
    listed = setup["options"]["packages"].split()
    files = (repository / "mlt").rglob("__init__.py")
    found = {".".join(f.parent.relative_to(repository).parts) for f in files}
    assert set(listed) == found | {"mlt.configs"}
    assert setup["options"]["package_dir"].split() == ["mlt.configs", "=", "configs"]
    assert list((repository / "configs").glob("*.yaml"))


def public_objects() -> Iterator[tuple[str, object]]:
    """Every function and class that a module of mlt lists in `__all__`, with its name."""
    for found in pkgutil.walk_packages(mlt.__path__, "mlt."):
        if found.name == "mlt.__main__":
            continue  # importing it runs it
        try:
            module = importlib.import_module(found.name)
        except ImportError:
            continue  # a framework that is not installed
        for name in getattr(module, "__all__", ()):
            value = getattr(module, name)
            if inspect.isclass(value) or inspect.isfunction(value):
                yield f"{found.name}.{name}", value


def test_all_that_is_public_has_a_docstring() -> None:
    public = dict(public_objects())
    assert "mlt.data.sources.published.how_to_get" in public
    # Not inspect.getdoc, which would find the docstring of a class's parent.
    assert [name for name, value in public.items() if not value.__doc__] == []
