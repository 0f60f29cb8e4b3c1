"""The crawl host: frontier messages that a platform delivered, crawled as long as the invocation lasts.

The messages of each shard get a crawler of their own, so that each commit holds one shard's state alone: then it is
safe on engines whose commits go in steps. The shards of a batch are worked on side by side, with one fetcher for each
crawl. What a crawl is stands in the engine's state (`airless.crawl.job`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from airless.core.clock import Clock
from airless.core.errors import Conflict
from airless.core.failure import sink_name
from airless.core.ports import Commit, Delivery, Engine, Settlement
from airless.crawl.budget import Budget, PageBudget, Unlimited
from airless.crawl.commits import Cadence
from airless.crawl.concurrency import Bounds
from airless.crawl.crawler import Crawler
from airless.crawl.fetch import Fetcher
from airless.crawl.fetcher import fetcher_of, within_files
from airless.crawl.gate import robots_of
from airless.crawl.inbox import BatchInbox
from airless.crawl.job import Job, job_named
from airless.crawl.orders import CANCELLED, MAX_PAGES, Orders, orders_of, park, stop, take_back
from airless.crawl.places import Places
from airless.crawl.robots_cache import RobotsCache
from airless.crawl.scope import Scope
from airless.crawl.spider import Spider
from airless.crawl.stint import Stint
from airless.crawl.topics import FRONTIER
from airless.crawl.warm import WarmShards
from airless.functions.company import Company
from airless.functions.deadline import Deadline
from airless.functions.spending import Spending

logger = logging.getLogger("airless.crawl")

# A fetch that begins with an invocation has to end in it, so that each of them gets on.
_FETCH_SHARE = 0.5
# Where batches come and go, each begins with its part of what a crawl alone begins with, as if there were so many.
_SHARDS_AT_WORK = 4


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms a process crawls; by default, a function.

    `wait_at_most_s`: where nothing can start for longer, times the shards that wait, the rest is handed back (what is
    cheaper is for a cost model to say); where time costs nothing, if the process is `crowded`. The first commit is made
    after `commit_s`, since each costs requests, then they get rarer, up to `rarest_commit_s`. The order to stop is
    looked for every `look_s`. `jobs` are kept open between invocations, the least recently used are closed. `places`
    bound the requests under way, of all batches together. Its time is billed by `memory_mb` and `arch`.
    """

    wait_at_most_s: float = 1.0
    commit_s: float = 20.0
    rarest_commit_s: float = 60.0
    look_s: float = 5.0
    jobs: int = 4
    memory_mb: int = 128
    arch: str = "x86_64"
    crowded: Callable[[], bool] | None = None
    places: Places | None = None


class CrawlHost:
    """What a process keeps of the crawls that it works on, on one batch or on many at once."""

    def __init__(self, clock: Clock, terms: Terms, spending: Spending | None) -> None:
        self._clock = clock
        self._terms = terms
        self._spending = spending
        self._jobs: OrderedDict[str, _Open] = OrderedDict()
        self._opening = asyncio.Lock()
        # Of all jobs, so that one bound holds for what a process remembers.
        self._warm = WarmShards()

    def company(self) -> Company:
        """The crawlers of a batch, for `run` to bring together: to stop them before their time."""
        return Company(self._clock, self._terms.wait_at_most_s, crowded=self._terms.crowded)

    async def run(
        self,
        engine: Engine,
        deliveries: Sequence[Delivery],
        deadline: Deadline,
        company: Company | None = None,
    ) -> list[Exception]:
        """Crawl what was delivered until it is done or the time is up; what isn't done is handed back.

        A crawl or a shard of it that fails is logged, and its messages are not settled: the faults.
        """
        if self._spending is not None:
            self._spending.began(deadline.began_s)
        company = company or self.company()
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(company.keep_together())
            async with asyncio.TaskGroup() as working:
                for name, of_job in _by_job(deliveries).items():
                    crawl = self._crawl(engine, name, of_job, deadline, company)
                    working.create_task(company.guard(name, crawl))
            watch.cancel()
        await self._close_some()
        if self._spending is not None:
            self._spending.ended()
        return company.faults

    async def _close_some(self) -> None:
        """Let go of the jobs that were used least recently, where there are too many."""
        for name in list(self._jobs):
            if len(self._jobs) <= self._terms.jobs:
                return
            if (opened := self._jobs.get(name)) is not None and not opened.users:
                del self._jobs[name]
                await opened.fetcher.aclose()

    async def aclose(self) -> None:
        while self._jobs:
            await self._jobs.popitem()[1].fetcher.aclose()

    async def _crawl(
        self,
        engine: Engine,
        name: str,
        deliveries: Sequence[Delivery],
        deadline: Deadline,
        company: Company,
    ) -> None:
        opened = await self._opened(engine, name, deadline)
        if opened is None:
            logger.error("there is no crawl %r: %d of its messages are laid aside", name, len(deliveries))
            put = {sink_name(delivery.topic, delivery.id): delivery.body for delivery in deliveries}
            done = [Settlement.done(delivery) for delivery in deliveries]
            await engine.commit(Commit(put=put, settle=done))
            return
        opened.users += 1
        try:
            await self._work(engine, opened, deliveries, deadline, company)
        finally:
            opened.users -= 1

    async def _work(
        self,
        engine: Engine,
        opened: _Open,
        deliveries: Sequence[Delivery],
        deadline: Deadline,
        company: Company,
    ) -> None:
        name, layout = opened.job.name, opened.job.layout
        if await self._stands_still(engine, opened, deliveries):
            await engine.queue.settle([Settlement.done(delivery) for delivery in deliveries])
            return
        shards = _by_shard(deliveries, layout.shards)
        bounds = opened.bounds.share(len(shards))
        crawlers = [
            self._crawler(engine, opened, index, of_shard, deadline, bounds, company)
            for index, of_shard in shards.items()
        ]
        company.join(crawlers)
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(company.guard(name, self._obey(engine, opened, crawlers)))
            async with asyncio.TaskGroup() as working:
                for crawler in crawlers:
                    working.create_task(company.guard(name, company.run(crawler)))
            watch.cancel()
        if opened.budget.spent:
            # Whoever follows the crawl may not have seen it yet, and what was handed back would come again at once.
            with contextlib.suppress(Conflict):
                await stop(engine, layout, MAX_PAGES, number=opened.orders.number)
            opened.look_at_s = -math.inf

    async def _obey(self, engine: Engine, opened: _Open, crawlers: Sequence[Crawler]) -> None:
        """Have crawlers that are at work stop when that is ordered."""
        while await self._reason_to_stop(engine, opened) is None:
            until_s = opened.orders.until_s
            left_s = math.inf if until_s is None else until_s - self._clock.now()
            await self._clock.sleep(max(0.0, min(self._terms.look_s, left_s)))
        for crawler in crawlers:
            crawler.stop()

    async def _stands_still(self, engine: Engine, opened: _Open, deliveries: Sequence[Delivery]) -> bool:
        """Whether the crawl has to stop: then messages are laid aside, or of no use any more."""
        reason = await self._reason_to_stop(engine, opened)
        if reason is None or reason == CANCELLED:
            return reason is not None
        layout = opened.job.layout
        await park(engine, layout, deliveries)
        reason = await self._reason_to_stop(engine, opened)
        if reason is None or reason == CANCELLED:
            # Whoever let it go on in between may have looked for what is parked before this was.
            await take_back(engine, layout, deliveries)
        return reason is not None

    async def _reason_to_stop(self, engine: Engine, opened: _Open) -> str | None:
        """Why the crawl has to stop, if it has; orders are looked for now and then, and whenever it stood still."""
        now_s = self._clock.monotonic()
        if now_s >= opened.look_at_s or opened.orders.reason(self._clock.now()) is not None:
            opened.obey(await orders_of(engine, opened.job.layout))
            opened.look_at_s = now_s + self._terms.look_s
        return opened.orders.reason(self._clock.now())

    async def _opened(self, engine: Engine, name: str, deadline: Deadline) -> _Open | None:
        """The job, open; None where there is none."""
        async with self._opening:  # a second batch of the same job waits for the first
            opened = self._jobs.get(name)
            if opened is None:
                job = await job_named(engine, name)
                if job is None:
                    return None
                opened = self._jobs[name] = self._open(engine, job, deadline)
        self._jobs.move_to_end(name)
        return opened

    def _open(self, engine: Engine, job: Job, deadline: Deadline) -> _Open:
        spider = job.make_spider()
        scope = job.scope(spider)
        http = job.settings.http
        longest_s = max(_FETCH_SHARE * (deadline.stop_s - self._clock.now()), deadline.finish_s)
        http = replace(http, timeout_s=max(0.1, min(http.timeout_s, longest_s)))
        job = replace(job, settings=replace(job.settings, http=http))
        bounds, places = within_files(Bounds.of(job.settings.pace.concurrency)), self._terms.places
        if places is not None and bounds.fixed:
            # What a job asks for is for all of its shards here together.
            places = Places(min(bounds.most, places.most))
        elif places is not None:
            bounds = bounds.share(_SHARDS_AT_WORK).within(places.most)
        fetcher = fetcher_of(
            job.settings,
            scope,
            bounds=bounds,
            private_hosts=job.private_hosts,
            objects=engine.objects,
            clock=self._clock,
        )
        robots = robots_of(job.settings, fetcher, self._clock)
        return _Open(job, spider, scope, bounds, fetcher, robots, places)

    def _crawler(
        self,
        engine: Engine,
        opened: _Open,
        index: int | None,
        deliveries: Sequence[Delivery],
        deadline: Deadline,
        bounds: Bounds,
        company: Company,
    ) -> Crawler:
        terms = self._terms
        return Crawler(
            engine=engine,
            layout=opened.job.layout,
            spider=opened.spider,
            settings=opened.job.settings,
            scope=opened.scope,
            fetcher=opened.fetcher,
            inbox=BatchInbox(deliveries),
            clock=self._clock,
            owns=lambda other: index is None or other == index,
            bounds=bounds,
            budget=opened.budget,
            stint=Stint(
                deadline.stop_s,
                deadline.cut_off_s,
                terms.wait_at_most_s,
                None if self._spending is None else self._spending.take,
            ),
            cadence=Cadence(terms.rarest_commit_s, terms.commit_s, eager=False, share=1.0),
            robots=opened.robots,
            places=opened.places,
            warm=None if index is None else self._warm,
            # Nothing else counts a try of a frontier message than a consumer that died.
            wary=any(delivery.attempt for delivery in deliveries),
            others_wait=company.waits,
        )


@dataclass(slots=True)
class _Open:
    """A crawl that a process works on, with what it keeps of it between invocations; `users` are at work on it.

    `orders` are as of the last look, the next is due at `look_at_s`; `budget` is what is left of theirs.
    """

    job: Job
    spider: Spider
    scope: Scope
    bounds: Bounds
    fetcher: Fetcher
    robots: RobotsCache | None
    places: Places | None
    users: int = 0
    orders: Orders = field(default_factory=Orders)
    budget: Budget = field(default_factory=Unlimited)
    look_at_s: float = -math.inf

    def obey(self, orders: Orders) -> None:
        """Go by these orders from now on."""
        if orders.number != self.orders.number:
            self.budget = Unlimited() if orders.pages is None else PageBudget(orders.pages)
        self.orders = orders


def _by_job(deliveries: Sequence[Delivery]) -> dict[str, list[Delivery]]:
    jobs: dict[str, list[Delivery]] = {}
    for delivery in deliveries:
        jobs.setdefault(delivery.topic.removeprefix(f"{FRONTIER}/"), []).append(delivery)
    return jobs


def _by_shard(deliveries: Sequence[Delivery], shards: int) -> dict[int | None, list[Delivery]]:
    """The deliveries by the shard that is their ordering key; None for what somebody published by hand."""
    keyed: dict[int | None, list[Delivery]] = {}
    for delivery in deliveries:
        key = delivery.ordering_key or ""
        index = int(key) if key.isdecimal() and int(key) < shards else None
        keyed.setdefault(index, []).append(delivery)
    return keyed
