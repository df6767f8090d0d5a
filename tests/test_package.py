"""The package as it is built: nothing is left out of the wheel."""

from __future__ import annotations

import configparser
from pathlib import Path


def test_every_package_and_the_configurations_are_in_the_wheel(repository: Path) -> None:
    setup = configparser.ConfigParser()
    setup.read(repository / "setup.cfg")
    listed = setup["options"]["packages"].split()
    files = (repository / "mlt").rglob("__init__.py")
    found = {".".join(f.parent.relative_to(repository).parts) for f in files}
    assert set(listed) == found | {"mlt.configs"}
    assert setup["options"]["package_dir"].split() == ["mlt.configs", "=", "configs"]
    assert list((repository / "configs").glob("*.yaml"))
