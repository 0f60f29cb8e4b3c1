"""The fetcher on aiohttp: one request in, one response out, over a pool of connections."""

from __future__ import annotations

import asyncio
import re
from base64 import b64encode
from urllib.parse import unquote_to_bytes

import aiohttp
from aiohttp.client_middlewares import ClientHandlerType
from aiohttp.client_reqrep import ClientRequest, ClientResponse
from yarl import URL

from airless.core.errors import ConfigError
from airless.crawl.errors import ConnectError, FetchTimeout, ProtocolError, TruncatedBody
from airless.crawl.headers import Headers
from airless.crawl.http.addresses import system_lookup
from airless.crawl.http.bodies import ACCEPT_ENCODING, Body, codings
from airless.crawl.http.dialling import Dial, DialRequest, GuardedConnector
from airless.crawl.http.faults import unanswered, unfinished
from airless.crawl.http.fetching import Fetching
from airless.crawl.request import IDEMPOTENT, Request
from airless.crawl.response import Response

_READ_BYTES = 64 * 1024
_LINE_BYTES = 8 * 1024
_FIELD_BYTES = 32 * 1024
_FIELDS = 256
_ACCEPT = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
_NOT_IN_A_URL = re.compile(r"[^\x21-\x7e]")


class AiohttpFetcher:
    """A Fetcher (airless.crawl.fetch) over HTTP/1.1.

    The session opens with the first fetch and belongs to that event loop; a fetch on another loop opens a new
    one. URLs go on the wire as they are. A kept connection that the server had closed in the meantime costs an
    idempotent request nothing: it is sent again on another. With `http.proxy` the guard sees the proxy, and
    in URLs address literals only: which address the proxy takes for a name is its own business, and
    `Response.address` is the proxy's.
    """

    def __init__(self, fetching: Fetching) -> None:
        http = fetching.http
        self._fetching = fetching
        self._lookup = system_lookup(http.resolve)
        self._proxy = _proxy(http.proxy)
        defaults = {
            "User-Agent": http.user_agent,
            "Accept": _ACCEPT,
            "Accept-Encoding": ACCEPT_ENCODING,
            **http.headers,
        }
        self._defaults = {name.lower(): (name, value) for name, value in defaults.items()}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._session: aiohttp.ClientSession | None = None

    async def fetch(self, request: Request) -> Response:
        """The whole answer, whatever its status. Raises FetchError where there is none."""
        started_s = self._fetching.clock.monotonic()
        what = f"{request.method} {request.url}"
        try:
            async with asyncio.timeout(self._fetching.http.timeout_s):
                response = await self._answer(request, what)
        except TimeoutError as error:
            raise FetchTimeout(f"{what}: not done in {self._fetching.http.timeout_s:g} s") from error
        response.elapsed_s = self._fetching.clock.monotonic() - started_s
        if self._fetching.cookies is not None:
            self._fetching.cookies.take(request.url, response.headers, self._fetching.clock.now())
        return response

    async def aclose(self) -> None:
        """Close every connection. A later fetch opens the fetcher again."""
        session, loop = self._session, self._loop
        self._session = self._loop = None
        if session is None:
            return
        if loop is asyncio.get_running_loop():
            await session.close()
        else:
            await _abandon(session, loop)

    async def _opened(self) -> aiohttp.ClientSession:
        if self._session is not None and self._loop is not asyncio.get_running_loop():
            await self.aclose()
        if self._session is None:
            self._loop = asyncio.get_running_loop()
            self._session = aiohttp.ClientSession(
                connector=GuardedConnector(
                    guard=self._fetching.guard,
                    lookup=self._lookup,
                    proxy_host=self._proxy.raw_host if self._proxy is not None else None,
                    limit=self._fetching.concurrency,
                    limit_per_host=self._fetching.per_host,
                ),
                request_class=DialRequest,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._fetching.http.connect_timeout_s),
                read_bufsize=_READ_BYTES,
                max_line_size=_LINE_BYTES,
                max_field_size=_FIELD_BYTES,
                max_headers=_FIELDS,
            )
        return self._session

    async def _answer(self, request: Request, what: str) -> Response:
        target, credentials = _target(request.url, what)
        headers = self._headers(request, credentials)
        session = await self._opened()
        while True:
            exchange = _Exchange(what)
            try:
                answer = await session.request(
                    request.method,
                    target,
                    headers=headers,
                    data=request.body,
                    # A type that is unknown is not to be made up (RFC 9110 §8.3).
                    skip_auto_headers=None if request.method == "GET" else ("Content-Type",),
                    allow_redirects=False,
                    proxy=self._proxy,
                    middlewares=(exchange,),
                )
            except (ConnectError, ProtocolError):
                # Each round takes a stale connection out of the pool; the one that is new decides.
                if exchange.stale and request.method in IDEMPOTENT:
                    continue
                raise
            except (aiohttp.ClientError, OSError, ValueError) as error:
                raise unanswered(what, error) from error
            async with answer:
                return await self._read(request, what, answer, exchange.dial)

    def _headers(self, request: Request, credentials: str | None) -> dict[str, str]:
        fields = dict(self._defaults)
        if credentials is not None:
            fields["authorization"] = ("Authorization", credentials)
        if self._fetching.cookies is not None:
            cookie = self._fetching.cookies.header(request.url, self._fetching.clock.now())
            if cookie is not None:
                fields["cookie"] = ("Cookie", cookie)
        if request.headers:
            for name, value in request.headers.items():
                fields[name.lower()] = (name, value)
        return dict(fields.values())

    async def _read(self, request: Request, what: str, answer: ClientResponse, dial: Dial) -> Response:
        if answer.status < 200:
            raise ProtocolError(f"{what}: the answer has the status {answer.status}")
        headers = Headers([(_text(name), _text(value)) for name, value in answer.headers.items()])
        for coding in headers.get_all("transfer-encoding"):
            if coding.strip().lower() not in ("chunked", "identity"):
                raise ProtocolError(f"{what}: the transfer coding {coding!r} was not asked for")
        has_body = request.method != "HEAD" and answer.status not in (204, 304)
        body = Body(
            what, codings(headers) if has_body else (), request.max_bytes or self._fetching.page_bytes
        )
        if has_body and answer.content_length is not None:
            body.expect(answer.content_length)
        dial.reads(answer.content)
        try:
            while chunk := await answer.content.read(_READ_BYTES):
                body.feed(chunk)
        except (aiohttp.ClientError, OSError) as error:
            raise unfinished(what, error) from error
        # Without a length the body ends with the connection, and a reset is no end (RFC 9112 §8).
        delimited = "content-length" in headers or "transfer-encoding" in headers
        if has_body and not delimited and dial.protocol is not None:
            broken = dial.protocol.exception()
            if isinstance(broken, OSError):
                raise TruncatedBody(f"{what}: the connection was reset within the body") from broken
        return Response(
            request.url,
            answer.status,
            headers,
            body.finish(),
            request=request,
            wire_bytes=body.wire_bytes,
            address=dial.address,
        )


class _Exchange:
    """One try of one request, as aiohttp's middleware: tells the connector where to note the connection.

    Connection faults leave here in our terms, which aiohttp doesn't retry: it would even on a new connection.
    """

    __slots__ = ("_what", "dial", "stale")

    def __init__(self, what: str) -> None:
        self._what = what
        self.dial = Dial()
        self.stale = False

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        if isinstance(request, DialRequest):
            request.dial = self.dial
        try:
            return await handler(request)
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError, aiohttp.ClientResponseError) as error:
            # Where a part of the answer had come, aiohttp hands it out in place of a sentence.
            begun = isinstance(error, aiohttp.ServerDisconnectedError) and not isinstance(error.message, str)
            # What can't be parsed may be left over from the exchange before.
            self.stale = self.dial.reused and not begun
            raise unanswered(self._what, error) from error


def _proxy(url: str | None) -> URL | None:
    if url is None:
        return None
    try:
        proxy = URL(url)
    except ValueError as error:
        raise ConfigError(f"proxy: {url!r} is no URL") from error
    if proxy.scheme not in ("http", "https") or not proxy.raw_host:
        raise ConfigError(f"proxy: {url!r} must look like http://host:port")
    return proxy


def _target(url: str, what: str) -> tuple[URL, str | None]:
    """The URL as aiohttp takes it, and the Authorization that its user and password stand for.

    Path and query go in as one opaque string: taken apart and put together, an empty query would lose its
    mark.
    """
    scheme, mark, rest = url.partition("://")
    if scheme not in ("http", "https") or not mark or _NOT_IN_A_URL.search(rest):
        raise ProtocolError(f"{what}: not an http(s) URL in the URL standard's serialisation")
    authority, _, path = rest.partition("#")[0].partition("/")
    credentials, at, host = authority.rpartition("@")
    try:
        target = URL.build(scheme=scheme, authority=host, path=f"/{path}", encoded=True)
        usable = bool(target.raw_host) and target.port is not None
    except ValueError as error:
        raise ProtocolError(f"{what}: the URL can't be used: {error}") from error
    if not usable:
        raise ProtocolError(f"{what}: the URL names no host")
    if not at:
        return target, None
    user, _, password = credentials.partition(":")
    pair = unquote_to_bytes(user) + b":" + unquote_to_bytes(password)
    return target, f"Basic {b64encode(pair).decode()}"


def _text(field: str) -> str:
    """A field sent in UTF-8 as that, any other as ISO 8859-1 (RFC 9110 §5.5): no lone surrogates."""
    if field.isascii():
        return field
    raw = field.encode("utf-8", "surrogateescape")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


async def _abandon(session: aiohttp.ClientSession, loop: asyncio.AbstractEventLoop | None) -> None:
    """Let go of a session of another event loop, on which alone its connections can be closed in order."""
    if loop is not None and not loop.is_closed():
        asyncio.run_coroutine_threadsafe(session.close(), loop)
        return
    connector = session.connector
    session.detach()
    if connector is not None:
        await connector.close()
