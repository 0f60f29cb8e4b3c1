"""The fetcher that speaks HTTP/2 with servers that choose it, and leaves the rest to the one for HTTP/1.1."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from airless.crawl.errors import FetchError, FetchTimeout, ProtocolError
from airless.crawl.http.addresses import system_lookup
from airless.crawl.http.fast import FastFetcher
from airless.crawl.http.fast.closing import close
from airless.crawl.http.fast.head import Heads, common, is_target
from airless.crawl.http.fast.names import Names
from airless.crawl.http.fast.origin import Origin, origin, split
from airless.crawl.http.fetching import Fetching
from airless.crawl.http.http2.dial import TlsDialler
from airless.crawl.http.http2.exchange import Again, Exchange
from airless.crawl.http.http2.pool import Pool
from airless.crawl.request import IDEMPOTENT, Request
from airless.crawl.response import Response

_TRIES = 3
# RFC 9113 §8.2.2, beside those that no request may have that is framed for it.
_OF_HTTP_1_1 = frozenset({"keep-alive", "proxy-connection"})


class Http2Fetcher:
    """A Fetcher (airless.crawl.fetch) over HTTP/2 on TLS, where the server chooses it (ALPN).

    A host has one connection, with up to `per_host` requests on it at once. What the server says it hasn't
    looked at is sent again on another, as is what is idempotent when a kept connection breaks. Plain http,
    servers without HTTP/2 (which costs each of them one handshake more), proxies, and requests that frame
    themselves are a FastFetcher's.
    """

    def __init__(self, fetching: Fetching) -> None:
        self._fetching = fetching
        self._fast = FastFetcher(fetching)
        self._lookup = system_lookup(fetching.http.resolve)
        self._heads = Heads(fetching.http)
        self._all_over_http_1_1 = fetching.http.proxy is not None or not _fits(fetching.http.headers)
        self._pool: Pool | None = None
        self._names: Names | None = None

    async def fetch(self, request: Request) -> Response:
        """The whole answer, whatever its status. Raises FetchError where there is none."""
        if self._all_over_http_1_1 or not request.url.startswith("https:") or not _fits(request.headers):
            return await self._fast.fetch(request)
        what = f"{request.method} {request.url}"
        prefix, target = split(request.url)
        site = origin(prefix, what)
        if not is_target(target):
            raise ProtocolError(f"{what}: not a URL in the URL standard's serialisation")
        pool = self._pool
        if pool is None or pool.loop is not asyncio.get_running_loop():
            pool = await self._opened()
        if pool.speaks_http_1_1(site.key):
            return await self._fast.fetch(request)
        clock, timeout_s = self._fetching.clock, self._fetching.http.timeout_s
        started_s = clock.monotonic()
        try:
            async with asyncio.timeout(timeout_s):
                response = await self._answer(pool, request, site, target, what)
                if response is None:
                    return await self._fast.fetch(request)
        except TimeoutError as error:
            raise FetchTimeout(f"{what}: not done in {timeout_s:g} s") from error
        response.elapsed_s = clock.monotonic() - started_s
        cookies = self._fetching.cookies
        if cookies is not None:
            cookies.take(request.url, response.headers, clock.now())
        return response

    async def aclose(self) -> None:
        """Close every connection. A later fetch opens the fetcher again."""
        await self._fast.aclose()
        await self._closed()

    async def _answer(
        self, pool: Pool, request: Request, site: Origin, target: str, what: str
    ) -> Response | None:
        """The answer, or None where the server wants to be asked over HTTP/1.1."""
        fields = self._fields(request, site, target, what)
        limit_bytes = request.max_bytes or self._fetching.page_bytes
        async with pool.turn(site.key):
            left = _TRIES
            while True:
                left -= 1
                connection = await pool.connection(site, what)
                if connection is None:
                    return None
                exchange = Exchange(request, what, limit_bytes)
                stream_id = connection.ask(exchange, fields)
                try:
                    await exchange.done
                    return Response(
                        request.url,
                        exchange.status,
                        exchange.headers,
                        exchange.body(),
                        request=request,
                        wire_bytes=exchange.wire_bytes,
                        address=connection.address,
                    )
                except FetchError:
                    if exchange.again is Again.HTTP_1_1:
                        pool.note_http_1_1(site.key)
                        return None
                    if not (left and _may_be_sent_again(exchange, request)):
                        raise
                finally:
                    connection.leave(stream_id)

    def _fields(self, request: Request, site: Origin, target: str, what: str) -> list[tuple[bytes, bytes]]:
        """A request's fields in their order, those of RFC 9113 §8.3.1 first."""
        cookies = self._fetching.cookies
        cookie = None if cookies is None else cookies.header(request.url, self._fetching.clock.now())
        head = self._heads.special(request, site, target, cookie, what)
        first, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
        pairs = [line.split(b": ", 1) for line in lines]
        fields = {name.lower(): value for name, value in pairs}
        return [
            (b":method", first.split(b" ", 1)[0]),
            (b":authority", fields.pop(b"host")),
            (b":scheme", b"https"),
            (b":path", target.encode()),
            *fields.items(),
        ]

    async def _opened(self) -> Pool:
        await self._closed()
        fetching = self._fetching
        self._names = Names(self._lookup)
        self._pool = Pool(
            TlsDialler(self._names, fetching.guard, fetching.http.connect_timeout_s),
            concurrency=fetching.concurrency,
            per_host=fetching.per_host,
        )
        return self._pool

    async def _closed(self) -> None:
        pool, names = self._pool, self._names
        self._pool = self._names = None
        if pool is not None and names is not None:
            await close(pool, names)


def _fits(fields: Mapping[str, str] | None) -> bool:
    """Whether HTTP/2 has the fields too."""
    return common(fields) and not any(name.lower() in _OF_HTTP_1_1 for name in fields or ())


def _may_be_sent_again(exchange: Exchange, request: Request) -> bool:
    if exchange.again is Again.IDEMPOTENT:
        return request.method in IDEMPOTENT
    return exchange.again is Again.ANY
