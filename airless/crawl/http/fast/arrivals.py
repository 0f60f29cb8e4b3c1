"""Answers on their way in: the event loop is called once for all that have come."""

from __future__ import annotations

import asyncio
import select

from airless.crawl.http.fast.line import LineProtocol

# So that what else waits for the event loop gets its turn.
_AT_ONCE = 64


class Arrivals:
    """Reads from sockets in place of their transports, through an epoll of its own, which the event loop watches.

    A read by asyncio takes a handle, a look into the selector's map and four calls, which together cost about as
    much as to parse the answer. Raises OSError where the system gives no epoll.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lines: dict[int, LineProtocol] = {}
        self._poll = select.epoll()
        loop.add_reader(self._poll.fileno(), self._read)

    def watch(self, descriptor: int, line: LineProtocol) -> None:
        self._lines[descriptor] = line
        self._poll.register(descriptor, select.EPOLLIN | select.EPOLLRDHUP)

    def forget(self, descriptor: int) -> None:
        """Before the socket is closed."""
        if self._lines.pop(descriptor, None) is not None and not self._poll.closed:
            self._poll.unregister(descriptor)

    def close(self) -> None:
        if not self._poll.closed:
            if not self._loop.is_closed():
                self._loop.remove_reader(self._poll.fileno())
            self._poll.close()

    def _read(self) -> None:
        for descriptor, _ in self._poll.poll(0, _AT_ONCE):
            # What one brings may be the end of another.
            line = self._lines.get(descriptor)
            if line is not None:
                line.readable()


def arrivals(loop: asyncio.AbstractEventLoop) -> Arrivals | None:
    """None where transports have to read: not on Linux, or on an event loop that watches no descriptors."""
    if not hasattr(select, "epoll"):
        return None
    try:
        return Arrivals(loop)
    except (NotImplementedError, OSError):
        return None
