"""The connections of one event loop: kept for the next page, no more than are allowed, and given up in time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from airless.core.clock import Clock
from airless.crawl.errors import ConnectError, FetchTimeout
from airless.crawl.http.fast.arrivals import arrivals
from airless.crawl.http.fast.connection import Connection
from airless.crawl.http.fast.dial import Dialler
from airless.crawl.http.fast.gathering import Answers, Outbox
from airless.crawl.http.fast.origin import Origin
from airless.crawl.http.fast.slots import Slots

_READ_BYTES = 64 * 1024
_KEPT = 256
"""Connections that are kept at the least; as many as may be lent are, where that is more."""

_KEPT_S = 30.0
_SWEEP_S = 0.25


class _Site(Slots):
    """What there is for one origin: its slots, and the connections that are kept."""

    __slots__ = ("idle", "key")

    def __init__(self, key: str, per_host: int) -> None:
        super().__init__(per_host)
        self.key = key
        self.idle: list[Connection] = []


class Pool:
    """Lends connections: `lease` one that is kept, or `open` one, and give it back in any case.

    At most `concurrency` are lent at once and `per_host` for an origin. One timer looks after all of them:
    within a quarter of a second of its time it ends an exchange that is overdue, and hangs up what nobody
    asked for half a minute or is too much to keep. Who asks with its `answers` has `ended` called, for those
    that came together.
    """

    def __init__(
        self,
        dialler: Dialler,
        clock: Clock,
        ended: Callable[[Pool, Sequence[Connection]], None],
        *,
        concurrency: int,
        per_host: int,
        timeout_s: float,
    ) -> None:
        self._clock = clock
        self.loop = asyncio.get_running_loop()
        self._dialler = dialler
        self._slots = Slots(concurrency)
        self._per_host = per_host
        self._timeout_s = timeout_s
        self._kept = max(_KEPT, concurrency)
        self._sweep_s = min(_SWEEP_S, timeout_s / 4)
        # asyncio's own reads of 256 KiB have the allocator fault their pages in again each time.
        self._buffer = memoryview(bytearray(_READ_BYTES))
        self._outbox = Outbox(self.loop)
        self.answers = Answers(self.loop, partial(ended, self))
        self._arrivals = arrivals(self.loop)
        self._sites: dict[str, _Site] = {}
        self._open: set[Connection] = set()
        self._sweeping: asyncio.TimerHandle | None = None
        self._closed: asyncio.Future[None] | None = None

    def lease(self, key: str, deadline_s: float) -> Connection | None:
        """A kept connection, if one is there and may be used; the deadline is the clock's, as for `open`."""
        site = self._sites.get(key)
        if site is None or not site.idle or site.free <= 0 or self._slots.free <= 0:
            return None
        connection = site.idle.pop()
        if not connection.ready:
            # The server has hung up. `open` looks for another.
            return None
        connection.idle = False
        connection.deadline_s = deadline_s
        site.free -= 1
        self._slots.free -= 1
        return connection

    async def open(self, origin: Origin, what: str, deadline_s: float) -> Connection:
        """A connection as soon as one may be had. Raises FetchError."""
        key = origin.key
        site = self._sites.get(key)
        if site is None:
            site = self._sites[key] = _Site(key, self._per_host)
        try:
            async with asyncio.timeout(deadline_s - self._clock.monotonic()):
                await site.take()
                try:
                    connection = await self._had(origin, site, what)
                except BaseException:
                    site.give()
                    raise
        except BaseException as error:
            self._forget(site)
            if isinstance(error, TimeoutError):
                raise self._overdue(what) from error
            raise
        connection.deadline_s = deadline_s
        if self._sweeping is None:
            self._watch()
        return connection

    def give_back(self, *connections: Connection) -> None:
        """Keep each connection if its answer is over and it can have another, and hang up if not."""
        of_all = self._slots
        for connection in connections:
            site = self._sites[connection.key]
            # Without a call where nobody waits.
            if site.waiting:
                site.give()
            else:
                site.free += 1
            if of_all.waiting:
                of_all.give()
            else:
                of_all.free += 1
            if connection.ready and self._closed is None:
                connection.idle = True
                site.idle.append(connection)
            else:
                connection.abort()
                self._forget(site)

    def abandon(self) -> None:
        """Hang up everything."""
        if self._closed is None:
            self._closed = self.loop.create_future()
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None
        for connection in list(self._open):
            connection.abort()
        if self._arrivals is not None:
            self._arrivals.close()
        if not self._open and not self._closed.done():
            self._closed.set_result(None)

    async def aclose(self) -> None:
        """Hang up everything, and come back when it is gone."""
        self.abandon()
        if self._closed is not None:
            await self._closed

    def forsake(self) -> None:
        """Close the sockets of a pool whose event loop is closed, on which nothing can be closed in order."""
        for connection in self._open:
            connection.sock.close()
        if self._arrivals is not None:
            self._arrivals.close()

    async def _had(self, origin: Origin, site: _Site, what: str) -> Connection:
        await self._slots.take()
        try:
            return _kept(site) or await self._dialled(origin, site, what)
        except BaseException:
            self._slots.give()
            raise

    async def _dialled(self, origin: Origin, site: _Site, what: str) -> Connection:
        connection = await self._dialler.dial(
            origin,
            what,
            lambda peer, sock: Connection(
                site.key,
                peer,
                sock,
                self._buffer,
                self._outbox,
                self._arrivals,
                self.give_back,
                self._lost,
                tls=origin.tls,
            ),
        )
        if self._closed is not None:
            connection.abort()
            raise ConnectError(f"{what}: the fetcher was closed meanwhile")
        if not connection.gone:
            connection.open()
            self._open.add(connection)
        return connection

    def _lost(self, connection: Connection) -> None:
        self._open.discard(connection)
        site = self._sites.get(connection.key)
        if site is not None and connection in site.idle:
            site.idle.remove(connection)
            self._forget(site)
        if self._closed is not None and not self._open and not self._closed.done():
            self._closed.set_result(None)

    def _forget(self, site: _Site) -> None:
        # A broad crawl sees millions of origins.
        if not site.wanted and not site.idle:
            self._sites.pop(site.key, None)

    def _watch(self) -> None:
        if self._closed is None:
            self._sweeping = self.loop.call_later(self._sweep_s, self._sweep)

    def _sweep(self) -> None:
        now_s = self._clock.monotonic()
        kept: list[Connection] = []
        for connection in list(self._open):
            if connection.idle:
                kept.append(connection)
            elif connection.deadline_s <= now_s:
                connection.expire(self._overdue(connection.what))
        kept.sort(key=lambda connection: -connection.deadline_s)
        for place, connection in enumerate(kept):
            asked_s = connection.deadline_s - self._timeout_s
            if place >= self._kept or asked_s + _KEPT_S <= now_s:
                connection.abort()
        self._sweeping = None
        if self._open:
            self._watch()

    def _overdue(self, what: str) -> FetchTimeout:
        return FetchTimeout(f"{what}: not done in {self._timeout_s:g} s")


def _kept(site: _Site) -> Connection | None:
    while site.idle:
        connection = site.idle.pop()
        if connection.ready:
            connection.idle = False
            return connection
    return None
