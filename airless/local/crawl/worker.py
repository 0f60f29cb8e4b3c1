"""One process's crawler, put together from the plan; in the main process or in one of its own."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from airless.core.clock import SystemClock
from airless.core.errors import AirlessError, ConfigError, EngineError, Locked, StorageFull
from airless.core.ports import Engine
from airless.crawl.budget import Budget
from airless.crawl.concurrency import Bounds
from airless.crawl.crawler import LEASE_S, Crawler
from airless.crawl.fetcher import fetcher_of, within_files
from airless.crawl.inbox import QueueInbox
from airless.crawl.layout import Layout
from airless.crawl.levels import Board
from airless.crawl.spider import Spider
from airless.engines import open_engine
from airless.local.crawl.files import process_lock
from airless.local.crawl.plan import Plan

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

STATUS_S = 0.1
_SWITCH_S = 0.0005
STOPPING = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class Assignment:
    """What one process does of a crawl: the shards whose number divided by `processes` leaves `index`."""

    plan: Plan
    layout: Layout
    index: int
    processes: int
    private_hosts: frozenset[str]
    log_level: int


@dataclass(frozen=True, slots=True)
class Status:
    """A crawler as it stands. `shards` maps the shards in hand to their counters."""

    shards: dict[int, dict[str, Any]]
    in_flight: int
    limit: int
    hosts: int
    quiet: bool
    starved: bool


@dataclass(frozen=True, slots=True)
class Failure:
    """An error on its way to the main process: an exception's own arguments need not survive pickling."""

    kind: str
    text: str

    def error(self) -> AirlessError:
        """The error as the main process raises it: of its kind where that decides what the user is told."""
        kinds = {kind.__name__: kind for kind in (ConfigError, EngineError, Locked, StorageFull)}
        return kinds.get(self.kind, AirlessError)(self.text)


@dataclass(frozen=True, slots=True)
class Ended:
    """The last word of a process: it has done what it was told, or what kept it from that."""

    failure: Failure | None


def status_of(crawler: Crawler) -> Status:
    shards = {index: counts.to_dict() for index, counts in crawler.shard_counts().items()}
    return Status(shards, crawler.in_flight, crawler.limit, crawler.hosts, crawler.quiet, crawler.starved)


@contextlib.asynccontextmanager
async def make_crawler(
    work: Assignment, engine: Engine, spider: Spider, budget: Budget, board: Board | None = None
) -> AsyncIterator[Crawler]:
    """A crawler over an opened engine; its fetcher is closed at the end."""
    plan, settings = work.plan, work.plan.settings
    clock = SystemClock()
    scope = plan.scope(spider)
    bounds = within_files(Bounds.of(settings.pace.concurrency).share(work.processes))
    fetcher = fetcher_of(
        settings, scope, bounds=bounds, private_hosts=work.private_hosts, objects=engine.objects, clock=clock
    )
    try:
        yield Crawler(
            engine=engine,
            layout=work.layout,
            spider=spider,
            settings=settings,
            scope=scope,
            fetcher=fetcher,
            inbox=QueueInbox(engine.queue, work.layout.topic, LEASE_S),
            clock=clock,
            owns=lambda index: index % work.processes == work.index,
            budget=budget,
            board=board,
            bounds=bounds,
        )
    finally:
        await fetcher.aclose()


def share_interpreter() -> None:
    """Have a thread that waits for the interpreter get it in half a millisecond, where it would be five.

    An engine's thread waits for it at every statement of a transaction while the event loop is busy with pages, and
    the other processes wait for the transaction: forty statements held them up for a quarter of a second. One process
    alone has nobody to hold up, and works the better the less it is disturbed.
    """
    sys.setswitchinterval(_SWITCH_S)


def worker_main(work: Assignment, connection: Connection, budget: Budget, board: Board) -> None:
    """The entry of a process of its own. It ends when told to, and at once when the main process is gone."""
    # What was imported lives as long as the process does: no collection need look at it.
    gc.freeze()
    gc.set_threshold(10_000)  # hundreds of pages are worked on side by side, and are no garbage either
    share_interpreter()
    # Terminals and supervisors signal the whole group: the main process alone answers, and tells this one.
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
    logging.basicConfig(level=work.log_level, format=f"%(levelname)s [process {work.index}] %(message)s")
    # A crawl that begins after this one was killed waits for this lock, so that no two ever own a shard.
    with FileLock(process_lock(work.plan, work.index), timeout=60):
        asyncio.run(_serve(work, connection, budget, board))


async def _serve(work: Assignment, connection: Connection, budget: Budget, board: Board) -> None:
    failure: Failure | None = None
    try:
        async with (
            await open_engine(work.plan.engine_url) as engine,
            make_crawler(work, engine, work.plan.make_spider(), budget, board) as crawler,
        ):
            asyncio.get_running_loop().add_reader(connection.fileno(), _obey, connection, crawler)
            reporter = asyncio.create_task(_report(connection, crawler))
            try:
                await crawler.run()
            finally:
                reporter.cancel()
                asyncio.get_running_loop().remove_reader(connection.fileno())
            # The latest report may be of before the first page.
            connection.send(status_of(crawler))
    except AirlessError as fault:
        failure = Failure(type(fault).__name__, str(fault))
    connection.send(Ended(failure))


async def _report(connection: Connection, crawler: Crawler) -> None:
    while True:
        connection.send(status_of(crawler))
        await asyncio.sleep(STATUS_S)


def _obey(connection: Connection, crawler: Crawler) -> None:
    try:
        connection.recv()
    except (EOFError, OSError):
        # The main process was killed. To stop here at once is what a kill -9 of this process would be.
        os._exit(1)
    crawler.stop()
