"""The port that fetches: one request in, one response out, no policy."""

from __future__ import annotations

from typing import Protocol

from airless.crawl.request import Request
from airless.crawl.response import Response


class Fetcher(Protocol):
    """One exchange with a server: any status is a response.

    Redirects, robots, pace and retries are the crawl's.
    """

    async def fetch(self, request: Request) -> Response:
        """The whole answer. Raises FetchError (airless.crawl.errors) where there is none."""
        ...

    async def aclose(self) -> None: ...
