"""Pages kept with their validators, and asked for conditionally: the revalidation of RFC 9111 §4.3.

Nothing is ever served without asking the server, so there is no freshness to compute and no page that is
stale.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import orjson

from airless.core.clock import Clock
from airless.core.ports import Objects
from airless.crawl.fetch import Fetcher
from airless.crawl.headers import Headers
from airless.crawl.request import Request
from airless.crawl.response import Response

MARK = "x-airless-cache"
PREFIX = "cache/"

_DIGEST_BYTES = 16
# RFC 9111 §3.1: about one connection, not about the page.
_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authentication-info",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
# RFC 9111 §3.2: what a 304 doesn't change. The body is kept decoded, so its coding stays what it was.
_NOT_UPDATED = _HOP_BY_HOP | {"content-length", "content-encoding", "content-range", MARK}
# Fields that differ on every answer: not worth a write of the page.
_PASSING = frozenset({"age", "date", "expires"})
# Requests that say for themselves what they take.
_OWN_CONDITIONS = frozenset(
    {
        "authorization",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "range",
    }
)


@dataclass(frozen=True, slots=True)
class _Entry:
    """A kept page. `varied` are the request's fields that Vary names, as they were."""

    url: str
    headers: Headers
    varied: dict[str, str | None]
    body: bytes
    stored_s: float

    def encode(self) -> bytes:
        head = orjson.dumps(
            {
                "url": self.url,
                "headers": self.headers.items_list(),
                "varied": self.varied,
                "stored_s": self.stored_s,
            }
        )
        kept = head + b"\n" + self.body
        return blake2b(kept, digest_size=_DIGEST_BYTES).digest() + kept

    @classmethod
    def decode(cls, data: bytes, url: str) -> _Entry | None:
        """The page kept for `url`; None for bytes that are damaged, or another page's."""
        digest, kept = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
        if blake2b(kept, digest_size=_DIGEST_BYTES).digest() != digest:
            return None
        head, _, body = kept.partition(b"\n")
        known = orjson.loads(head)
        if known["url"] != url:
            return None
        fields = [(name, value) for name, value in known["headers"]]
        return cls(url, Headers(fields), known["varied"], body, known["stored_s"])


class CachingFetcher:
    """A Fetcher around another: a page that hasn't changed isn't sent again.

    Kept are the 200 answers to GET that have an ETag or a Last-Modified, unless Cache-Control says no-store
    or Vary says ``*``. A 304 is answered with the kept page, status 200, and ``x-airless-cache:
    revalidated``. Entries that are damaged are fetched anew.
    """

    def __init__(self, inner: Fetcher, objects: Objects, clock: Clock) -> None:
        self._inner = inner
        self._objects = objects
        self._clock = clock

    async def fetch(self, request: Request) -> Response:
        """As the inner fetcher's; raises what it and the object store raise."""
        if not _cacheable_request(request):
            return await self._inner.fetch(request)
        name = _name(request.url)
        stored = await self._objects.get(name)
        entry = _Entry.decode(stored, request.url) if stored is not None else None
        conditions = _conditions(entry, request) if entry is not None else {}
        if entry is not None and conditions:
            response = await self._inner.fetch(_with_headers(request, conditions))
            response.request = request
            if response.status == 304:
                if _same_page(entry, response.headers):
                    return await self._revalidated(name, entry, request, response)
                response = await self._inner.fetch(request)
        else:
            response = await self._inner.fetch(request)
        if response.status == 200:
            if _storable(response.headers):
                await self._objects.put(name, self._entry(request, response).encode())
            elif stored is not None:
                await self._objects.delete([name])
        return _unmarked(response)

    async def aclose(self) -> None:
        """Close the inner fetcher. The object store is its opener's."""
        await self._inner.aclose()

    def _entry(self, request: Request, response: Response) -> _Entry:
        dropped = _HOP_BY_HOP | {MARK} | set(_list(response.headers.get_all("connection")))
        fields = [field for field in response.headers.items_list() if field[0] not in dropped]
        varied = {field: _sent(request, field) for field in _list(response.headers.get_all("vary"))}
        return _Entry(request.url, Headers(fields), varied, response.body, self._clock.now())

    async def _revalidated(self, name: str, entry: _Entry, request: Request, response: Response) -> Response:
        headers = _updated(entry.headers, response.headers)
        if _lasting(headers) != _lasting(entry.headers):
            changed = _Entry(entry.url, headers, entry.varied, entry.body, self._clock.now())
            await self._objects.put(name, changed.encode())
        return Response(
            request.url,
            200,
            Headers([*headers.items_list(), (MARK, "revalidated")]),
            entry.body,
            request=request,
            elapsed_s=response.elapsed_s,
            wire_bytes=response.wire_bytes,
            address=response.address,
        )


def _name(url: str) -> str:
    return PREFIX + blake2b(url.encode(), digest_size=16).hexdigest()


def _list(values: Sequence[str]) -> list[str]:
    """The members of a comma-separated field, in lower case."""
    return [member.strip().lower() for value in values for member in value.split(",") if member.strip()]


def _sent(request: Request, field: str) -> str | None:
    for name, value in (request.headers or {}).items():
        if name.lower() == field:
            return value
    return None


def _cacheable_request(request: Request) -> bool:
    if request.method != "GET" or request.body is not None:
        return False
    sent = {name.lower() for name in request.headers or ()}
    cache_control = _sent(request, "cache-control") or ""
    return not sent & _OWN_CONDITIONS and "no-store" not in _list([cache_control])


def _storable(headers: Headers) -> bool:
    if "etag" not in headers and "last-modified" not in headers:
        return False
    return "no-store" not in _list(headers.get_all("cache-control")) and "*" not in _list(
        headers.get_all("vary")
    )


def _conditions(entry: _Entry, request: Request) -> dict[str, str]:
    """The fields that make a request conditional (RFC 9111 §4.3.1); none for another variant."""
    if any(_sent(request, field) != value for field, value in entry.varied.items()):
        return {}
    conditions: dict[str, str] = {}
    if "etag" in entry.headers:
        conditions["If-None-Match"] = entry.headers["etag"]
    # Cookies are added further in, so whether they are as they were isn't known here; a date can't tell pages
    # of two users apart, while an entity tag can.
    if "last-modified" in entry.headers and "cookie" not in entry.varied:
        conditions["If-Modified-Since"] = entry.headers["last-modified"]
    return conditions


def _with_headers(request: Request, more: dict[str, str]) -> Request:
    conditional = copy.copy(request)
    conditional.headers = {**(request.headers or {}), **more}
    return conditional


def _same_page(entry: _Entry, headers: Headers) -> bool:
    """Whether a 304 is about the kept page (RFC 9111 §4.3.4): a tag that it has is the page's."""
    tag = headers.get("etag")
    kept = entry.headers.get("etag")
    if tag is None or kept is None:
        return True
    return tag.removeprefix("W/") == kept.removeprefix("W/")


def _updated(kept: Headers, new: Headers) -> Headers:
    """The kept fields, those that a 304 repeats replaced by its own (RFC 9111 §3.2)."""
    skipped = _NOT_UPDATED | set(_list(new.get_all("connection")))
    fields = [field for field in new.items_list() if field[0] not in skipped]
    replaced = {name for name, _ in fields}
    return Headers([*(field for field in kept.items_list() if field[0] not in replaced), *fields])


def _lasting(headers: Headers) -> list[tuple[str, str]]:
    return sorted(field for field in headers.items_list() if field[0] not in _PASSING)


def _unmarked(response: Response) -> Response:
    """The mark is ours alone: a server that sends it doesn't get it counted."""
    if MARK in response.headers:
        response.headers = Headers([f for f in response.headers.items_list() if f[0] != MARK])
    return response
