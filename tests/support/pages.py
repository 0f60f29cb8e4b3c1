"""A web in memory behind the port that fetches: every answer, fault and latency is the test's to say."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from airless.crawl.errors import FetchError
from airless.crawl.headers import Headers
from airless.crawl.request import Request
from airless.crawl.response import Response
from airless.crawl.sites import host_key


@dataclass(frozen=True, slots=True)
class Page:
    """One answer. `latency_s` is real time."""

    body: str | bytes = ""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    latency_s: float = 0.0


Answer = Page | FetchError | Callable[[Request], Any] | list[Any]


def linking(*urls: str, status: int = 200, latency_s: float = 0.0) -> Page:
    """A page with these links."""
    return Page("".join(f'<a href="{url}">x</a>' for url in urls), status, latency_s=latency_s)


def redirect(to: str, status: int = 301, **headers: str) -> Page:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return Page(status=status, headers={"location": to, **fields})


def text(body: str, status: int = 200, **headers: str) -> Page:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return Page(body, status, {"content-type": "text/plain", **fields})


class Pages:
    """Answers by URL: a `Page`, an error to raise, a function of the request, or a list of those in turn.

    The last of a list stays. What is not there is a 404. `asked` has every request in its order,
    `most_at_once` the greatest number of requests that a host had under way together.
    """

    def __init__(self, answers: Mapping[str, Answer] | Callable[[Request], Any]) -> None:
        self.answers = answers
        self.asked: list[Request] = []
        self.most_at_once: Counter[str] = Counter()
        self.closed = False
        self._news = asyncio.Event()
        self._under_way: Counter[str] = Counter()
        self._turns: Counter[str] = Counter()

    def urls(self) -> list[str]:
        """What was asked for, robots files left out."""
        return [request.url for request in self.asked if not request.url.endswith("/robots.txt")]

    def times(self, url: str) -> int:
        return sum(request.url == url for request in self.asked)

    async def until_asked(self, number: int) -> None:
        """Return when so many requests have come."""
        while len(self.asked) < number:
            self._news.clear()
            await self._news.wait()

    async def fetch(self, request: Request) -> Response:
        self.asked.append(request)
        self._news.set()
        host = host_key(request.url)
        self._under_way[host] += 1
        self.most_at_once[host] = max(self.most_at_once[host], self._under_way[host])
        try:
            page = self._answer(request)
            if isinstance(page, FetchError):
                await asyncio.sleep(0)
                raise page
            await asyncio.sleep(page.latency_s)
        finally:
            self._under_way[host] -= 1
        body = page.body.encode() if isinstance(page.body, str) else page.body
        headers = {"content-type": "text/html", **page.headers}
        return Response(
            request.url,
            page.status,
            Headers(headers.items()),
            body,
            request=request,
            elapsed_s=page.latency_s,
            wire_bytes=len(body),
        )

    def _answer(self, request: Request) -> Page | FetchError:
        answer = self.answers(request) if callable(self.answers) else self.answers.get(request.url)
        if isinstance(answer, list):
            turn = self._turns[request.url]
            self._turns[request.url] += 1
            answer = answer[min(turn, len(answer) - 1)]
        if callable(answer):
            answer = answer(request)
        return Page(status=404) if answer is None else answer

    async def aclose(self) -> None:
        self.closed = True
