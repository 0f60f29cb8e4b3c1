"""Objects as files in a folder, for engines whose workers share a disk.

A name's parts are folders. What a file system can't take, or gives a meaning of its own, is escaped: ``%`` and two
hex digits for a byte, a ``+`` behind the name of every folder, so that ``a`` and ``a/b`` may both be names, and a ``=``
behind a folder that holds the rest of a part too long for one.
"""

from __future__ import annotations

import asyncio
import errno
import os
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote, unquote, urlsplit

from airless.core.errors import ConfigError, EngineError, MessageError, StorageFull

T = TypeVar("T")

_PART_CHARS = 200
_FOLDER, _MORE, _EMPTY = "+", "=", "%"
# Where files are written before they get their names; no name begins with a dot.
_WRITING = ".writing"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class FileObjects:
    """`Objects` in a folder: whole or absent, and on the disk when a call returns."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._closed = False

    @classmethod
    def parse(cls, url: str) -> FileObjects:
        """The folder of a ``file:///folder`` URL. Raises ConfigError."""
        parts = urlsplit(url)
        path = Path(unquote(parts.path))
        if parts.scheme != "file" or parts.netloc not in {"", "localhost"} or not path.is_absolute():
            raise ConfigError(f"{url!r} names no folder: write file:///absolute/folder")
        if parts.query or parts.fragment:
            raise ConfigError(f"{url!r}: a folder takes no options")
        return cls(path)

    async def put(self, name: str, data: bytes) -> None:
        await self._run(lambda: _write(self.root, path_of(name), data), f"writing object {name!r}")

    async def put_if_absent(self, name: str, data: bytes) -> bool:
        def write() -> bool:
            path = path_of(name)
            return not (self.root / path).exists() and _write(self.root, path, data, absent=True)

        return await self._run(write, f"writing object {name!r}")

    async def get(self, name: str) -> bytes | None:
        return await self._run(lambda: _read(self.root / path_of(name)), f"reading object {name!r}")

    async def delete(self, names: Sequence[str]) -> None:
        def delete() -> None:
            for name in names:
                (self.root / path_of(name)).unlink(missing_ok=True)

        await self._run(delete, f"deleting {len(names)} objects")

    async def list(self, prefix: str) -> AsyncIterator[str]:
        for name in await self._run(lambda: sorted(_names(self.root, prefix)), f"listing {prefix!r}"):
            yield name

    async def aclose(self) -> None:
        self._closed = True

    async def _run(self, call: Callable[[], T], doing: str) -> T:
        """A call in a thread: a disk may take its time, and the event loop has none."""
        if self._closed:
            raise EngineError("this engine is closed")
        with _translated(f"{doing} in {self.root}"):
            return await asyncio.to_thread(call)


def path_of(name: str) -> str:
    """A name's path below the root: one for each name, and none leads out of it."""
    *folders, last = [_pieces(part) for part in name.split("/")]
    path = []
    for *more, end in folders:
        path += [*(piece + _MORE for piece in more), end + _FOLDER]
    path += [*(piece + _MORE for piece in last[:-1]), last[-1]]
    return "/".join(path)


def _pieces(part: str) -> list[str]:
    """A part of a name, escaped, cut into what file systems take for a name."""
    escaped = quote(part, safe=" ", errors="surrogatepass") or _EMPTY
    if escaped.startswith("."):
        escaped = "%2E" + escaped[1:]
    return [escaped[at : at + _PART_CHARS] for at in range(0, len(escaped), _PART_CHARS)]


def _names(root: Path, prefix: str) -> Iterator[str]:
    """The names below the folder that all names with this prefix are in, those with the prefix alone."""
    folder, slash, _ = prefix.rpartition("/")
    start = path_of(folder + slash).rpartition("/")[0] if slash else ""
    todo = [(start, folder + slash, "")]
    while todo:
        path, above, begun = todo.pop()
        try:
            entries = list(os.scandir(root / path))
        except FileNotFoundError:
            continue
        for entry in entries:
            file = entry.name
            if file == _WRITING:
                continue
            below = f"{path}/{file}" if path else file
            if file.endswith(_MORE):
                todo.append((below, above, begun + file[:-1]))
            elif file.endswith(_FOLDER):
                todo.append((below, f"{above}{_plain(begun + file[:-1])}/", ""))
            elif (name := above + _plain(begun + file)).startswith(prefix):
                yield name


def _plain(escaped: str) -> str:
    return "" if escaped == _EMPTY else unquote(escaped, errors="surrogatepass")


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _write(root: Path, path: str, data: bytes, *, absent: bool = False) -> bool:
    """Write a file aside, then give it its name in one step; False where `absent` and the name was taken."""
    target, aside = root / path, root / _WRITING / uuid.uuid4().hex
    _make(root, target.parent)
    _make(root, aside.parent)
    try:
        with aside.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if absent:
            try:
                os.link(aside, target)
            except FileExistsError:
                return False
        else:
            aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)
    _sync(target.parent)
    return True


def _make(root: Path, folder: Path) -> None:
    """Make a folder, whose name is on the disk when this returns; so are those of the folders above it."""
    if folder.is_dir():
        return
    if folder != root:
        _make(root, folder.parent)
    folder.mkdir(parents=folder == root, exist_ok=True)
    _sync(folder.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _translated(doing: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFull(f"{doing} failed: {error}") from error
        if error.errno == errno.ENAMETOOLONG:
            raise MessageError(f"{doing} failed: the name is too long") from error
        raise EngineError(f"{doing} failed: {error}") from error
