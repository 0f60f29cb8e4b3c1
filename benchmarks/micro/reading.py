"""What a page's bytes go through until its links are known: gunzip, decode, scan."""

from __future__ import annotations

import gzip
import importlib
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

from selectolax.lexbor import LexborHTMLParser

from airless.crawl import charset
from airless.crawl.http.bodies import Body
from airless.crawl.scan import scan, spellings
from airless.crawl.settings import Links
from benchmarks.micro.sample import Sample
from benchmarks.micro.timing import Case

CONTENT_TYPE = "text/html; charset=utf-8"
LIMIT_BYTES = 10_000_000
_GZIP = 16 + zlib.MAX_WBITS
_LINKS = Links()

# Distributions of faster inflaters with the standard library's interface, and their modules.
INFLATERS = {"isal": "isal.isal_zlib", "zlib-ng": "zlib_ng.zlib_ng"}


def gunzip(sample: Sample, stack: ExitStack) -> list[Case]:
    """A page back from gzip, level 6: with a cap while it streams, and in one call of what inflates."""
    coded = [gzip.compress(body, 6, mtime=0) for body in sample.bodies]
    ways = {"airless Body": _streamed, "zlib": lambda data: zlib.decompress(data, _GZIP)}
    return [_a_page("gunzip", name, way, coded) for name, way in [*ways.items(), *_inflaters()]]


def decode(sample: Sample, stack: ExitStack) -> list[Case]:
    """A page as UTF-8, which it must be found to be, and as text."""
    ways = {
        "charset.to_utf8": lambda body: charset.to_utf8(body, CONTENT_TYPE),
        "bytes.decode": lambda body: body.decode(),
    }
    return [_a_page("decode", name, way, sample.bodies) for name, way in ways.items()]


def links(sample: Sample, stack: ExitStack) -> list[Case]:
    """The references on a page as they are written: from one pass over its bytes, and from a tree."""
    ways: dict[str, Callable[[bytes], object]] = {}
    if spellings() is not None:
        ways = {"airless scan": lambda body: scan(body, CONTENT_TYPE, _LINKS), "airless scan, hrefs": scanned}
    ways |= {"lexbor": LexborHTMLParser, "lexbor, a[href]": selected}
    return [_a_page("links", name, way, sample.bodies) for name, way in ways.items()]


def scanned(body: bytes) -> list[str]:
    """The references that the compiled scanner finds. Raises ValueError where only a tree can tell."""
    page, _ = scan(body, CONTENT_TYPE, _LINKS)
    if page is None:
        raise ValueError("the scanner declines a page of the sample")
    return page.hrefs()


def selected(body: bytes) -> list[str]:
    """The references that a selector finds in the tree."""
    return [node.attributes["href"] or "" for node in LexborHTMLParser(body).css("a[href]")]


def _streamed(data: bytes) -> bytes:
    body = Body("page", ("gzip",), LIMIT_BYTES)
    body.feed(data)
    return body.finish()


def _inflaters() -> Iterator[tuple[str, Callable[[bytes], bytes]]]:
    """Those that are installed."""
    for name, module in INFLATERS.items():
        try:
            decompress = importlib.import_module(module).decompress
        except ImportError:
            continue
        yield name, lambda data, decompress=decompress: decompress(data, _GZIP)  # type: ignore[misc]


def _a_page(stage: str, candidate: str, way: Callable[[bytes], object], pages: Sequence[bytes]) -> Case:
    def go() -> None:
        for page in pages:
            way(page)

    return Case(stage, candidate, "page", len(pages), lambda: go)
