"""The real pages: the documentation of Python's library, as Debian ships it."""

from __future__ import annotations

from pathlib import Path

PYTHON_DOC = Path("/usr/share/doc/python3-doc/html")
_QUICK = 8


def library(root: Path = PYTHON_DOC, *, quick: bool = False) -> list[Path]:
    """A page a module; with `quick` every eighth. Raises SystemExit, saying how to get them, where there are none."""
    files = sorted((root / "library").glob("*.html"))
    if not files:
        raise SystemExit(f"There are no pages in {root}: apt-get install python3-doc")
    return files[::_QUICK] if quick else files
