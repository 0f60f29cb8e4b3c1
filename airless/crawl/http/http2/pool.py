"""The HTTP/2 connections of one event loop: one an origin while it lasts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from airless.crawl.errors import ConnectError, FetchError
from airless.crawl.http.fast.origin import Origin
from airless.crawl.http.http2.connection import Connection
from airless.crawl.http.http2.dial import TlsDialler

_KEPT = 256
_ORIGINS = 10_000
_DIALS = 3


class _Turns:
    """How many requests an origin may have at once; `users` have a turn or want one."""

    __slots__ = ("semaphore", "users")

    def __init__(self, number: int) -> None:
        self.semaphore = asyncio.Semaphore(number)
        self.users = 0


class Pool:
    """Connections to ask on: at most `concurrency` requests at once, and `per_host` to an origin.

    Who asks for an origin while it is dialled waits for the same connection.
    """

    def __init__(self, dialler: TlsDialler, *, concurrency: int, per_host: int) -> None:
        self.loop = asyncio.get_running_loop()
        self._dialler = dialler
        self._per_host = per_host
        self._turns = asyncio.Semaphore(concurrency)
        self._sites: dict[str, _Turns] = {}
        self._used: dict[str, Connection] = {}
        self._open: set[Connection] = set()
        self._dials: dict[str, asyncio.Task[FetchError | None]] = {}
        self._http_1_1: dict[str, None] = {}
        self._closed: asyncio.Future[None] | None = None

    def speaks_http_1_1(self, key: str) -> bool:
        """Whether the origin is known not to want HTTP/2."""
        return key in self._http_1_1

    def note_http_1_1(self, key: str) -> None:
        self._http_1_1[key] = None
        if len(self._http_1_1) > _ORIGINS:
            del self._http_1_1[next(iter(self._http_1_1))]

    @asynccontextmanager
    async def turn(self, key: str) -> AsyncIterator[None]:
        """Wait in line for a request to an origin, and have it until the end of the block."""
        turns = self._sites.setdefault(key, _Turns(self._per_host))
        turns.users += 1
        try:
            async with turns.semaphore, self._turns:
                yield
        finally:
            turns.users -= 1
            # A broad crawl sees millions of origins.
            if not turns.users:
                del self._sites[key]

    async def connection(self, site: Origin, what: str) -> Connection | None:
        """One that is ready and has room, or None where the server wants HTTP/1.1. Raises FetchError."""
        key = site.key
        dials = 0
        while not self.speaks_http_1_1(key):
            known = self._used.get(key)
            if known is not None and known.ready:
                if known.has_room:
                    return known
                await known.room()
            elif dials < _DIALS:
                dials += 1
                await self._dialled(site, what)
            else:
                raise ConnectError(f"{what}: none of {_DIALS} connections could be used")
        return None

    def abandon(self) -> None:
        """Hang up everything."""
        if self._closed is None:
            self._closed = self.loop.create_future()
        for task in self._dials.values():
            task.cancel()
        for connection in list(self._open):
            connection.abort()
        if not self._open and not self._closed.done():
            self._closed.set_result(None)

    async def aclose(self) -> None:
        """Hang up everything, and come back when it is gone."""
        dials = list(self._dials.values())
        self.abandon()
        await asyncio.gather(*dials, return_exceptions=True)
        if self._closed is not None:
            await self._closed

    def forsake(self) -> None:
        """Close the sockets of a pool whose event loop is closed, on which nothing can be closed in order."""
        for connection in self._open:
            connection.sock.close()

    async def _dialled(self, site: Origin, what: str) -> None:
        key = site.key
        if self._closed is not None:
            raise ConnectError(f"{what}: the fetcher was closed meanwhile")
        task = self._dials.get(key)
        if task is None:
            task = self._dials[key] = self.loop.create_task(self._dial(site, key))
        try:
            # Whoever gives up must not take the connection from the others.
            error = await asyncio.shield(task)
        except asyncio.CancelledError:
            if not task.cancelled():
                raise
            raise ConnectError(f"{what}: the fetcher was closed meanwhile") from None
        if error is not None:
            # Each page that waited has an error of its own.
            raise type(error)(f"{what}: {str(error).removeprefix(f'{key}: ')}") from error

    async def _dial(self, site: Origin, key: str) -> FetchError | None:
        try:
            connection = await self._dialler.dial(site, key, self._lost)
        except FetchError as error:
            # A value: where all who wanted it have given up, nobody would see it raised.
            return error
        finally:
            self._dials.pop(key, None)
        if connection is None:
            self.note_http_1_1(key)
        elif connection.gone:
            return ConnectError(f"{key}: the connection was closed before a request")
        else:
            self._keep(key, connection)
        return None

    def _keep(self, key: str, connection: Connection) -> None:
        self._used.pop(key, None)
        self._used[key] = connection
        self._open.add(connection)
        if len(self._used) > _KEPT:
            idle = next((kept for kept in self._used.values() if kept.idle and kept is not connection), None)
            if idle is not None:
                idle.abort()

    def _lost(self, connection: Connection) -> None:
        self._open.discard(connection)
        for key in [key for key, kept in self._used.items() if kept is connection]:
            del self._used[key]
        if self._closed is not None and not self._open and not self._closed.done():
            self._closed.set_result(None)
