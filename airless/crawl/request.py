"""A request: what is to be fetched, and what is to be done with the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


class Request:
    """One fetch to come. `callback` is the name of a method of the spider (a bound method gives its name).

    `url` is absolute, in the URL standard's serialisation, without a fragment. `depth` counts links from the seeds,
    `redirects` the hops that led here, `attempt` the failed tries before this one (0 on the first). `meta` is JSON
    and travels to the callback as ``response.meta``. A mutable class with slots: the hot path makes one a page.
    """

    __slots__ = (
        "attempt",
        "body",
        "callback",
        "depth",
        "dont_filter",
        "headers",
        "meta",
        "method",
        "priority",
        "redirects",
        "referrer",
        "seed",
        "url",
    )

    def __init__(
        self,
        url: str,
        *,
        callback: str | Callable[..., Any] | None = None,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes | str | None = None,
        meta: Mapping[str, Any] | None = None,
        priority: int = 0,
        dont_filter: bool = False,
    ) -> None:
        self.url = url
        self.callback: str | None = (
            callback if callback is None or isinstance(callback, str) else callback.__name__
        )
        self.method = method
        self.headers: dict[str, str] | None = dict(headers) if headers else None
        self.body: bytes | None = body.encode() if isinstance(body, str) else body
        self.meta: dict[str, Any] | None = dict(meta) if meta else None
        self.priority = priority
        self.dont_filter = dont_filter
        self.depth = 0
        self.referrer: str | None = None
        self.redirects = 0
        self.attempt = 0
        self.seed = False

    def __repr__(self) -> str:
        return f"<{self.method} {self.url}>"
