"""A crew of several processes: each started, heard of, stopped, and started again where it died."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import signal
from dataclasses import replace
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext, SpawnProcess

from airless.core.errors import EngineError
from airless.crawl.budget import Unlimited
from airless.local.crawl.shared_board import SharedBoard
from airless.local.crawl.shared_budget import SharedBudget
from airless.local.crawl.worker import STOPPING, Assignment, Ended, Status, worker_main

logger = logging.getLogger("airless.crawl")

_RESTARTS = 5
_EXIT_POLL_S = 0.01


class ManyProcesses:
    """Crawlers in processes of their own. One that dies is started again: its messages are free at once."""

    def __init__(self, work: Assignment, pages: int | None) -> None:
        self._context: SpawnContext = multiprocessing.get_context("spawn")
        self._budget = None if pages is None else SharedBudget(self._context, pages)
        self._board = SharedBoard(self._context, work.processes)
        self._work = work
        self._latest: dict[int, Status] = {}
        self._connections: dict[int, Connection] = {}
        self._processes: dict[int, SpawnProcess] = {}
        self._stopping = False
        self.quieted = asyncio.Event()

    def statuses(self) -> list[Status]:
        return list(self._latest.values()) if len(self._latest) == self._work.processes else []

    @property
    def budget_spent(self) -> bool:
        return self._budget is not None and self._budget.spent

    def stop(self) -> None:
        self._stopping = True
        for connection in self._connections.values():
            with contextlib.suppress(OSError):
                connection.send("stop")

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for index in range(self._work.processes):
                    group.create_task(self._keep_running(index))
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from failures
        finally:
            for process in self._processes.values():
                if process.is_alive():
                    process.kill()
                process.join()
                process.close()

    async def _keep_running(self, index: int) -> None:
        for restart in range(_RESTARTS + 1):
            if await self._run_once(index) or self._stopping:
                return
            logger.warning("process %d of the crawl died; starting it again (%d)", index, restart + 1)
        raise EngineError(f"process {index} of the crawl died {_RESTARTS + 1} times")

    async def _run_once(self, index: int) -> bool:
        """Start one process and wait for its end; False if it died without a word."""
        ours, theirs = self._context.Pipe()
        work = replace(self._work, index=index)
        shared = (self._budget or Unlimited(), self._board.of(index))
        process = self._context.Process(target=worker_main, args=(work, theirs, *shared), daemon=True)
        # Until it ignores them itself, a Ctrl-C for the whole group would end it in the middle of an import.
        # The tracker comes first, for starting it unblocks them again.
        resource_tracker.ensure_running()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        self._connections[index] = ours
        self._processes[index] = process
        if self._stopping:
            ours.send("stop")
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[Ended | None] = loop.create_future()
        loop.add_reader(ours.fileno(), self._hear, index, ours, ended)
        try:
            said = await ended
        finally:
            loop.remove_reader(ours.fileno())
            ours.close()
            del self._connections[index]
        # Not by a thread: the end of a process is told once, to whoever asks first.
        while process.exitcode is None:  # noqa: ASYNC110 - it sets no event
            await asyncio.sleep(_EXIT_POLL_S)
        if said is None:
            return False
        if said.failure is not None:
            raise said.failure.error()
        return True

    def _hear(self, index: int, connection: Connection, ended: asyncio.Future[Ended | None]) -> None:
        try:
            said = connection.recv()
        except (EOFError, OSError):
            said = None
        if isinstance(said, Status):
            self._latest[index] = said
            if said.quiet:
                self.quieted.set()
        elif not ended.done():
            ended.set_result(said)
