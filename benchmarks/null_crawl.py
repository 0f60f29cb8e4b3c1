"""A crawl without a network: the crawler as it is, over pages that are in memory, in processes of its own."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from airless.core.clock import SystemClock
from airless.core.ports import Engine
from airless.crawl.crawler import LEASE_S, Crawler
from airless.crawl.discovery import Discovery
from airless.crawl.fetch import Answered, Exchange
from airless.crawl.headers import Headers
from airless.crawl.inbox import QueueInbox
from airless.crawl.layout import Layout
from airless.crawl.ledger import Ledger, Record
from airless.crawl.request import Request
from airless.crawl.response import Response
from airless.crawl.scope import Scope
from airless.crawl.seeding import Seeding
from airless.crawl.settings import Pace, Settings
from airless.engines import open_engine
from airless.local.crawl.plan import SHARDS, SITE_SPIDER
from airless.local.crawl.worker import share_interpreter
from benchmarks.crawl.field import CONCURRENCY, PER_HOST
from benchmarks.crawl.store import Bound
from crawlers.site import SiteSpider

_START_S = 60.0
_WATCH_S = 0.02
_HTML = Headers([("content-type", "text/html; charset=utf-8")])


@dataclass(frozen=True, slots=True)
class Took:
    """What a crawl took: pages fetched, time from the first start to the last end, CPU of all processes."""

    pages: int
    wall_s: float
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Part:
    """What one of `processes` does: the shards whose number divided by their count leaves `index`."""

    index: int
    processes: int
    engine_url: str
    seeds: tuple[str, ...]
    file: Path


@dataclass(frozen=True, slots=True)
class Ended:
    """How a part went; the times are the system's monotonic clock's, which all processes share."""

    pages: int
    started_s: float
    ended_s: float
    cpu_s: float


class NullFetcher:
    """A QuickFetcher that answers at once, from a bound site; 404 where that has no page."""

    def __init__(self, pages: Bound) -> None:
        self._pages = pages
        self._begun: list[_Begun] = []

    async def fetch(self, request: Request) -> Response:
        await asyncio.sleep(0)  # as a fetch does, let others go on
        return self._response(request)

    def begin(self, asked: Sequence[tuple[Request, Any]], answered: Answered) -> list[Exchange | None]:
        begun = [_Begun(request, whose) for request, whose in asked]
        if begun and not self._begun:
            asyncio.get_running_loop().call_soon(self._answer, answered)
        self._begun += begun
        return list(begun)

    def _answer(self, answered: Answered) -> None:
        """Answer what was begun since, as a fetcher does, which has all of it from the same asker."""
        begun, self._begun = self._begun, []
        answered([(each.whose, self._response(each.request)) for each in begun if not each.abandoned])

    def _response(self, request: Request) -> Response:
        body = self._pages.get(request.url)
        status = 404 if body is None else 200
        return Response.received(request.url, status, _HTML, body or b"", request, 0, None, 0.0)

    async def aclose(self) -> None:
        """Nothing is open: the pages belong to who made this."""


class _Begun:
    def __init__(self, request: Request, whose: Any) -> None:
        self.request = request
        self.whose = whose
        self.abandoned = False

    def abandon(self) -> None:
        self.abandoned = True


def crawl(engine_url: str, processes: int, seeds: tuple[str, ...], file: Path) -> Took:
    """Crawl a bound site from its seeds. Raises EOFError where a process died."""
    return together([Part(index, processes, engine_url, seeds, file) for index in range(processes)])


def together(parts: Sequence[Part]) -> Took:
    """Work all parts at the same time. Raises EOFError where a process died."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(len(parts))
    running = []
    ended: list[Ended] = []
    try:
        for part in parts:
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(target=work, args=(part, barrier, theirs), daemon=True)
            process.start()
            theirs.close()
            running.append((process, ours))
        for _, ours in running:
            ended.append(ours.recv())
    finally:
        for process, ours in running:
            ours.close()
            if len(ended) < len(parts):
                process.kill()
            process.join()
            process.close()
    wall_s = max(each.ended_s for each in ended) - min(each.started_s for each in ended)
    return Took(sum(each.pages for each in ended), wall_s, sum(each.cpu_s for each in ended))


def work(part: Part, barrier: Barrier, connection: Connection) -> None:
    """The entry of a process."""
    if part.processes > 1:
        share_interpreter()
    with connection:
        connection.send(asyncio.run(one_part(part, barrier)))


async def one_part(part: Part, barrier: Barrier) -> Ended:
    """Crawl until the topic is empty. The first process publishes the seeds; then all begin together."""
    share = max(1, CONCURRENCY // part.processes)
    settings = Settings(pace=Pace(concurrency=share, per_host=PER_HOST))
    layout = Layout("null", SHARDS, part.processes)
    with Bound(part.file) as pages:
        pages.warm()
        async with await open_engine(part.engine_url) as engine:
            if part.index == 0:
                await publish_seeds(engine, layout, settings, part.seeds)
            crawler = Crawler(
                engine=engine,
                layout=layout,
                spider=SiteSpider(),
                settings=settings,
                scope=Scope.of(part.seeds),
                fetcher=NullFetcher(pages),
                inbox=QueueInbox(engine.queue, layout.topic, LEASE_S),
                clock=SystemClock(),
                owns=lambda index: index % part.processes == part.index,
            )
            await asyncio.to_thread(barrier.wait, _START_S)
            started_s, cpu_s = time.monotonic(), time.process_time()
            async with asyncio.TaskGroup() as group:
                group.create_task(stop_at_the_end(crawler, engine, layout))
                await crawler.run()
            return Ended(
                sum(counts.fetched for counts in crawler.shard_counts().values()),
                started_s,
                time.monotonic(),
                time.process_time() - cpu_s,
            )


async def publish_seeds(engine: Engine, layout: Layout, settings: Settings, seeds: tuple[str, ...]) -> None:
    """The first messages, as `airless crawl` publishes them."""
    spider = SiteSpider()
    spider.start_urls = list(seeds)
    discovery = Discovery(settings, Scope.of(seeds), layout, lambda index: None)
    record = Record(SITE_SPIDER, layout.shards, layout.spread, started_at=0.0)
    ledger = Ledger(engine, layout.job)
    await Seeding(engine, layout, discovery, ledger, spider, sitemaps=False).run(record)


async def stop_at_the_end(crawler: Crawler, engine: Engine, layout: Layout) -> None:
    """A message is settled by the commit that publishes what came of it: an empty topic is the end for all."""
    ended = False
    while not ended:
        await asyncio.sleep(_WATCH_S)
        ended = crawler.quiet and not (await engine.queue.depth(layout.topic)).messages
    crawler.stop()
