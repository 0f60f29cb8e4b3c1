"""A folder of real files, served on loopback; and the set of pages that its own links reach, walked on the disk."""

from __future__ import annotations

import mimetypes
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from aiohttp import web
from support.loopback import Loopback


class FileSite(Loopback):
    """Serves the files below `root`, and counts what was asked for."""

    def __init__(self, root: Path) -> None:
        super().__init__(web.get("/{path:.*}", self._file))
        self.root = root.resolve()
        self.asked: Counter[str] = Counter()

    async def _file(self, request: web.Request) -> web.Response:
        self.asked[request.path_qs] += 1
        file = file_of(self.root, request.path)
        if file is None:
            raise web.HTTPNotFound
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        return web.Response(body=file.read_bytes(), content_type=kind)


def file_of(root: Path, path: str) -> Path | None:
    """The file below `root` that a URL's path (decoded) names."""
    file = root / path.lstrip("/")
    return file if file.is_file() and ".." not in file.parts else None


def walk(root: Path, origin: str, start: str) -> set[str]:
    """The URLs that exist and that links reach from `start`, by the standard library's parser and URL functions."""
    seen = {urljoin(origin, start)}
    todo = list(seen)
    found: set[str] = set()
    while todo:
        url = todo.pop()
        file = file_of(root, unquote(urlsplit(url).path))
        if file is None:
            continue
        found.add(url)
        if file.suffix not in {".html", ".htm"}:
            continue
        links = _Links()
        links.feed(file.read_text(errors="replace"))
        base = urljoin(url, links.base) if links.base else url
        for href in links.hrefs:
            target = urldefrag(urljoin(base, href.strip())).url
            if target.startswith(f"{origin}/") and target not in seen:
                seen.add(target)
                todo.append(target)
    return found


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.hrefs: list[str] = []
        self.base = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        href = named.get("href")
        if href is None:
            return
        if tag == "base" and not self.base:
            self.base = href
        elif tag in {"a", "area"} or (tag == "link" and "next" in (named.get("rel") or "").lower().split()):
            self.hrefs.append(href)
