"""Any site on loopback, said in the test: pages by path, and every request made of it with its time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from aiohttp import web
from support.loopback import HOST, Loopback

Page = str | bytes | int | Callable[[web.Request], web.Response]


@dataclass(slots=True)
class Asked:
    """One request as it came, by the monotonic clock. `together` counts those under way, this one too."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: str
    began_s: float
    together: int


class Web(Loopback):
    """Serves `pages`: HTML as text, anything as bytes, a status, or a function.

    What isn't there is a 404. `delay_s` is every page's latency; robots files are had at once.
    """

    def __init__(self, pages: Mapping[str, Page] | None = None, *, delay_s: float = 0.0) -> None:
        super().__init__(web.route("*", "/{path:.*}", self._answer))
        self.pages: dict[str, Page] = dict(pages or {})
        self.delay_s = delay_s
        self.asked: list[Asked] = []
        self._together = 0

    def url(self, path: str = "/", host: str = HOST) -> str:
        return f"http://{host}:{self.port}{path}"

    def requests(self, *, robots: bool = False) -> list[Asked]:
        """What was asked for, robots files left out."""
        return [asked for asked in list(self.asked) if robots or asked.path != "/robots.txt"]

    def paths(self) -> list[str]:
        return sorted(asked.path for asked in self.requests())

    def gaps_s(self) -> list[float]:
        """The times between the arrivals of requests."""
        times = sorted(asked.began_s for asked in self.requests())
        return [after - before for before, after in pairwise(times)]

    def wait_for(self, number: int, *, longest_s: float = 20.0) -> None:
        """Until so many requests have come."""
        end = time.monotonic() + longest_s
        while len(self.requests()) < number:
            assert time.monotonic() < end, f"{len(self.requests())} of {number} requests came"
            time.sleep(0.01)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        robots = request.path == "/robots.txt"
        self._together += not robots
        try:
            body = await request.text()
            headers = {name.lower(): value for name, value in request.headers.items()}
            self.asked.append(
                Asked(request.method, request.path_qs, headers, body, time.monotonic(), self._together)
            )
            if self.delay_s and not robots:
                await asyncio.sleep(self.delay_s)
            return self._page(request)
        finally:
            self._together -= not robots

    def _page(self, request: web.Request) -> web.Response:
        page = self.pages.get(request.path_qs, self.pages.get(request.path, 404))
        if callable(page):
            return page(request)
        if isinstance(page, int):
            return web.Response(status=page)
        if isinstance(page, bytes):
            return web.Response(body=page, content_type="application/octet-stream")
        return web.Response(text=page, content_type="text/html")


def linking(*targets: str, title: str = "") -> str:
    """A page with these links."""
    return f"<title>{title}</title>" + "".join(f'<a href="{target}">x</a>' for target in targets)


def chain(length: int) -> dict[str, Page]:
    """Pages ``/0`` … of which each links to the next."""
    return {f"/{n}": linking(f"/{n + 1}") if n + 1 < length else linking() for n in range(length)}


def star(rays: int, centre: str = "/") -> dict[str, Page]:
    """A page that links to ``/0`` … ``/<rays - 1>``."""
    return {centre: linking(*(f"/{n}" for n in range(rays))), **{f"/{n}": linking() for n in range(rays)}}
