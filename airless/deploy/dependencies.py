"""What the user's code and airless stand on: for the function's platform from the index, or from this machine."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from airless.core.errors import ConfigError
from airless.deploy.errors import DeployFailed

ARCHES = ("arm64", "x86_64")
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
# airless needs them on a user's machine only.
_NOT_ON_FUNCTIONS = frozenset({"click", "filelock", "rich"})
_MACHINES = {"arm64": "aarch64", "x86_64": "x86_64"}
_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(\[([^\]]*)\])?")
_EXTRA = re.compile(r"extra\s*==\s*['\"]([^'\"]+)['\"]")


@dataclass(frozen=True, slots=True)
class Platform:
    """Where the function runs. With `local` this machine's installed packages are taken for it."""

    arch: str
    python: str
    local: bool = False

    @property
    def glibc(self) -> int:
        """The runtime's C library is 2.this: Amazon Linux 2 up to Python 3.11, then Amazon Linux 2023."""
        return 26 if self.python == "3.11" else 34

    @property
    def tags(self) -> list[str]:
        """The wheels that the runtime takes, the best first."""
        machine = _MACHINES[self.arch]
        return [
            *(f"manylinux_2_{n}_{machine}" for n in range(self.glibc, 16, -1)),
            f"manylinux2014_{machine}",
        ]


def here() -> Platform:
    """This machine, as the nearest that AWS Lambda has."""
    minor = min(max(sys.version_info.minor, 11), 14)
    arch = "arm64" if platform.machine().lower() in {"arm64", "aarch64"} else "x86_64"
    return Platform(arch, f"3.{minor}", local=True)


def needed_by_airless(extra: str, python: str) -> list[str]:
    """airless's requirements on a function, with those of an extra. Raises DeployFailed where it isn't installed."""
    found = []
    for text in _requires("airless"):
        name, asked = _name_of(text)[0], _EXTRA.search(text)
        if name in _NOT_ON_FUNCTIONS or (asked and asked[1] != extra):
            continue
        if name == "backports-zstd" and tuple(map(int, python.split("."))) >= (3, 14):
            continue
        found.append(text.partition(";")[0].strip())
    return found


def read_requirements(path: Path) -> list[str]:
    """The lines of a requirements file that name a package. Raises ConfigError."""
    try:
        lines = [line.split(" #")[0].strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--requirements {path} can't be read: {error}") from error
    return [line for line in lines if line and not line.startswith("#")]


def download(requirements: Sequence[str], target: Platform, folder: Path) -> dict[str, Path]:
    """Install them for the function's platform into a folder: path in the package → file.

    pip reads the markers of what they need in turn as on this machine: with the same version of Python on both
    sides that is right. Raises DeployFailed, which says what to do.
    """
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--no-input"]
    command += ["--disable-pip-version-check", "--only-binary=:all:", "--implementation=cp"]
    command += [f"--python-version={target.python}", *(f"--platform={tag}" for tag in target.tags)]
    done = subprocess.run(  # noqa: S603 - our own interpreter; requirements are the user's own
        [*command, f"--target={folder}", "--", *requirements],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or [done.stderr]
        raise DeployFailed(
            f"pip could not get the packages for {target.arch}, Python {target.python}: {' '.join(said)} "
            "- check that the package index can be reached and has wheels for that platform (another --arch or "
            "--python may have them), or take this machine's packages with --local-platform"
        )
    return dict(_files_below(folder))


def installed(requirements: Sequence[str]) -> dict[str, Path]:
    """The same from what is installed here, with all that it needs. Raises DeployFailed."""
    waiting, seen = [*requirements], set[tuple[str, str]]()
    files: dict[str, Path] = {}
    while waiting:
        text = waiting.pop()
        if text.startswith("-"):
            raise ConfigError(f"{text!r}: with this machine's packages a requirement is a package's name")
        name, extras = _name_of(text)
        fresh = [extra for extra in ("", *extras) if (name, extra) not in seen]
        seen.update((name, extra) for extra in fresh)
        if not fresh:
            continue
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            # A condition that doesn't hold here leaves it out; what is asked for without one has to be there.
            if ";" in text:
                continue
            raise DeployFailed(f"{name} isn't installed here: pip install {name!r}") from None
        waiting += _needed(distribution.requires or (), fresh)
        if "" in fresh:
            files.update(_files_of(distribution))
    return files


def _needed(requires: Iterable[str], extras: Sequence[str]) -> Iterator[str]:
    for text in requires:
        asked = _EXTRA.search(text)
        if (asked[1] if asked else "") in extras:
            yield text


def _files_of(distribution: importlib.metadata.Distribution) -> Iterator[tuple[str, Path]]:
    for file in distribution.files or ():
        if ".." not in file.parts and not file.is_absolute():
            yield file.as_posix(), Path(str(file.locate()))


def _files_below(folder: Path) -> Iterator[tuple[str, Path]]:
    for file in folder.rglob("*"):
        if file.is_file():
            yield file.relative_to(folder).as_posix(), file


def _requires(name: str) -> list[str]:
    try:
        return importlib.metadata.requires(name) or []
    except importlib.metadata.PackageNotFoundError as error:
        raise DeployFailed(f"{name} isn't installed, only its files are there: pip install it") from error


def _name_of(text: str) -> tuple[str, list[str]]:
    match = _NAME.match(text)
    if match is None:
        raise ConfigError(f"{text!r} is no requirement: write a package's name, as pip takes it")
    extras = [extra.strip() for extra in (match[3] or "").split(",") if extra.strip()]
    return re.sub(r"[-_.]+", "-", match[1]).lower(), extras
