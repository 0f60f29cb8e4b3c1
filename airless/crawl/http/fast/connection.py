"""One connection: a request goes out, and whoever sent it is called when its answer is in."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from math import inf
from typing import Any, cast

import httptools

from airless.crawl.errors import FetchError, ProtocolError, TruncatedBody
from airless.crawl.fetch import Answered
from airless.crawl.headers import Headers
from airless.crawl.http.bodies import Body, codings, whole_gzip
from airless.crawl.http.fast.answer import Answer
from airless.crawl.http.fast.arrivals import Arrivals
from airless.crawl.http.fast.gathering import Outbox
from airless.crawl.http.fast.line import LineProtocol

Told = Callable[["Connection", FetchError | None], None]
Keep = Callable[["Connection"], None]

# One head, a trailer, or the frames of chunks without a byte of body between them.
_FRAMING_BYTES = 256 * 1024


class Connection(LineProtocol):
    """The client's end of HTTP/1.1 on one transport, one exchange at a time.

    `buffer` is where bytes are read to; all connections of a loop share it, since nothing is left in it when
    a read has been told of. `keep` is called when an exchange was abandoned, `lost` once, when the connection is
    `gone`. `deadline_s` is the time at which whoever watches calls `expire`.

    Whoever calls `ask` is told of the end: when the answer is complete, or with the FetchError that stopped it.
    After a failure `stale` says whether the connection may have been closed, or had bytes left on it, before the
    request came to the server.
    """

    __slots__ = (
        "_answer",
        "_arrivals",
        "_error",
        "_framing_bytes",
        "_lost",
        "_progress",
        "_transport",
        "address",
        "answered",
        "deadline_s",
        "fault",
        "gone",
        "idle",
        "keep",
        "key",
        "sock",
        "stale",
        "started_s",
        "whose",
    )

    # Whoever asks's.
    answered: Answered | None
    started_s: float
    whose: Any

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
        super().__init__(buffer, -1 if tls else sock.fileno(), outbox)
        self.key = key
        self.address = address
        self.sock = sock
        self.deadline_s = inf
        self.idle = False
        self.gone = False
        self.fault: FetchError | None = None
        self.stale = False
        self._arrivals = None if tls else arrivals
        self._error: OSError | None = None
        self.keep = keep
        self._lost = lost
        self._answer: Answer | None = None

    def open(self) -> None:
        """The transport is there: read from now on."""
        if self._arrivals is not None and not self.gone:
            self._transport.pause_reading()
            self._arrivals.watch(self.sock.fileno(), self)

    @property
    def what(self) -> str:
        """The page's name in errors."""
        return f"{self.request.method} {self.request.url}"

    def result(self) -> tuple[int, Headers, bytes, int]:
        """Status, fields and decoded body of an answer that was parsed, and its body's bytes on the wire.

        Raises FetchError where the body can't be decoded.
        """
        answer = self._parsed
        return answer.status, answer.headers(), answer.body(), answer.wire_bytes

    def decoded(self, headers: Headers, coded: bytes) -> bytes:
        """A body without its content coding. Raises FetchError where it can't be had."""
        if headers.get("content-encoding") == "gzip":
            whole = whole_gzip(coded, self.limit_bytes)
            if whole is not None:
                return whole
        body = Body(self.what, codings(headers), self.limit_bytes)
        body.feed(coded)
        return body.finish()

    def expire(self, error: FetchError) -> None:
        """Give up the exchange that is under way, if one is."""
        if self.told is not None:
            self._fail(error)

    def abandon(self) -> None:
        """Give up the exchange that is under way, tell nobody, and leave the connection to whoever keeps it."""
        self.told = self.answered = None
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
        if not self.parsed:
            self.parsed = True
            self._framing_bytes = self._progress = 0
            answer.begin(self.request, self.limit_bytes)
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
