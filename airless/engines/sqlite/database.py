"""One connection, in a thread of its own: the event loop never waits for a disk or for another's lock."""

from __future__ import annotations

import asyncio
import concurrent.futures
import sqlite3
from collections.abc import Callable
from typing import TypeVar

from airless.core.errors import AirlessError, EngineError
from airless.engines.sqlite.faults import translate
from airless.engines.sqlite.options import SqliteOptions
from airless.engines.sqlite.schema import connect
from airless.engines.sqlite.transactions import transaction

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]
Undo = Callable[[sqlite3.Connection, T], None]


class Database:
    """Runs work on the connection, one piece after the other, in the order in which it was asked for.

    A caller that is cancelled leaves nothing half done: work that hasn't begun is dropped, work that has
    begun runs to its commit or its rollback.
    """

    def __init__(self, options: SqliteOptions) -> None:
        self.path = options.path
        self._options = options
        self._thread = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="airless-sqlite")
        self._connection: sqlite3.Connection | None = None
        self._closed = False

    async def open(self) -> None:
        await asyncio.wrap_future(self._submit(self._open))

    async def run(self, work: Work[T], *, undo: Undo[T] | None = None) -> T:
        """The result of work on the connection, which may only read, or use `transaction`.

        `undo` is done, in a transaction, with a result that nobody received since the caller was cancelled.
        """
        job = self._submit(lambda: work(self._opened()))
        try:
            return await asyncio.wrap_future(job)
        except asyncio.CancelledError:
            if not job.cancel() and undo is not None:
                self._submit(lambda: self._undo(job, undo))
            raise

    async def write(self, work: Work[T]) -> T:
        """The result of work done as one transaction."""

        def transacted(connection: sqlite3.Connection) -> T:
            with transaction(connection):
                return work(connection)

        return await self.run(transacted)

    async def close(self, last: Work[None]) -> None:
        """Finish what was asked for, do `last`, close the connection and end the thread."""
        if self._closed:
            return
        job = self._submit(lambda: self._close(last))
        self._closed = True
        try:
            await asyncio.shield(asyncio.wrap_future(job))
        finally:
            self._thread.shutdown(wait=False)

    def _submit(self, call: Callable[[], T]) -> concurrent.futures.Future[T]:
        if self._closed:
            raise EngineError(f"{self.path}: this engine is closed")
        return self._thread.submit(self._guarded, call)

    def _guarded(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except AirlessError:
            raise
        except (sqlite3.Error, OSError, OverflowError, UnicodeEncodeError) as error:
            raise translate(error, self.path) from error

    def _open(self) -> None:
        self._connection = connect(self._options)

    def _undo(self, job: concurrent.futures.Future[T], undo: Undo[T]) -> None:
        if job.exception() is None:
            connection = self._opened()
            with transaction(connection):
                undo(connection, job.result())

    def _close(self, last: Work[None]) -> None:
        try:
            if self._connection is not None:
                last(self._connection)
        finally:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            raise EngineError(f"{self.path}: this engine is not open")
        return self._connection
