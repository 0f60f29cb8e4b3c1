"""What a test loads from its folder is importable for it alone."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def own_imports(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Loading a target puts its folder on the path, where it would hide what comes after."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if "pytest-of" in str(getattr(sys.modules[name], "__file__", None)):
            del sys.modules[name]
