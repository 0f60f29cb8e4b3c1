"""Sitemaps as seeds: robots.txt names them, indexes nest them, and their pages are found like links."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from airless.crawl.request import Follow, Request
from airless.crawl.response import Response
from airless.crawl.robots import Rules
from airless.crawl.urls import canonical, join, origin

ROBOTS = "@robots"
SITEMAP = "@sitemap"
SITEMAP_CALLBACKS = frozenset({ROBOTS, SITEMAP})

_CHUNK = 65_536


def sitemap_seed(url: str) -> Request:
    """Where a host's sitemaps are asked for: its robots.txt."""
    return Request(f"{origin(url)}/robots.txt", callback=ROBOTS, priority=1)


def run_sitemap_callback(response: Response) -> Iterator[Request | Follow]:
    """What a robots.txt or a sitemap leads to; an answer that is neither leads nowhere."""
    if response.request.callback == ROBOTS:
        yield from _from_robots(response)
    elif 200 <= response.status < 300:
        yield from _from_sitemap(response)


def _from_robots(response: Response) -> Iterator[Request]:
    named: tuple[str, ...] = ()
    if 200 <= response.status < 300:
        named = Rules.parse(response.body, "airless").sitemaps
    found = [url for text in named if (url := join(response.url, text)) is not None]
    for url in found or [f"{origin(response.url)}/sitemap.xml"]:
        yield Request(url, callback=SITEMAP, priority=1)


def _from_sitemap(response: Response) -> Iterator[Request | Follow]:
    # Most crawls read no sitemap, and what reads them takes 5 ms to import.
    from airless.crawl.sitemaps import MAX_NESTING, SitemapParser

    parser = SitemapParser(response.url)
    level = int((response.request.meta or {}).get("level", 0))
    pages: list[str] = []
    body = memoryview(response.body)
    entries = [e for at in range(0, len(body), _CHUNK) for e in parser.feed(bytes(body[at : at + _CHUNK]))]
    entries += parser.close()
    for entry in entries:
        url = canonical(entry.url)
        if url is None:
            continue
        if entry.kind == "page":
            pages.append(url)
        elif level < MAX_NESTING and urlsplit(url).hostname == urlsplit(response.url).hostname:
            yield Request(url, callback=SITEMAP, priority=1, meta={"level": level + 1})
    yield Follow(pages)
