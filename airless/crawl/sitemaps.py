"""Sitemaps as they come off the wire (sitemaps.org protocol 0.9): XML, RSS 2.0, Atom or text, gzipped or not.

Bytes go in, entries come out, and nothing that was read is lost by what follows it: a file that breaks off,
breaks the rules or goes over the limits ends early and says why.
"""

from __future__ import annotations

import zlib
from typing import Protocol

from airless.crawl.sitemap_xml import SitemapEntry, SitemapXml
from airless.crawl.urls import canonical

__all__ = ["MAX_BYTES", "MAX_NESTING", "MAX_URLS", "SitemapEntry", "SitemapParser"]

MAX_URLS = 50_000
MAX_BYTES = 52_428_800
"""The protocol's limits on one file, uncompressed."""

MAX_NESTING = 3
"""How deep indexes may stand in indexes. The protocol knows one level; sites have more."""

_GZIP = b"\x1f\x8b"
_UTF8_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
_STEP_BYTES = 65_536
_MAX_LINE_BYTES = 8_192


class _Reader(Protocol):
    """One format. `error` says why it stopped reading."""

    error: str | None

    def feed(self, data: bytes) -> list[SitemapEntry]: ...

    def close(self) -> list[SitemapEntry]: ...


class SitemapParser:
    """Reads one sitemap, whose own URL is `url`, in chunks of any size.

    `truncated` says that it went over a limit, with the `reason`; `error` that it is malformed. Entries read
    before that count, and what is fed afterwards is ignored.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._head = b""
        self._inflate: zlib._Decompress | None = None
        self._gzip: bool | None = None
        self._reader: _Reader | None = None
        self._bytes = 0
        self._urls = 0
        self._done = False
        self.truncated = False
        self.reason: str | None = None
        self.error: str | None = None

    def feed(self, chunk: bytes) -> list[SitemapEntry]:
        """The entries that these bytes complete."""
        if self._done:
            return []
        if self._gzip is None:
            chunk = self._head + chunk
            if len(chunk) < len(_GZIP):
                self._head = chunk
                return []
            self._gzip, self._head = chunk.startswith(_GZIP), b""
        return self._unzip(chunk) if self._gzip else self._read(chunk)

    def close(self) -> list[SitemapEntry]:
        """The entries that only the end completes. Nothing can be fed after it."""
        if self._done:
            return []
        if self._inflate is not None and not self._inflate.eof:
            self.error = "the gzip stream breaks off"
        reader = self._reader or self._opened(self._head)
        found = self._counted(reader.feed(b"" if self._reader else self._head) + reader.close())
        self._stop(error=reader.error)
        return found

    def _unzip(self, data: bytes) -> list[SitemapEntry]:
        found: list[SitemapEntry] = []
        while data and not self._done:
            if self._inflate is None or self._inflate.eof:
                if self._inflate is not None and not data.startswith(_GZIP[: len(data)]):
                    break
                self._inflate = zlib.decompressobj(wbits=31)
            try:
                plain = self._inflate.decompress(data, _STEP_BYTES)
            except zlib.error as error:
                self._stop(error=f"not valid gzip: {error}")
                break
            found += self._read(plain)
            data = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail
        return found

    def _read(self, plain: bytes) -> list[SitemapEntry]:
        room = MAX_BYTES - self._bytes
        self._bytes += len(plain)
        found = self._parse(plain[:room])
        if len(plain) > room:
            self._stop(reason=f"over {MAX_BYTES} bytes uncompressed")
        return found

    def _parse(self, plain: bytes) -> list[SitemapEntry]:
        reader = self._reader
        if reader is None:
            plain = self._head + plain
            if not plain.startswith(_UTF16_BOMS):
                # White space before the XML declaration is an error in XML, and common.
                plain = plain.removeprefix(_UTF8_BOM).lstrip()
            if len(plain) < len(_UTF8_BOM):
                self._head = plain
                return []
            reader = self._reader = self._opened(plain)
        found: list[SitemapEntry] = []
        for at in range(0, len(plain), _STEP_BYTES):
            if self._done:
                break
            found += self._counted(reader.feed(plain[at : at + _STEP_BYTES]))
            if reader.error is not None:
                self._stop(error=reader.error)
        return found

    def _opened(self, head: bytes) -> _Reader:
        is_xml = head.startswith((b"<", *_UTF16_BOMS))
        return SitemapXml(self._url) if is_xml else _TextReader()

    def _counted(self, entries: list[SitemapEntry]) -> list[SitemapEntry]:
        room = MAX_URLS - self._urls
        self._urls += len(entries)
        if len(entries) > room:
            self._stop(reason=f"over {MAX_URLS} URLs")
        return entries[:room]

    def _stop(self, *, reason: str | None = None, error: str | None = None) -> None:
        self._done = True
        self.truncated = self.truncated or reason is not None
        self.reason = self.reason or reason
        self.error = self.error or error


class _TextReader:
    """One URL a line, UTF-8. Lines that are no absolute http(s) URL are passed over."""

    def __init__(self) -> None:
        self.error: str | None = None
        self._rest = b""
        self._skipping = False

    def feed(self, data: bytes) -> list[SitemapEntry]:
        *lines, rest = (self._rest + data).replace(b"\r", b"\n").split(b"\n")
        if lines and self._skipping:
            lines, self._skipping = lines[1:], False
        if len(rest) > _MAX_LINE_BYTES:
            rest, self._skipping = b"", True
        self._rest = rest
        found = (canonical(line.decode("utf-8", "replace").strip()) for line in lines if line.strip())
        return [SitemapEntry(url, "page") for url in found if url is not None]

    def close(self) -> list[SitemapEntry]:
        return self.feed(b"\n")
