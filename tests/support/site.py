"""A generated site on loopback, as deterministic as a file: every page is known from its number alone."""

from __future__ import annotations

import asyncio
from collections import Counter

from aiohttp import web
from support.loopback import Loopback


def links_of(number: int, pages: int) -> list[int]:
    """The pages that a page links to: all are reached from page 0, most of them from several others."""
    near = [number * 3 + 1, number * 3 + 2, number * 3 + 3]
    far = [(number * 7919 + 13) % pages, (number * 104_729 + 1) % pages, 0]
    return [n for n in (*near, *far) if n < pages]


def body_of(number: int, pages: int) -> bytes:
    links = "".join(f'<li><a href="/p/{n}.html">page {n}</a>' for n in links_of(number, pages))
    padding = f"<p>{f'text of page {number}. ' * 20}</p>"
    return f"<!doctype html><title>Page {number}</title><ul>{links}</ul>{padding}".encode()


class Site(Loopback):
    """Serves `pages` pages; counts what was asked for. `delay_s` is a page's latency."""

    def __init__(self, pages: int, *, delay_s: float = 0.0) -> None:
        super().__init__(web.get("/p/{number}.html", self._page))
        self.pages = pages
        self.delay_s = delay_s
        self.asked: Counter[str] = Counter()

    @property
    def url(self) -> str:
        return f"{self.origin}/p/0.html"

    def urls(self) -> set[str]:
        """Every page's URL."""
        return {f"{self.origin}/p/{n}.html" for n in range(self.pages)}

    async def _page(self, request: web.Request) -> web.Response:
        self.asked[request.path] += 1
        number = int(request.match_info["number"])
        if number >= self.pages:
            raise web.HTTPNotFound
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        return web.Response(body=body_of(number, self.pages), content_type="text/html", charset="utf-8")
