"""Whether data lies one folder below the root that was given."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

__all__ = ["hint_of_folder_below"]

_FOLDERS = 1000
"""How many folders are looked into."""


def hint_of_folder_below(root: Path, missing: str | Path) -> str:
    """The end of a sentence that names a folder of the root that has a missing file.

    Args:
        root: Where the file was expected.
        missing: The file, relative to the root.

    Returns:
        Empty if there is none.

    Example:
        >>> import tempfile
        >>> root = Path(tempfile.mkdtemp())
        >>> (root / "CheXpert").mkdir()
        >>> (root / "CheXpert" / "train.csv").touch()
        >>> hint_of_folder_below(root, "train.csv").replace(str(root), "data")
        '; it is in data/CheXpert: --set data.root=data/CheXpert'
        >>> hint_of_folder_below(root, "test.csv")
        ''
    """
    if not root.is_dir() or Path(missing).is_absolute():
        return ""
    folders = islice((folder for folder in root.iterdir() if folder.is_dir()), _FOLDERS)
    found = next((folder for folder in sorted(folders) if (folder / missing).exists()), None)
    return "" if found is None else f"; it is in {found}: --set data.root={found}"
