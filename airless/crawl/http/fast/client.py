"""The fetcher for the common case: no task and no timer a page, and where nothing is waited for no coroutine."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airless.crawl.compiled import speed
from airless.crawl.errors import ConnectError, FetchError, ProtocolError
from airless.crawl.fetch import Answered, Exchange, Result
from airless.crawl.headers import Headers
from airless.crawl.http.addresses import system_lookup
from airless.crawl.http.fast.closing import close
from airless.crawl.http.fast.connection import Connection
from airless.crawl.http.fast.dial import Dialler
from airless.crawl.http.fast.head import Heads, common, is_target, request_head
from airless.crawl.http.fast.names import Names
from airless.crawl.http.fast.origin import Origin, origin, split
from airless.crawl.http.fast.pool import Pool
from airless.crawl.http.fetching import Fetching
from airless.crawl.request import IDEMPOTENT, Request
from airless.crawl.response import Response

if TYPE_CHECKING:
    from airless.crawl.http.client import AiohttpFetcher

_ORIGINS = 10_000
# Of a class they would be looked up for each page.
_received = Response.received
_from_wire = Headers.from_wire
# Of pages that are worked on together. Without the scanner each has a tree, which is many times as large: one by one.
_TOGETHER_BYTES = 0 if speed is None else 2 * 1024 * 1024


class FastFetcher:
    """A QuickFetcher (airless.crawl.fetch) over HTTP/1.1, for what crawls do nearly always.

    `concurrency` and `per_host` bound the connections, `page_bytes` one decoded body. Connections belong to
    the event loop of the first fetch; a fetch on another loop opens new ones. URLs go on the wire as they
    are. A kept connection that the server had closed in the meantime costs an idempotent request nothing: it
    is sent again on another. What goes through a proxy, and requests that frame themselves, are an
    AiohttpFetcher's.
    """

    def __init__(self, fetching: Fetching) -> None:
        http = fetching.http
        self._fetching = fetching
        self._http = http
        self._concurrency = fetching.concurrency
        self._per_host = fetching.per_host
        self._page_bytes = fetching.page_bytes
        self._guard = fetching.guard
        self._clock = fetching.clock
        self._cookies = fetching.cookies
        self._lookup = system_lookup(http.resolve)
        self._heads = Heads(http)
        self._origins: dict[str, tuple[Origin, str, bytes]] = {}
        self._pool: Pool | None = None
        self._names: Names | None = None
        self._other: AiohttpFetcher | None = None
        self._common = http.proxy is None and common(http.headers)
        if not self._common:
            # Settings that can't be used are said at once.
            self._handed_over()

    async def fetch(self, request: Request) -> Response:
        """The whole answer, whatever its status. Raises FetchError where there is none."""
        if not self._common or not (request.headers is None or common(request.headers)):
            return await self._handed_over().fetch(request)
        pool = self._pool
        if pool is None or pool.loop is not asyncio.get_running_loop():
            pool = await self._opened()
        started_s = self._clock.monotonic()
        deadline_s = started_s + self._http.timeout_s
        site, key, head = self._prepared(request)
        while True:
            connection = pool.lease(key, deadline_s)
            if connection is None:
                connection = await pool.open(site, _what(request), deadline_s)
            try:
                await _answered(connection, head, request, request.max_bytes or self._page_bytes)
                return self._response(connection, self._clock.monotonic() - started_s)
            except (ConnectError, ProtocolError):
                # Each round takes a stale connection out of the pool; the one that is new decides.
                if not (connection.stale and request.method in IDEMPOTENT):
                    raise
            finally:
                pool.give_back(connection)

    def begin(self, asked: Sequence[tuple[Request, Any]], answered: Answered) -> list[Exchange | None]:
        """As in QuickFetcher: plain requests begin, as far as connections are kept for them."""
        pool = self._pool
        # Not asked of asyncio, which asks the system for the process's number each time.
        if pool is None or not pool.loop.is_running():
            return [None] * len(asked)
        started_s = self._clock.monotonic()
        deadline_s = started_s + self._http.timeout_s
        origins, cookies, answers = self._origins, bool(self._cookies), pool.answers
        begun: list[Exchange | None] = []
        for request, whose in asked:
            connection = head = known = None
            if request.method == "GET" and request.headers is None and request.body is None:
                url = request.url
                cut = url.find("/", 8)
                known = origins.get(url[:cut])
                if known is not None:
                    head = self._with_cookies(request) if cookies else request_head(url, cut, known[2])
            if known is not None and head is not None:
                connection = pool.lease(known[1], deadline_s)
                if connection is not None:
                    connection.started_s = started_s
                    connection.whose = whose
                    connection.answered = answered
                    connection.ask(head, request, request.max_bytes or self._page_bytes, True, answers)
            begun.append(connection)
        return begun

    def _with_cookies(self, request: Request) -> bytes | None:
        """A request's head; None where it can't be sent."""
        try:
            return self._prepared(request)[2]
        except FetchError:
            return None

    def _ended(self, pool: Pool, connections: Sequence[Connection]) -> None:
        """What was begun without a coroutine is over."""
        now_s = self._clock.monotonic()
        told: Answered | None = None
        together: list[tuple[Any, Result]] = []
        groups: list[tuple[Answered, list[tuple[Any, Result]]]] = []
        size = 0
        for connection in connections:
            answered = connection.answered
            if answered is None:
                # Abandoned since.
                continue
            if answered is not told or size > _TOGETHER_BYTES:
                told, together, size = answered, [], 0
                groups.append((told, together))
            result: Result = connection.fault
            if result is None:
                try:
                    result = self._response(connection, now_s - connection.started_s)
                    size += len(result.body)
                except FetchError as fault:
                    result = fault
            elif connection.stale and isinstance(result, (ConnectError, ProtocolError)):
                result = None
            together.append((connection.whose, result))
        pool.give_back(*[connection for connection in connections if connection.answered is not None])
        for told, together in groups:
            told(together)

    def _response(self, connection: Connection, elapsed_s: float) -> Response:
        """The answer that is complete. Raises FetchError where its body can't be decoded."""
        request = connection.request
        plain = connection.take()
        if plain is None:
            status, headers, body, wire_bytes = connection.result()
        else:
            status, fields, body, coded = plain
            headers, wire_bytes = _from_wire(fields), len(body)
            if coded:
                body = connection.decoded(headers, body)
        response = _received(
            request.url, status, headers, body, request, wire_bytes, connection.address, elapsed_s
        )
        if self._cookies is not None and headers.get("set-cookie") is not None:
            self._cookies.take(request.url, headers, self._clock.now())
        return response

    async def aclose(self) -> None:
        """Close every connection. A later fetch opens the fetcher again."""
        other, self._other = self._other, None
        if other is not None:
            await other.aclose()
        await self._closed()

    def _prepared(self, request: Request) -> tuple[Origin, str, bytes]:
        """Where a request goes, the key of its connections, and its head. Raises ProtocolError."""
        prefix, target = split(request.url)
        site, key, rest = self._origins.get(prefix) or self._read(prefix, request)
        if not is_target(target):
            raise ProtocolError(f"{_what(request)}: not a URL in the URL standard's serialisation")
        cookie = None if not self._cookies else self._cookies.header(request.url, self._clock.now())
        if request.method == "GET" and cookie is None and request.headers is None and request.body is None:
            return site, key, b"GET %b%b" % (target.encode(), rest)
        return site, key, self._heads.special(request, site, target, cookie, _what(request))

    async def _opened(self) -> Pool:
        await self._closed()
        self._names = Names(self._lookup)
        self._pool = Pool(
            Dialler(self._names, self._guard, self._http.connect_timeout_s),
            self._clock,
            self._ended,
            concurrency=self._concurrency,
            per_host=self._per_host,
            timeout_s=self._http.timeout_s,
        )
        return self._pool

    async def _closed(self) -> None:
        pool, names = self._pool, self._names
        self._pool = self._names = None
        if pool is not None and names is not None:
            await close(pool, names)

    def _read(self, prefix: str, request: Request) -> tuple[Origin, str, bytes]:
        what = _what(request)
        site = origin(prefix, what)
        if len(self._origins) >= _ORIGINS:
            self._origins.clear()
        known = self._origins[prefix] = site, site.key, self._heads.rest(site, what)
        return known

    def _handed_over(self) -> AiohttpFetcher:
        if self._other is None:
            # A crawl seldom needs it, and to import it takes as long as to fetch a thousand pages.
            from airless.crawl.http.client import AiohttpFetcher

            self._other = AiohttpFetcher(self._fetching)
        return self._other


async def _answered(connection: Connection, head: bytes, request: Request, limit_bytes: int) -> None:
    """Ask, and wait for the answer. Raises FetchError where there is none."""
    waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def told(_: Connection, error: FetchError | None) -> None:
        if waiting.done():
            return
        if error is None:
            waiting.set_result(None)
        else:
            waiting.set_exception(error)

    if not connection.ready:
        raise ConnectError(f"{_what(request)}: the connection was closed before the request")
    body = request.body
    plain = request.method == "GET" and not body
    connection.ask(head + body if body else head, request, limit_bytes, plain, told)
    await waiting


def _what(request: Request) -> str:
    """The page's name in errors."""
    return f"{request.method} {request.url}"
