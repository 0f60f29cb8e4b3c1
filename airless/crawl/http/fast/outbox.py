"""Requests on their way out: those of one turn of the event loop leave together."""

from __future__ import annotations

import asyncio
from typing import Protocol


class Sender(Protocol):
    def send(self) -> None: ...


class Outbox(list[Sender]):
    """Has what is in it send when everything that could run now has run.

    A server that is woken by the first finds the others there. Sent one by one between the pages that are
    worked on, each would wake a server that sleeps again by then, which costs the sender more than the
    sending does. Whoever puts the first in tells that it is `due`.
    """

    __slots__ = ("_loop",)

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._loop = loop

    def due(self) -> None:
        self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        waiting = self[:]
        self.clear()
        for sender in waiting:
            sender.send()
