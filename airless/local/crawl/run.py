"""A run of a crawl, from its lock to its accounts: what `airless crawl` does."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airless.core.clock import Clock, SystemClock
from airless.core.errors import ConfigError
from airless.core.ports import Engine
from airless.crawl.counts import Counts
from airless.crawl.crawler import first_fault
from airless.crawl.discovery import Discovery
from airless.crawl.http import private_seed_hosts, system_lookup
from airless.crawl.layout import Layout
from airless.crawl.ledger import (
    FINISHED,
    INTERRUPTED,
    LIMITED,
    RUNNING,
    Ledger,
    Record,
    balance,
    shard_counts,
)
from airless.crawl.seeding import Seeding
from airless.crawl.urls import host_of, seed
from airless.engines import open_engine
from airless.local.crawl.crew import Crew, OneProcess
from airless.local.crawl.delivery import Delivery, nothing_to_deliver
from airless.local.crawl.files import locked, remove
from airless.local.crawl.plan import SHARDS, Plan
from airless.local.crawl.worker import Assignment, Status

if TYPE_CHECKING:
    from airless.cost.usage import Usage

logger = logging.getLogger("airless.crawl")

_WATCH_S = 0.05
# Who is starved for so long isn't between two commits, but at its end.
_STARVED_S = 0.15


@dataclass(frozen=True, slots=True)
class Progress:
    """What a run shows of itself while it runs.

    `limit` is how many may be in flight at the time; 0 where others do the work, who don't say.
    """

    counts: Counts
    in_flight: int
    limit: int
    hosts: int
    seconds: float


@dataclass(slots=True)
class Result:
    """How a run ended: finished, limited or interrupted. `already` says that there was nothing to do.

    `usage` is what the job used of a cloud, over all its runs; None where it used none.
    """

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
    usage: Usage | None = None


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

    async def stopped(self) -> None:
        """Wait for the interruption."""
        await self._stop.wait()


async def run(plan: Plan, control: Control | None = None, *, log_level: int = logging.WARNING) -> Result:
    """Crawl until there is nothing left, a limit is reached, or the run is interrupted.

    Raises Locked where another process crawls this job, ConfigError where the job is another plan's,
    OutputError where items can't be delivered and StorageFull where the state can't be written: nothing is
    lost then, and the same plan goes on from there.
    """
    control = control or Control()
    clock = SystemClock()
    with locked(plan):
        if plan.restart:
            remove(plan)
        async with await open_engine(plan.engine_url) as engine:
            record = await Ledger(engine, plan.name).load()
            if record is None or record.status != FINISHED or plan.job is not None:
                return await _Run(plan, control, engine, clock, log_level).run()
        remove(plan)
        async with await open_engine(plan.engine_url) as engine:
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
        self._ending = ""

    async def run(self) -> Result:
        plan = self._plan
        record = await self._ledger.load()
        began = self._clock.monotonic()
        if record is None:
            record = await self._begin()
        else:
            self._check(record)
            if record.seeds:
                # How many are published is known by their number alone, so their order is the first run's.
                self._spider.start_urls = record.seeds
            if (done := await self._nothing_left(record)) is not None:
                return done
            if self._control.resumed is not None:
                self._control.resumed(record)
        layout = self._layout(record)
        before = await self._counted(layout)
        delivery = None if plan.output is None else await Delivery.open(self._engine, layout, plan.output)
        record.status, record.reason = RUNNING, ""
        try:
            await self._ledger.save(record)
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
        await self._tell_spider(record.reason)
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
        return Record(
            spider=plan.spider,
            shards=SHARDS,
            spread=_spread(plan),
            started_at=self._clock.now(),
            private_hosts=sorted(private),
            output=plan.output,
            seeds=list(plan.seeds),
        )

    def _check(self, record: Record) -> None:
        """Raises ConfigError where this plan's spider or seeds are not those that the job was begun with."""
        plan = self._plan
        if record.spider != plan.spider:
            other = f"belongs to the spider {record.spider}"
        elif sorted(record.seeds) != sorted(plan.seeds):
            other = f"was begun from {', '.join(record.seeds) or 'the start of its spider'}"
        else:
            return
        raise ConfigError(
            f"the job {plan.name!r} {other}: give this crawl another --job, or --restart that one"
        )

    async def _nothing_left(self, record: Record) -> Result | None:
        """What to say of a job that is at its end already, its items delivered; None if it isn't."""
        plan = self._plan
        layout = self._layout(record)
        total = await self._counted(layout)
        pages = plan.settings.limits.pages
        at_limit = record.status == LIMITED and pages is not None and total.fetched >= pages
        if record.status != FINISHED and not at_limit:
            return None
        if plan.output is not None and not await nothing_to_deliver(self._engine, layout, plan.output):
            # No output was named when they were found, or an interruption kept them back.
            delivery = await Delivery.open(self._engine, layout, plan.output)
            await delivery.close(finished=record.status == FINISHED)
        return Result(
            job=plan.name,
            status=record.status,
            reason=record.reason,
            counts=total,
            waiting=total.waiting,
            seconds=0.0,
            total_seconds=record.seconds,
            already=True,
            output=plan.output,
            before=total,
        )

    async def _counted(self, layout: Layout) -> Counts:
        total = Counts()
        for counts in (await shard_counts(self._engine, layout)).values():
            total.add(counts)
        return total

    async def _tell_spider(self, reason: str) -> None:
        try:
            await self._spider.closed(reason)
        except Exception:  # the crawl has ended well; what it found must still be told
            logger.exception("the spider failed in closed(%r)", reason)

    def _crew(self, record: Record, layout: Layout, before: Counts) -> Crew:
        plan = self._plan
        limit = plan.settings.limits.pages
        pages = None if limit is None else max(0, limit - before.fetched)
        work = Assignment(
            plan=plan,
            layout=layout,
            index=0,
            processes=plan.processes,
            private_hosts=frozenset(record.private_hosts),
            log_level=self._log_level,
        )
        if plan.processes > 1:
            # multiprocessing takes more than 10 ms to import, and one process needs none of it.
            from airless.local.crawl.processes import ManyProcesses

            return ManyProcesses(work, pages)
        return OneProcess(work, self._engine, self._spider, pages)

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
                # First, so that the crawlers find the seeds when they first ask.
                seeds = group.create_task(seeding.run(record))
                running = group.create_task(crew.run())
                if delivery is not None:
                    group.create_task(delivery.run(stop_delivery))
                group.create_task(self._watch(crew, running, seeds, layout, base, began))
                await running
                seeds.cancel()
                stop_delivery.set()
        except BaseExceptionGroup as failures:
            raise first_fault(failures) from failures

    async def _watch(
        self,
        crew: Crew,
        running: asyncio.Task[None],
        seeds: asyncio.Task[None],
        layout: Layout,
        base: dict[int, Counts],
        began: float,
    ) -> None:
        """Tell of the progress; stop the crew when nothing is left, a limit is reached, or we are told to."""
        time_s = self._plan.settings.limits.time_s
        starved_at_s: float | None = None
        running.add_done_callback(lambda _: crew.quieted.set())
        while not running.done():
            crew.quieted.clear()
            statuses = crew.statuses()
            seconds = self._clock.monotonic() - began
            if self._control.on_progress is not None:
                self._control.on_progress(_progress(statuses, base, seconds))
            quiet = bool(statuses) and all(status.quiet for status in statuses)
            if not (statuses and all(status.starved for status in statuses)):
                starved_at_s = None
            elif starved_at_s is None:
                starved_at_s = seconds
            if self._control.interrupted:
                self._end(crew, self._control.reason)
            elif time_s is not None and seconds >= time_s:
                self._end(crew, "max_time")
            elif starved_at_s is not None and seconds - starved_at_s >= _STARVED_S and crew.budget_spent:
                self._end(crew, "max_pages")
            elif quiet and seeds.done() and not (await self._engine.queue.depth(layout.topic)).messages:
                self._end(crew, "finished")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_WATCH_S):
                    await crew.quieted.wait()

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


def _spread(plan: Plan) -> int:
    """Over how many shards a host is spread: processes share its rate only where it can be divided."""
    pace = plan.settings.pace
    return 1 if pace.delay_s else min(plan.processes, max(1, pace.per_host))


def _progress(statuses: list[Status], base: dict[int, Counts], seconds: float) -> Progress:
    shards = dict(base)
    for status in statuses:
        shards.update((index, Counts.from_dict(counts)) for index, counts in status.shards.items())
    total = Counts()
    for counts in shards.values():
        total.add(counts)
    return Progress(
        total,
        in_flight=sum(status.in_flight for status in statuses),
        limit=sum(status.limit for status in statuses),
        hosts=sum(status.hosts for status in statuses),
        seconds=seconds,
    )
