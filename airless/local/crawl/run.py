"""A run of a crawl, from its lock to its accounts: what `airless crawl` does."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from filelock import FileLock, Timeout

from airless.core.clock import Clock, SystemClock
from airless.core.errors import ConfigError, Locked, OutputError
from airless.core.ports import Engine
from airless.crawl.counts import Counts
from airless.crawl.discovery import Discovery
from airless.crawl.http import private_seed_hosts, system_lookup
from airless.crawl.shard import Layout
from airless.crawl.urls import host_of, seed
from airless.engines import open_engine
from airless.local.crawl.crew import Crew, ManyProcesses, OneProcess
from airless.local.crawl.delivery import Delivery
from airless.local.crawl.ledger import (
    FINISHED,
    INTERRUPTED,
    LIMITED,
    RUNNING,
    Ledger,
    Record,
    balance,
    shard_counts,
)
from airless.local.crawl.plan import SHARDS, Plan
from airless.local.crawl.seeding import Seeding
from airless.local.crawl.worker import Assignment, Status, lock_paths
from airless.local.outputs import open_sink

logger = logging.getLogger("airless.crawl")

_WATCH_S = 0.05


@dataclass(frozen=True, slots=True)
class Progress:
    """What a run shows of itself while it runs."""

    counts: Counts
    in_flight: int
    hosts: int
    seconds: float


@dataclass(slots=True)
class Result:
    """How a run ended. `status` is finished, limited or interrupted; `already` says there was nothing to do."""

    job: str
    status: str
    reason: str
    counts: Counts
    waiting: int
    seconds: float
    total_seconds: float
    adds_up: bool = True
    already: bool = False
    output: str | None = None
    before: Counts = field(default_factory=Counts)


class Control:
    """How whoever started a run stops it, and hears of it."""

    def __init__(self, on_progress: Callable[[Progress], None] | None = None) -> None:
        self.on_progress = on_progress
        self.resumed: Callable[[Record], None] | None = None
        self._stop = asyncio.Event()
        self.reason = ""

    def interrupt(self, reason: str = "interrupted") -> None:
        """Finish what is under way, commit, and end; the job can be resumed."""
        self.reason = self.reason or reason
        self._stop.set()

    @property
    def interrupted(self) -> bool:
        return self._stop.is_set()


async def run(plan: Plan, control: Control | None = None, *, log_level: int = logging.WARNING) -> Result:
    """Crawl until there is nothing left, a limit is reached, or the run is interrupted.

    Raises Locked where another process crawls this job, OutputError where items can't be delivered and StorageFull
    where the state can't be written: nothing is lost then, and the same plan goes on from there.
    """
    control = control or Control()
    clock = SystemClock()
    with _locked(plan):
        if plan.restart:
            _remove(plan)
        async with _opened(plan) as engine:
            record = await Ledger(engine, plan.name).load()
        if record is not None and record.status == FINISHED and plan.job is None:
            _remove(plan)
        async with _opened(plan) as engine:
            return await _Run(plan, control, engine, clock, log_level).run()


class _Run:
    def __init__(self, plan: Plan, control: Control, engine: Engine, clock: Clock, log_level: int) -> None:
        self._plan = plan
        self._control = control
        self._engine = engine
        self._clock = clock
        self._log_level = log_level
        self._ledger = Ledger(engine, plan.name)
        self._spider = plan.make_spider()
        self._seeding_done = False
        self._ending = ""

    async def run(self) -> Result:
        plan = self._plan
        record = await self._ledger.load()
        began = self._clock.monotonic()
        if record is None:
            record = await self._begin()
        elif (done := self._nothing_left(record, await shard_counts(self._engine, self._layout(record)))) is not None:
            await self._deliver_rest(record)
            done.total_seconds = record.seconds
            return done
        elif self._control.resumed is not None:
            self._control.resumed(record)
        layout = self._layout(record)
        before = Counts()
        for counts in (await shard_counts(self._engine, layout)).values():
            before.add(counts)
        delivery = await self._delivery(record, layout)
        record.status, record.reason = RUNNING, ""
        await self._ledger.save(record)
        try:
            await self._crawl(record, layout, delivery, before, began)
        except BaseException:
            if delivery is not None:
                await delivery.abort()
            raise
        accounts = await balance(self._engine, layout)
        seconds = self._clock.monotonic() - began
        record.seconds += seconds
        record.status, record.reason = self._how_it_ended(accounts.waiting, record)
        if delivery is not None:
            await delivery.close(finished=record.status == FINISHED)
        await self._ledger.save(record)
        await self._spider.closed(record.reason)
        if not accounts.adds_up:
            logger.error(
                "the accounts don't add up: %d URLs wait by the counters, %d by the queue",
                accounts.counts.waiting,
                accounts.waiting,
            )
        return Result(
            job=plan.name,
            status=record.status,
            reason=record.reason,
            counts=accounts.counts,
            waiting=accounts.waiting,
            seconds=seconds,
            total_seconds=record.seconds,
            adds_up=accounts.adds_up,
            output=plan.output,
            before=before,
        )

    def _layout(self, record: Record) -> Layout:
        return Layout(self._plan.name, record.shards, record.spread)

    async def _begin(self) -> Record:
        plan = self._plan
        http = plan.settings.http
        hosts = {host_of(seed(url)) for url in self._spider.start_urls}
        private = await private_seed_hosts(hosts, system_lookup(http.resolve))
        record = Record(
            spider=plan.spider,
            shards=SHARDS,
            spread=plan.processes,
            started_at=self._clock.now(),
            private_hosts=sorted(private),
            output=plan.output,
        )
        await self._ledger.save(record)
        return record

    def _nothing_left(self, record: Record, shards: dict[int, Counts]) -> Result | None:
        """What to say of a job that is at its end already; None if there is something to do."""
        if record.spider != self._plan.spider:
            raise ConfigError(
                f"the job {self._plan.name!r} belongs to the spider {record.spider}: "
                "give this one another --job, or --restart it"
            )
        total = Counts()
        for counts in shards.values():
            total.add(counts)
        pages = self._plan.settings.limits.pages
        at_limit = record.status == LIMITED and pages is not None and total.fetched >= pages
        if record.status != FINISHED and not at_limit:
            return None
        return Result(
            job=self._plan.name,
            status=record.status,
            reason=record.reason,
            counts=total,
            waiting=total.waiting,
            seconds=0.0,
            total_seconds=record.seconds,
            already=True,
            output=self._plan.output,
            before=total,
        )

    async def _deliver_rest(self, record: Record) -> None:
        """Items that no output was named for when they were found, or that an interruption kept back."""
        layout = self._layout(record)
        async for _ in self._engine.objects.list(layout.items_prefix):
            delivery = await self._delivery(record, layout)
            if delivery is not None:
                await delivery.close(finished=record.status == FINISHED)
            return

    async def _delivery(self, record: Record, layout: Layout) -> Delivery | None:
        if self._plan.output is None:
            return None
        delivery = Delivery(self._engine, layout, open_sink(self._plan.output), self._plan.output)
        await delivery.restore()
        return delivery

    def _crew(self, record: Record, layout: Layout, before: Counts) -> Crew:
        plan = self._plan
        limit = plan.settings.limits.pages
        pages = None if limit is None else max(0, limit - before.fetched)
        settings = plan.settings
        if plan.processes > 1:
            share = max(1, settings.pace.concurrency // plan.processes)
            settings = replace(settings, pace=replace(settings.pace, concurrency=share))
        work = Assignment(
            plan=replace(plan, settings=settings),
            layout=layout,
            index=0,
            processes=plan.processes,
            private_hosts=frozenset(record.private_hosts),
            lock_path=str(plan.state_dir / f"{plan.name}.process"),
            log_level=self._log_level,
        )
        return ManyProcesses(work, pages) if plan.processes > 1 else OneProcess(work, self._engine, pages)

    async def _crawl(
        self, record: Record, layout: Layout, delivery: Delivery | None, before: Counts, began: float
    ) -> None:
        base = await shard_counts(self._engine, layout)
        crew = self._crew(record, layout, before)
        discovery = Discovery(self._plan.settings, self._plan.scope(self._spider), layout, lambda index: None)
        seeding = Seeding(
            self._engine, layout, discovery, self._ledger, self._spider, sitemaps=self._plan.settings.sitemaps
        )
        stop_delivery = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as group:
                running = group.create_task(crew.run())
                seeds = group.create_task(seeding.run(record, lambda: None))
                if delivery is not None:
                    group.create_task(self._deliver(delivery, stop_delivery))
                group.create_task(self._watch(crew, running, seeds, layout, base, began))
                await running
                seeds.cancel()
                stop_delivery.set()
        except BaseExceptionGroup as failures:
            raise _first(failures) from failures

    async def _deliver(self, delivery: Delivery, stop: asyncio.Event) -> None:
        await delivery.run(stop)

    async def _watch(
        self,
        crew: Crew,
        running: asyncio.Task[None],
        seeds: asyncio.Task[None],
        layout: Layout,
        base: dict[int, Counts],
        began: float,
    ) -> None:
        """Tell of the progress, and stop the crew when there is nothing left, a limit is reached, or we are told."""
        time_s = self._plan.settings.limits.time_s
        starved = 0
        while not running.done():
            statuses = crew.statuses()
            seconds = self._clock.monotonic() - began
            if self._control.on_progress is not None:
                self._control.on_progress(_progress(statuses, base, seconds))
            quiet = bool(statuses) and all(status.quiet for status in statuses)
            starved = starved + 1 if statuses and all(status.starved for status in statuses) else 0
            if self._control.interrupted:
                self._end(crew, self._control.reason)
            elif time_s is not None and seconds >= time_s:
                self._end(crew, "max_time")
            elif starved >= 4 and crew.budget_spent:
                self._end(crew, "max_pages")
            elif quiet and seeds.done() and not (await self._engine.queue.depth(layout.topic)).messages:
                self._end(crew, "finished")
            await asyncio.wait([running], timeout=_WATCH_S)

    def _end(self, crew: Crew, reason: str) -> None:
        if not self._ending:
            self._ending = reason
            crew.stop()

    def _how_it_ended(self, waiting: int, record: Record) -> tuple[str, str]:
        if record.all_seeded and not waiting and self._ending in {"finished", "max_pages", "max_time"}:
            return FINISHED, "finished"
        if self._ending in {"max_pages", "max_time"}:
            return LIMITED, self._ending
        return INTERRUPTED, self._ending or "interrupted"


def _progress(statuses: list[Status], base: dict[int, Counts], seconds: float) -> Progress:
    shards = dict(base)
    for status in statuses:
        shards.update((index, Counts.from_dict(counts)) for index, counts in status.shards.items())
    total = Counts()
    for counts in shards.values():
        total.add(counts)
    return Progress(
        total, sum(status.in_flight for status in statuses), sum(status.hosts for status in statuses), seconds
    )


@contextlib.contextmanager
def _locked(plan: Plan) -> contextlib._GeneratorContextManager[None]:  # type: ignore[misc]
    """This job for this process alone, once the processes that a killed run left behind are gone."""
    try:
        plan.state_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"the state directory {plan.state_dir} can't be made: {error.strerror}") from error
    lock = FileLock(plan.state_dir / f"{plan.name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise Locked(
            f"the job {plan.name!r} in {plan.state_dir} is being crawled by another process: "
            "wait for it, stop it, or give this one another --job"
        ) from error
    except OSError as error:
        raise ConfigError(f"the state directory {plan.state_dir} can't be written: {error.strerror}") from error
    try:
        for path in lock_paths(plan):
            _wait_for(path)
        yield
    finally:
        lock.release()


def _wait_for(path: str) -> None:
    try:
        with FileLock(path, timeout=30):
            return
    except Timeout as error:
        raise Locked(f"a process of an earlier run still holds {path}: stop it, then run this again") from error


@contextlib.asynccontextmanager
async def _opened(plan: Plan) -> AsyncIterator[Engine]:
    async with await open_engine(plan.engine_url) as engine:
        yield engine


def _remove(plan: Plan) -> None:
    """Everything that the state directory holds of this job."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        Path(f"{plan.database}{suffix}").unlink(missing_ok=True)
    shutil.rmtree(f"{plan.database}.consumers", ignore_errors=True)


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    from airless.crawl.crawler import first_fault

    return first_fault(failures)


__all__ = ["Control", "OutputError", "Progress", "Result", "run"]
