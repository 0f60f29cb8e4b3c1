"""Where benchmarks keep what is made once: generated sites, the peers' environment, compiled programs."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """A folder outside of the repository, made if need be; `XDG_CACHE_HOME` moves it."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "airless-benchmarks"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
