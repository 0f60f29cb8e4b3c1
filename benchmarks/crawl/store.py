"""The generated site on disk: as files for a server, or as one file that is mapped into memory."""

from __future__ import annotations

import gzip
import mmap
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import unquote

from .pages import Site, path_of

_GENERATOR = ("pages.py", "markup.py", "store.py")


def lay_out(site: Site, folder: Path, *, gzipped: bool = False) -> None:
    """Write ``folder/host/path``; a folder that this generator finished is left as it is.

    With `gzipped` every page has a ``.gz`` (level 6) beside it.
    """
    done = folder / ".written"
    want = f"{site} {gzipped} {_edition()}"
    if done.exists() and done.read_text() == want:
        return
    done.unlink(missing_ok=True)
    for page, body in site.bodies():
        file = file_of(site, folder, page)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(body)
        if gzipped:
            Path(f"{file}.gz").write_bytes(gzip.compress(body, 6, mtime=0))
    done.write_text(want)


def file_of(site: Site, folder: Path, page: int) -> Path:
    """Where a page of a site that is laid out in `folder` is."""
    path = path_of(page)
    return (
        folder
        / site.hosts[page % len(site.hosts)]
        / unquote(path).lstrip("/")
        / ("index.html" if path == "/" else "")
    )


def bind(site: Site, folder: Path) -> Path:
    """Write all pages into one file, an index beside it; what is there already is left as it is."""
    file = folder / f"site-{site.pages}-{blake2b(f'{site} {_edition()}'.encode(), digest_size=4).hexdigest()}"
    index = file.with_suffix(".index")
    if index.exists():
        return file
    folder.mkdir(parents=True, exist_ok=True)
    at = 0
    lines = []
    with file.open("wb") as opened:
        for page, body in site.bodies():
            opened.write(body)
            lines.append(f"{site.url(page).partition('?')[0]} {at} {at + len(body)}\n")
            at += len(body)
    index.write_text("".join(lines))
    return file


class Bound:
    """A bound site: a page's bytes by its address, from memory that all processes share."""

    def __init__(self, file: Path) -> None:
        lines = (line.split() for line in file.with_suffix(".index").read_text().splitlines())
        self._where = {url: (int(start), int(end)) for url, start, end in lines}
        with file.open("rb") as opened:
            self._bytes = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)

    def get(self, url: str) -> bytes | None:
        """A page's bytes; None where there is no such page. The query is ignored, as a file server does."""
        where = self._where.get(url.partition("?")[0])
        return None if where is None else self._bytes[where[0] : where[1]]

    def warm(self) -> None:
        """Read all of it once, so that nobody waits for the disk later."""
        for start, end in self._where.values():
            self._bytes[start:end]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bytes.close()


def _edition() -> str:
    """Changes with the generator's source."""
    source = b"".join(Path(__file__).with_name(name).read_bytes() for name in _GENERATOR)
    return blake2b(source, digest_size=8).hexdigest()
