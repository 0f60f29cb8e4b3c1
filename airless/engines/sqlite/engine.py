"""State and objects in a database file, and the engine that is one consumer of it."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Self

from airless.core.clock import Clock, SystemClock
from airless.core.codec import encode
from airless.core.ports import Commit, StateWrite, Versioned
from airless.core.secrets import EnvironmentSecrets
from airless.engines.bell import Bell
from airless.engines.sqlite import documents, leases
from airless.engines.sqlite.consumers import Consumers
from airless.engines.sqlite.database import Database
from airless.engines.sqlite.options import SqliteOptions
from airless.engines.sqlite.publishing import publish
from airless.engines.sqlite.queue import SqliteQueue, sweep
from airless.engines.sqlite.transactions import transaction

_PAGE = 1000


class SqliteState:
    """`State` in a file."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self, key: str) -> Versioned | None:
        return await self._database.run(lambda connection: documents.load(connection, key))

    async def commit(self, write: StateWrite) -> str:
        return (await self._database.write(lambda connection: documents.write(connection, [write])))[0]

    async def list(self, prefix: str) -> AsyncIterator[str]:
        async for key in _pages(self._database, documents.keys, prefix):
            yield key


class SqliteObjects:
    """`Objects` in a file."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, name: str, data: bytes) -> None:
        await self._database.write(lambda connection: documents.put(connection, {name: data}))

    async def put_if_absent(self, name: str, data: bytes) -> bool:
        return await self._database.write(lambda connection: documents.put_if_absent(connection, name, data))

    async def get(self, name: str) -> bytes | None:
        return await self._database.run(lambda connection: documents.get(connection, name))

    async def delete(self, names: Sequence[str]) -> None:
        if names:
            await self._database.write(lambda connection: documents.delete(connection, names))

    async def list(self, prefix: str) -> AsyncIterator[str]:
        async for name in _pages(self._database, documents.names, prefix):
            yield name


async def _pages(
    database: Database, read: Callable[[sqlite3.Connection, str, int], list[str]], prefix: str
) -> AsyncIterator[str]:
    """Names in order, a page at a time, so that nothing is held open while the caller works."""
    start = prefix
    while True:
        page = await database.run(lambda connection, start=start: read(connection, start, _PAGE))  # type: ignore[misc]
        for name in page:
            if not name.startswith(prefix):
                return
            yield name
        if len(page) < _PAGE:
            return
        start = page[-1] + "\0"  # the least that comes after it


class SqliteEngine:
    """`Engine` in a file. `queue`, `state` and `objects` share one transaction in `commit`."""

    atomic = True

    def __init__(self, database: Database, consumers: Consumers, clock: Clock) -> None:
        self._database = database
        self._consumers = consumers
        self._clock = clock
        self._bell = Bell()
        self.queue = SqliteQueue(database, consumers, clock, self._bell)
        self.state = SqliteState(database)
        self.objects = SqliteObjects(database)
        self.secrets = EnvironmentSecrets()

    @classmethod
    async def open(cls, url: str, *, clock: Clock | None = None) -> Self:
        """Open the file that ``sqlite:///…`` names, or make it, and free what dead consumers have leased.

        Raises ConfigError where it can't be used, EngineError where it is damaged, Locked and StorageFull.
        """
        options = SqliteOptions.parse(url)
        database, consumers = Database(options), Consumers(options.path)

        def register(connection: sqlite3.Connection) -> None:
            consumers.register()
            sweep(connection, consumers)

        try:
            await database.open()
            await database.run(register)
        except BaseException:
            await database.close(lambda connection: consumers.leave())
            raise
        return cls(database, consumers, clock if clock is not None else SystemClock())

    async def commit(self, commit: Commit) -> tuple[str, ...]:
        """As `Engine.commit`: one transaction. A caller that is cancelled can't know whether it was applied.

        What is settled makes room for its own id among what is published.
        """
        published = [(message, encode(message)) for message in commit.publish]
        now = self._clock.now()

        def apply(connection: sqlite3.Connection) -> tuple[str, ...]:
            if commit.put:
                documents.put(connection, commit.put)
            versions = documents.write(connection, commit.state)
            if commit.settle:
                leases.settle(connection, commit.settle, now)
            if published:
                publish(connection, published, now)
            if commit.delete:
                documents.delete(connection, commit.delete)
            return versions

        versions = await self._database.write(apply)
        self._bell.ring()
        return versions

    async def aclose(self) -> None:
        """Hand back what is leased, uncharged, and close the file."""
        await self._database.close(self._leave)

    def _leave(self, connection: sqlite3.Connection) -> None:
        try:
            with transaction(connection):
                leases.release(connection, self._consumers.id)
        finally:
            self._consumers.leave()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
