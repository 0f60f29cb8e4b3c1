"""What is compiled before anything is measured: byte code for both Pythons, programs for Go."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from .field import PROGRAMS, Contender

GO_PATH = Path("/usr/share/gocode")

_OURS = "import airless, crawlers; print(*airless.__path__, *crawlers.__path__, sep='\\n')"
_LIBRARIES = "import sysconfig; print(*map(sysconfig.get_path, ('purelib', 'stdlib')), sep='\\n')"
# The library's own tests take a minute.
_SKIPPED = "/(test|tests|idlelib|lib2to3|turtledemo)/"


def environment(cache: Path) -> dict[str, str]:
    """Where contenders run: no proxies, airless as it is by default, and byte code in a folder of ours."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "AIRLESS_")) and not name.lower().endswith("_proxy")
    }
    return kept | {"PYTHONPYCACHEPREFIX": str(cache / "pycache")}


def compile_python(python: Path, cache: Path, *, ours: bool = False) -> None:
    """Byte code of a Python's library and packages and of the contenders; with `ours`, of airless too."""
    folders = [str(PROGRAMS), *_printed(python, _LIBRARIES), *(_printed(python, _OURS) if ours else ())]
    command = [str(python), "-m", "compileall", "-qq", "-x", _SKIPPED, *folders]
    # Packages carry templates that are no Python, so its exit code says nothing.
    subprocess.run(command, env=environment(cache), check=False, stderr=subprocess.DEVNULL)


def compile_all(peers: Path | None, contenders: Iterable[Contender], cache: Path) -> None:
    """All that the contenders run on. `peers` is their Python, None where none of them needs it."""
    compile_python(Path(sys.executable), cache, ours=True)
    if peers is not None:
        compile_python(peers, cache)
    for contender in contenders:
        if contender.sources:
            _build(contender, cache)


def _build(contender: Contender, cache: Path) -> None:
    command = ["go", "build", "-tags", contender.tags, "-o", str(cache / contender.name), "."]
    settings = {"GO111MODULE": "off", "GOPATH": str(GO_PATH), "GOCACHE": str(cache / "gocache")}
    subprocess.run(command, cwd=PROGRAMS / "go", env=os.environ | settings, check=True)


def _printed(python: Path, code: str) -> list[str]:
    done = subprocess.run([str(python), "-c", code], check=True, capture_output=True, text=True)
    return done.stdout.splitlines()
