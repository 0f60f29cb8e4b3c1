"""A request: what is to be fetched, and what is to be done with the answer; and many links as one value."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from airless.crawl.making import maker_like

# RFC 9110 §9.2.2: what may be sent again without knowing whether it arrived.
IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})


class Request:
    """One fetch to come. `callback` is the name of a method of the spider (a bound method gives its name).

    `url` is absolute, in the URL standard's serialisation, without a fragment. `depth` counts links from the
    seeds, `redirects` the hops that led here, `attempt` the failed tries before this one (0 on the first).
    `max_bytes` is a cap on the decompressed body in place of the crawl's. `meta` is JSON and travels to the
    callback as ``response.meta``. A mutable class with slots: the hot path makes one a page.
    """

    __slots__ = (
        "attempt",
        "body",
        "callback",
        "depth",
        "dont_filter",
        "headers",
        "max_bytes",
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
        self.callback = None if callback is None else callback_name(callback)
        self.method = method
        self.headers: dict[str, str] | None = dict(headers) if headers else None
        self.body: bytes | None = body if body is None or isinstance(body, bytes) else body.encode()
        self.meta: dict[str, Any] | None = dict(meta) if meta else None
        self.priority = priority
        self.dont_filter = dont_filter
        self.depth = 0
        self.referrer: str | None = None
        self.redirects = 0
        self.attempt = 0
        self.seed = False
        self.max_bytes: int | None = None

    def __repr__(self) -> str:
        return f"<{self.method} {self.url}>"


class Follow:
    """Many links, yielded as one object, so that the crawl deduplicates before any Request is made.

    `urls` are absolute, in the URL standard's serialisation, without fragments; the rest holds for each of
    them. Iterating gives the Requests.
    """

    __slots__ = ("callback", "headers", "meta", "priority", "urls")

    resolved = False
    """Whether the URLs are known to be canonical, not only said to be."""

    def __init__(
        self,
        urls: Iterable[str],
        *,
        callback: str | Callable[..., Any] | None = None,
        meta: Mapping[str, Any] | None = None,
        priority: int = 0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.urls = list(urls)
        self.callback = callback_name(callback)
        self.meta: dict[str, Any] | None = dict(meta) if meta else None
        self.priority = priority
        self.headers: dict[str, str] | None = dict(headers) if headers else None

    def __iter__(self) -> Iterator[Request]:
        return map(self.request, self.urls)

    def request(self, url: str) -> Request:
        """The Request for one of the links."""
        return Request(
            url, callback=self.callback, meta=self.meta, priority=self.priority, headers=self.headers
        )

    def found(self, url: str, depth: int, referrer: str) -> Request:
        """`request`, of a link that was found on a page."""
        if self.meta or self.headers:
            request = self.request(url)
            request.depth = depth
            request.referrer = referrer
            return request
        return link(url, self.callback, self.priority, depth, referrer)

    def __len__(self) -> int:
        return len(self.urls)

    def __repr__(self) -> str:
        return f"<Follow {len(self.urls)} links>"


link: Callable[[str, str | None, int, int, str | None], Request] = maker_like(
    Request(""), "url", "callback", "priority", "depth", "referrer"
)
"""The Request for a link of which no more is to be said: its URL, its callback's name, and so on."""


def callback_name(callback: str | Callable[..., Any] | None) -> str | None:
    """The name under which a callback travels: a request outlives the process that made it.

    Raises TypeError where the callback has no name.
    """
    if callback is None or isinstance(callback, str):
        return callback
    name = getattr(callback, "__name__", None)
    if not isinstance(name, str):
        raise TypeError(f"a callback is a method of the spider or its name, not {callback!r}")
    return name
