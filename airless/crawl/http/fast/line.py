"""A connection's core, compiled where that is to be had: there it sends, and takes plain answers, by itself."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from airless.crawl.compiled import speed
from airless.crawl.errors import FetchError
from airless.crawl.http.fast.gathering import Outbox
from airless.crawl.request import Request


class PureLine:
    """What `airless._speed.Line` is, where there is none: it leaves every answer to `parse`."""

    __slots__ = (
        "_buffer",
        "_descriptor",
        "_outbox",
        "_unsent",
        "limit_bytes",
        "parsed",
        "ready",
        "request",
        "reused",
        "told",
    )

    plain = False

    limit_bytes: int
    parsed: bool
    request: Request

    def __init__(self, buffer: memoryview, descriptor: int, outbox: Outbox) -> None:
        self._buffer = buffer
        self._descriptor = descriptor
        self._outbox = outbox
        self._unsent = b""
        self.told: Callable[[Any, FetchError | None], None] | None = None
        self.ready = True
        self.reused = False

    def ask(
        self,
        head: bytes,
        request: Request,
        limit_bytes: int,
        plain: bool,
        told: Callable[[Any, FetchError | None], None],
        /,
    ) -> None:
        self._unsent = head
        self.request = request
        self.limit_bytes = limit_bytes
        self.told = told
        self.ready = self.parsed = False
        if not self._outbox:
            self._outbox.due()
        self._outbox.append(self)

    def send(self) -> None:
        data, self._unsent = self._unsent, b""
        if data and self.told is not None:
            self.write(data)

    def take(self) -> tuple[int, bytes, bytes, bool] | None:
        return None

    def get_buffer(self, sizehint: int, /) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int, /) -> None:
        if self.told is None:
            # An answer that nobody asked for would be taken for the next request's.
            self.abort()
        else:
            self.parse(nbytes)

    def readable(self) -> None:
        try:
            size = os.readv(self._descriptor, [self._buffer])
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self.hung_up(error.errno or errno.EIO)
            return
        if size:
            self.buffer_updated(size)
        else:
            self.hung_up(0)

    def hung_up(self, code: int, /) -> None:
        raise NotImplementedError

    def write(self, data: bytes, /) -> None:
        raise NotImplementedError

    def abort(self) -> None:
        raise NotImplementedError

    def parse(self, nbytes: int, /) -> None:
        raise NotImplementedError


if TYPE_CHECKING:
    from airless._speed import Line
elif speed is None:
    Line = PureLine
else:
    Line = speed.Line


class LineProtocol(Line, asyncio.BufferedProtocol):
    """A line as asyncio wants it."""

    __slots__ = ()
