"""One connection: a request goes out, and whoever sent it is called when its answer is in."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from math import inf
from typing import cast

import httptools

from airless.crawl.errors import ConnectError, FetchError, ProtocolError, TruncatedBody
from airless.crawl.headers import Headers
from airless.crawl.http.bodies import Body, codings, whole_gzip
from airless.crawl.http.fast.answer import Answer
from airless.crawl.http.fast.arrivals import Arrivals
from airless.crawl.http.fast.line import LineProtocol
from airless.crawl.http.fast.outbox import Outbox
from airless.crawl.request import Request
from airless.crawl.response import Response

Told = Callable[["Connection", FetchError | None], None]
Keep = Callable[["Connection"], None]

# One head, a trailer, or the frames of chunks without a byte of body between them.
_FRAMING_BYTES = 256 * 1024


class Connection(LineProtocol):
    """The client's end of HTTP/1.1 on one transport, one exchange at a time.

    `buffer` is where bytes are read to; all connections of a loop share it, since nothing is left in it when
    a read has been told of. `keep` is called when an exchange was abandoned, `lost` once, when the connection is
    `gone`. `answered` and `started_s` are whoever asks's. `deadline_s` is the time at
    which whoever watches calls `expire`, `ready` says whether a request can be sent, `reused` whether one has
    been answered.
    """

    __slots__ = (
        "_answer",
        "_arrivals",
        "_error",
        "_framing_bytes",
        "_limit_bytes",
        "_lost",
        "_outbox",
        "_parses",
        "_progress",
        "_transport",
        "address",
        "answered",
        "deadline_s",
        "gone",
        "idle",
        "keep",
        "key",
        "request",
        "sock",
        "stale",
        "started_s",
    )

    def __init__(
        self,
        key: str,
        address: str,
        sock: socket.socket,
        buffer: memoryview,
        outbox: Outbox,
        arrivals: Arrivals | None,
        keep: Keep,
        lost: Keep,
        *,
        tls: bool,
    ) -> None:
        super().__init__(buffer, -1 if tls else sock.fileno())
        self.key = key
        self.address = address
        self.sock = sock
        self.deadline_s = inf
        self.idle = False
        self.gone = False
        self.stale = False
        self._outbox = outbox
        self._arrivals = None if tls else arrivals
        self._error: OSError | None = None
        self.keep = keep
        self._lost = lost
        self._answer: Answer | None = None

    answered: Callable[[Response | FetchError | None], None]
    request: Request
    started_s: float

    def open(self) -> None:
        """The transport is there: read from now on."""
        if self._arrivals is not None and not self.gone:
            self._transport.pause_reading()
            self._arrivals.watch(self.sock.fileno(), self)

    def ask(self, head: bytes, request: Request, limit_bytes: int, told: Told) -> None:
        """Send a request. `told` is called when the answer is complete, or with the FetchError that stopped it.

        After a failure `stale` says whether the connection may have been closed, or had bytes left on it,
        before the request came to the server.
        """
        ready, body = self.ready, request.body
        self.request = request
        self._limit_bytes = limit_bytes
        self._parses = False
        self.expect(told, limit_bytes, request.method == "GET" and not body)
        if ready:
            self._outbox.put(self, head + body if body else head)
        else:
            self._fail(ConnectError(f"{self.what}: the connection was closed before the request"))

    @property
    def what(self) -> str:
        """The page's name in errors."""
        return f"{self.request.method} {self.request.url}"

    def result(self) -> tuple[int, Headers, bytes, int]:
        """Status, fields and decoded body of the answer, and the bytes that the body took on the wire.

        Raises FetchError where the body can't be decoded.
        """
        plain = self.take()
        if plain is None:
            answer = self._parsed
            return answer.status, answer.headers(), answer.body(), answer.wire_bytes
        status, fields, body, coded = plain
        headers = Headers.from_wire(fields)
        return status, headers, self._decoded(headers, body) if coded else body, len(body)

    def _decoded(self, headers: Headers, coded: bytes) -> bytes:
        if headers.get("content-encoding") == "gzip":
            whole = whole_gzip(coded, self._limit_bytes)
            if whole is not None:
                return whole
        body = Body(self.what, codings(headers), self._limit_bytes)
        body.feed(coded)
        return body.finish()

    def expire(self, error: FetchError) -> None:
        """Give up the exchange that is under way, if one is."""
        if self.told is not None:
            self._fail(error)

    def abandon(self) -> None:
        """Give up the exchange that is under way, tell nobody, and leave the connection to whoever keeps it."""
        self.told = None
        self.abort()
        self.keep(self)

    def abort(self) -> None:
        """Hang up now."""
        self.ready = False
        self._transport.abort()

    def write(self, data: bytes, /) -> None:
        self._transport.write(data)

    def hung_up(self, code: int, /) -> None:
        """The socket has come to its end, with an errno or with 0."""
        self.ready = False
        if self._arrivals is not None:
            self._arrivals.forget(self.sock.fileno())
        if code:
            self._error = OSError(code, os.strerror(code))
            self._transport.abort()
        else:
            self._transport.close()

    # The transport calls these.

    _transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def parse(self, nbytes: int, /) -> None:
        """Take what was read, of an answer that is no plain one."""
        answer = self._parsed
        told = self.told
        assert told is not None  # noqa: S101 - what nobody waits for isn't parsed
        try:
            answer.parser.feed_data(self.get_buffer(-1)[:nbytes])
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            answer.broken(error)
            self.stale = self.reused and isinstance(answer.fault, ProtocolError)
        if answer.fault is not None:
            self._fail(answer.fault)
        elif answer.complete:
            self.told = None
            # A server may answer before it has read what is sent to it.
            unread = self.request.body and self._transport.get_write_buffer_size()
            self.ready = answer.keeps_alive and not answer.stray and not unread
            self.reused = True
            told(self, None)
        else:
            self._unfinished(answer, nbytes)

    @property
    def _parsed(self) -> Answer:
        """The answer to this request, as the parser takes it."""
        answer = self._answer
        if answer is None:
            answer = self._answer = Answer()
        if not self._parses:
            self._parses = True
            self._framing_bytes = self._progress = 0
            answer.begin(self.request, self._limit_bytes)
        return answer

    def eof_received(self) -> None:
        self.ready = False

    def connection_lost(self, exc: Exception | None) -> None:
        self.ready = False
        self.gone = True
        if self._arrivals is not None:
            self._arrivals.forget(self.sock.fileno())
        self._lost(self)
        exc = exc or self._error
        told, self.told = self.told, None
        if told is None:
            return
        if self.plain:
            fault: FetchError = TruncatedBody(f"{self.what}: the connection ended within the body")
            fault.__cause__ = exc or EOFError("the server closed the connection")
            told(self, fault)
        else:
            answer = self._parsed
            self.stale = self.reused and not answer.begun
            answer.ended(exc)
            told(self, answer.fault)

    def _unfinished(self, answer: Answer, nbytes: int) -> None:
        """After a read that didn't end the answer: see whether it is going to."""
        if not answer.in_head and not answer.framed:
            answer.frame()
            if answer.fault is not None:
                self._fail(answer.fault)
                return
        if answer.progress > self._progress:
            self._progress = answer.progress
            self._framing_bytes = 0
        self._framing_bytes += nbytes
        if self._framing_bytes > _FRAMING_BYTES:
            why = "too much without the end of a head or a byte of body"
            self._fail(ProtocolError(f"{self.what}: {why}"))

    def _fail(self, error: FetchError) -> None:
        told, self.told = self.told, None
        self.abort()
        if told is not None:
            told(self, error)
