"""The peers' environment: how it is made, what of it is missing, and which versions it has."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from . import docs
from .compiled import GO_PATH, compile_python
from .field import Contender

PACKAGES = ("scrapy", "crawlee[parsel,httpx]", "selectolax", "aiohttp", "uvloop", "orjson")

_NAMED = ("Scrapy", "Twisted", "lxml", "crawlee", "httpx", "httpx2", "aiohttp", "uvloop", "selectolax")
_DEBIAN = {
    "nginx": "nginx-light",
    "go": "golang-go",
    "golang.org/x/net/html": "golang-golang-x-net-dev",
    "github.com/PuerkitoBio/goquery": "golang-github-puerkitobio-goquery-dev",
    "openssl": "openssl",
    "taskset": "util-linux",
    "timeout": "coreutils",
}
_ASK_VERSIONS = """
import json, sys
from importlib.metadata import PackageNotFoundError, version
found = {}
for name in sys.argv[1:]:
    try:
        found[name] = version(name)
    except PackageNotFoundError:
        pass
print(json.dumps(found))
"""


def python_of(cache: Path) -> Path:
    """The Python of the environment that `make` makes."""
    return cache / "peers" / "bin" / "python"


def make(cache: Path) -> None:
    """Install the Python peers into an environment of their own, and say which Debian packages are missing."""
    python = python_of(cache)
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(cache / "peers")], check=True)
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    compile_python(python, cache)
    print(f"Peers: {python}", *(f"  {name} {found}" for name, found in versions(python).items()), sep="\n")
    lacking = [package for what, package in _DEBIAN.items() if not _there(what)]
    if lacking:
        print(f"Missing Debian packages: apt-get install {' '.join(lacking)}")
    lacking = docs.missing(docs.FOLDER)
    if lacking:
        print(f"Missing for --real: {docs.how_to_get(lacking)}")


def missing_tools(*, tls: bool) -> list[str]:
    """The Debian packages without which nothing can be measured."""
    needed = ("nginx", "taskset", "timeout", *(("openssl",) if tls else ()))
    return [_DEBIAN[tool] for tool in needed if not _there(tool)]


def missing(contenders: Iterable[Contender], python: Path) -> dict[str, str]:
    """Which of them can't run, and what they lack."""
    contenders = list(contenders)
    wanted = sorted({package for contender in contenders for package in contender.packages})
    installed = _versions(python, wanted) if wanted else {}
    found: dict[str, str] = {}
    for contender in contenders:
        lacking = [package for package in contender.packages if package not in installed]
        if contender.sources:
            lacking += [_DEBIAN[what] for what in ("go", *contender.sources) if not _there(what)]
        if lacking:
            found[contender.name] = ", ".join(lacking)
    return found


def versions(python: Path) -> dict[str, str]:
    """Of what is measured beside airless, and of what serves it; what isn't installed is left out."""
    found = _versions(python, _NAMED)
    if _there("nginx"):
        said = subprocess.run(["nginx", "-v"], check=True, capture_output=True, text=True).stderr
        found["nginx"] = said.rpartition("/")[2].strip()
    if _there("go"):
        said = subprocess.run(["go", "version"], check=True, capture_output=True, text=True).stdout
        found["go"] = said.split()[2]
    return found


def _versions(python: Path, names: Iterable[str]) -> dict[str, str]:
    if not python.exists():
        return {}
    command = [str(python), "-c", _ASK_VERSIONS, *names]
    found: dict[str, str] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return found


def _there(what: str) -> bool:
    """Whether a program, or the source of a Go package, is installed."""
    return shutil.which(what) is not None if "/" not in what else (GO_PATH / "src" / what).is_dir()
