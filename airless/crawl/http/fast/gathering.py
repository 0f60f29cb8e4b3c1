"""What gathers in one turn of the event loop and is handled together: requests to send, and answers that came."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

from airless.crawl.errors import FetchError

if TYPE_CHECKING:
    from airless.crawl.http.fast.connection import Connection

_T = TypeVar("_T")


class Sender(Protocol):
    def send(self) -> None: ...


class _Gathering(list[_T]):
    """Has what is in it handled when everything that could run now has run.

    Whoever puts the first in tells that it is `due`.
    """

    __slots__ = ("_handle", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, handle: Callable[[Sequence[_T]], None]) -> None:
        super().__init__()
        self._loop = loop
        self._handle = handle

    def due(self) -> None:
        self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        gathered = self[:]
        self.clear()
        self._handle(gathered)


class Outbox(_Gathering[Sender]):
    """Requests on their way out.

    A server that is woken by the first finds the others there. Sent one by one between the pages that are
    worked on, each would wake a server that sleeps again by then, which costs the sender more than the
    sending does.
    """

    __slots__ = ()

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop, _send)


class Answers(_Gathering["Connection"]):
    """Connections whose answer has come, or never will: then their `fault` says why.

    Pages that go through each stage of their way together find its code in the processor's caches.
    """

    __slots__ = ()

    def __call__(self, connection: Connection, fault: FetchError | None) -> None:
        """Take what a connection tells of its end."""
        connection.fault = fault
        if not self:
            self.due()
        self.append(connection)


def _send(senders: Sequence[Sender]) -> None:
    for sender in senders:
        sender.send()
