"""The port that fetches: one request in, one response out, no policy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

from airless.crawl.errors import FetchError
from airless.crawl.request import Request
from airless.crawl.response import Response

Result = Response | FetchError | None
Answered = Callable[[list[tuple[Any, Result]]], None]
"""Is told of fetches that ended at about the same time: whose each was, and how it ended. The list is its own."""


class Fetcher(Protocol):
    """One exchange with a server: any status is a response.

    Redirects, robots, pace and retries are the crawl's.
    """

    async def fetch(self, request: Request) -> Response:
        """The whole answer. Raises FetchError (airless.crawl.errors) where there is none."""
        ...

    async def aclose(self) -> None: ...


class Exchange(Protocol):
    """A fetch that was begun."""

    def abandon(self) -> None:
        """Give it up: nobody is told any more how it ends."""
        ...


@runtime_checkable
class QuickFetcher(Fetcher, Protocol):
    """A Fetcher that does without a coroutine where nothing has to be waited for but the answer."""

    def begin(self, asked: Sequence[tuple[Request, Any]], answered: Answered) -> list[Exchange | None]:
        """Begin fetches, each with `whose` it is; None in place of one that can't begin at once.

        `answered` is called later, with whose it was and the response or the FetchError, or None: the server
        had hung up before the request came to it. It may raise nothing. Where there is None `fetch` is to be called
        instead.
        """
        ...
