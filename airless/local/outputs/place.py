"""A place on disk for an output: checked and claimed at once, replaced in one step."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from airless.core.errors import ConfigError
from airless.local.outputs.faults import told


def resolve(path: Path) -> Path:
    """The file that the name means, links followed (replacing must hit the target), its directories made.

    Raises ConfigError for what can't be a file, OutputError where directories can't be made.
    """
    with told(path):
        real = Path(os.path.realpath(path))
        try:
            real.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise ConfigError(f"can't write items to {path}: {real.parent} is not a directory") from error
        try:
            mode = real.stat().st_mode
        except FileNotFoundError:
            return real
    if stat.S_ISDIR(mode):
        raise ConfigError(f"can't write items to {path}: it is a directory; name a file in it")
    if not stat.S_ISREG(mode):
        raise ConfigError(f"can't write items to {path}: it is no ordinary file")
    return real


def claim(path: Path) -> tuple[int, bool]:
    """A descriptor to read and write the file, unchanged, and whether this made it. Raises OSError."""
    flags = os.O_RDWR | os.O_CLOEXEC
    try:
        return os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666), True
    except FileExistsError:
        return os.open(path, flags), False


def beside(path: Path) -> Path:
    """The one name under which a replacement is made: what a crash leaves there is found again."""
    return path.with_name(f".{path.name}.airless-part")


def sync_directory(path: Path) -> None:
    """Make durable which files a directory names."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
