"""The XML forms of a sitemap, read as a stream: urlset, sitemapindex, RSS and Atom.

A document type with declarations of its own is refused, as a few lines of entities expand to gigabytes, and
nothing external is ever loaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from xml.parsers import expat

from airless.crawl.urls import canonical, join

_MAX_DEPTH = 64
_MAX_TEXT_CHARS = 8_192

# The parser starts an unfinished token anew with each chunk, which is quadratic in the token's length.
_MAX_TOKEN_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class SitemapEntry:
    """A page, or another sitemap. `url` is canonical, `lastmod` as written, `priority` within 0…1."""

    url: str
    kind: Literal["page", "sitemap"]
    lastmod: str | None = None
    priority: float | None = None


@dataclass(frozen=True, slots=True)
class _Format:
    """Which element is an entry, and which of its children say what. Feeds may have relative URLs."""

    item: str
    url: str
    lastmod: str
    kind: Literal["page", "sitemap"] = "page"
    relative: bool = False


_FORMATS = {
    "urlset": _Format("url", "loc", "lastmod"),
    "sitemapindex": _Format("sitemap", "loc", "lastmod", kind="sitemap"),
    "rss": _Format("item", "link", "pubDate", relative=True),
    "feed": _Format("entry", "link", "updated", relative=True),
}


class _Refused(Exception):
    """Ends the parse from inside one of expat's handlers."""


class SitemapXml:
    """Feed it bytes; `error` is set where the document can't be read any further.

    Elements are known by their local names, whatever the namespace. Within an entry only children with the
    entry's own prefix count, so that ``image:loc`` is no page.
    """

    def __init__(self, url: str) -> None:
        self.error: str | None = None
        self._url = url
        self._format: _Format | None = None
        self._depth = 0
        self._item_depth = 0
        self._prefix = ""
        self._field: str | None = None
        self._text: list[str] = []
        self._chars = 0
        self._fields: dict[str, str] = {}
        self._found: list[SitemapEntry] = []
        self._bytes = 0
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        self._parser.StartDoctypeDeclHandler = _no_declarations

    def feed(self, data: bytes) -> list[SitemapEntry]:
        """The entries whose end is in these bytes."""
        return self._parse(data, final=False)

    def close(self) -> list[SitemapEntry]:
        """Sets `error` where the document is not at its end."""
        return self._parse(b"", final=True)

    def _parse(self, data: bytes, *, final: bool) -> list[SitemapEntry]:
        self._bytes += len(data)
        try:
            self._parser.Parse(data, final)
            if self._bytes - self._parser.CurrentByteIndex > _MAX_TOKEN_BYTES:
                raise _Refused(f"a tag or comment is longer than {_MAX_TOKEN_BYTES} bytes")
        except (expat.ExpatError, _Refused, ValueError, LookupError) as error:
            # The last two are what the parser raises for a declared encoding that it can't read.
            self.error = f"not a readable sitemap: {error}"
        found, self._found = self._found, []
        return found

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise _Refused(f"elements nest deeper than {_MAX_DEPTH}")
        prefix, _, name = tag.rpartition(":")
        if self._format is None:
            self._format = _FORMATS.get(name)
            if self._format is None:
                raise _Refused(f"<{tag[:40]}> is neither a sitemap nor a feed")
            self._prefix = prefix
        elif prefix != self._prefix:
            return
        elif not self._item_depth:
            if name == self._format.item:
                self._item_depth = self._depth
                self._fields = {}
        elif self._depth == self._item_depth + 1:
            self._field = name
            self._text, self._chars = [], 0
            if "href" in attributes and attributes.get("rel", "alternate") == "alternate":
                self._fields.setdefault(name, attributes["href"].strip())

    def _characters(self, text: str) -> None:
        if self._field is not None and self._chars <= _MAX_TEXT_CHARS:
            self._chars += len(text)
            self._text.append(text)

    def _end(self, tag: str) -> None:
        if self._field is not None and self._depth == self._item_depth + 1:
            text = "".join(self._text).strip()
            if text and self._chars <= _MAX_TEXT_CHARS:
                self._fields.setdefault(self._field, text)
            self._field = None
        elif self._item_depth == self._depth:
            self._item_depth = 0
            self._emit()
        self._depth -= 1

    def _emit(self) -> None:
        if self._format is None:
            return
        written = self._fields.get(self._format.url, "")
        url = join(self._url, written) if self._format.relative else canonical(written)
        if written and url is not None:
            lastmod = self._fields.get(self._format.lastmod)
            self._found.append(
                SitemapEntry(url, self._format.kind, lastmod, _priority(self._fields.get("priority")))
            )


def _no_declarations(name: str, system: str | None, public: str | None, has_subset: int) -> None:
    if has_subset:
        raise _Refused("a document type with declarations is refused")


def _priority(text: str | None) -> float | None:
    try:
        priority = float(text or "")
    except ValueError:
        return None
    return priority if 0.0 <= priority <= 1.0 else None
