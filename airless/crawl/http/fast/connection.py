"""One connection: a request goes out, and whoever sent it is called when its answer is in."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from math import inf
from typing import cast

import httptools

from airless.crawl.errors import ConnectError, FetchError, ProtocolError
from airless.crawl.http.fast.answer import Answer
from airless.crawl.http.fast.outbox import Outbox
from airless.crawl.request import Request

Told = Callable[[FetchError | None], None]

# One head, a trailer, or the frames of chunks without a byte of body between them.
_FRAMING_BYTES = 256 * 1024


class Connection(asyncio.BufferedProtocol):
    """The client's end of HTTP/1.1 on one transport, one exchange at a time.

    `buffer` is where bytes are read to; all connections of a loop share it, since nothing is left in it when
    a read has been told of. `lost` is called once, when the connection is `gone`. `deadline_s` is the time at
    which whoever watches calls `expire`, `ready` says whether a request can be sent, `reused` whether one has
    been answered.
    """

    __slots__ = (
        "_buffer",
        "_framing_bytes",
        "_has_body",
        "_lost",
        "_outbox",
        "_progress",
        "_told",
        "_transport",
        "address",
        "answer",
        "deadline_s",
        "gone",
        "idle",
        "key",
        "ready",
        "reused",
        "sock",
        "stale",
    )

    def __init__(
        self,
        key: str,
        address: str,
        sock: socket.socket,
        buffer: memoryview,
        outbox: Outbox,
        lost: Callable[[Connection], None],
    ) -> None:
        self.key = key
        self.address = address
        self.sock = sock
        self.answer = Answer()
        self.deadline_s = inf
        self.idle = False
        self.gone = False
        self.ready = True
        self.reused = False
        self.stale = False
        self._buffer = buffer
        self._outbox = outbox
        self._has_body = False
        self._lost = lost
        self._told: Told | None = None

    def ask(self, head: bytes, request: Request, limit_bytes: int, told: Told) -> None:
        """Send a request. `told` is called when `answer` is complete, or with the FetchError that stopped it.

        After a failure `stale` says whether the connection may have been closed, or had bytes left on it,
        before the request came to the server.
        """
        self._told = told
        self._framing_bytes = self._progress = 0
        self.answer.begin(request, limit_bytes)
        if not self.ready:
            self._fail(ConnectError(f"{self.answer.what}: the connection was closed before the request"))
            return
        self.ready = False
        body = request.body
        self._has_body = bool(body)
        self._outbox.put(self, head + body if body else head)

    def send(self, data: bytes) -> None:
        """What the outbox has held until now; nothing where the exchange has ended in the meantime."""
        if self._told is not None:
            self._transport.write(data)

    def expire(self, error: FetchError) -> None:
        """Give up the exchange that is under way, if one is."""
        if self._told is not None:
            self._fail(error)

    def forsake(self) -> None:
        """Hang up, and tell nobody: who asked has gone."""
        self._told = None
        self.abort()

    def abort(self) -> None:
        """Hang up now."""
        self.ready = False
        self._transport.abort()

    # The transport calls these.

    _transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        answer, told = self.answer, self._told
        if told is None:
            # An answer that nobody asked for would be taken for the next request's.
            self.abort()
            return
        if not answer.take(self._buffer, nbytes):
            try:
                answer.parser.feed_data(self._buffer[:nbytes])
            except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
                answer.broken(error)
                self.stale = self.reused and isinstance(answer.fault, ProtocolError)
        if answer.fault is not None:
            self._fail(answer.fault)
        elif answer.complete:
            self._told = None
            # A server may answer before it has read what is sent to it.
            unread = self._has_body and self._transport.get_write_buffer_size()
            self.ready = answer.keeps_alive and not answer.stray and not unread
            self.reused = True
            told(None)
        else:
            self._unfinished(nbytes)

    def eof_received(self) -> None:
        self.ready = False

    def connection_lost(self, exc: Exception | None) -> None:
        self.ready = False
        self.gone = True
        self._lost(self)
        told, self._told = self._told, None
        if told is not None:
            self.stale = self.reused and not self.answer.begun
            self.answer.ended(exc)
            told(self.answer.fault)

    def _unfinished(self, nbytes: int) -> None:
        """After a read that didn't end the answer: see whether it is going to."""
        answer = self.answer
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
            self._fail(ProtocolError(f"{answer.what}: {why}"))

    def _fail(self, error: FetchError) -> None:
        told, self._told = self._told, None
        self.abort()
        if told is not None:
            told(error)
