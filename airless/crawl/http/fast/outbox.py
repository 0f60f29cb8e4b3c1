"""Requests on their way out: those of one turn of the event loop leave together."""

from __future__ import annotations

import asyncio

from airless.crawl.http.fast.line import LineProtocol


class Outbox:
    """Sends what is put into it when everything that could run now has run.

    A server that is woken by the first finds the others there. Sent one by one between the pages that are
    worked on, each would wake a server that sleeps again by then, which costs the sender more than the
    sending does.
    """

    __slots__ = ("_loop", "_waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: list[tuple[LineProtocol, bytes]] = []

    def put(self, line: LineProtocol, data: bytes) -> None:
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting.append((line, data))

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        for line, data in waiting:
            line.send(data)
