"""A crawl over the memory engine, driven as a host drives it, with its accounts looked at in the end."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import orjson
from support.pages import Pages

from airless.core.message import Message
from airless.core.ports import Delivery, Engine
from airless.crawl.budget import Budget
from airless.crawl.counts import Counts
from airless.crawl.crawler import LEASE_S, Crawler
from airless.crawl.discovery import Discovery
from airless.crawl.fetch import Fetcher
from airless.crawl.inbox import BatchInbox, Inbox, QueueInbox
from airless.crawl.layout import Layout
from airless.crawl.outgoing import ADMIT
from airless.crawl.packing import pack
from airless.crawl.records import progress_of, read_document
from airless.crawl.request import Follow, Request
from airless.crawl.response import Response
from airless.crawl.scope import Scope
from airless.crawl.settings import Settings
from airless.crawl.spider import Spider
from airless.crawl.urls import canonical
from airless.engines.memory import MemoryEngine, MemoryStore

POLITE_ROBOTS_OFF = Settings(obey_robots=False)


class FastClock:
    """A clock that runs `speed` times as fast as the machine's."""

    def __init__(self, speed: float = 20.0) -> None:
        self._speed = speed
        self._began = time.monotonic()

    def now(self) -> float:
        return 1_700_000_000.0 + self.monotonic()

    def monotonic(self) -> float:
        return (time.monotonic() - self._began) * self._speed

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds) / self._speed)


class LinkSpider(Spider):
    """An item a page, and all its links."""

    async def parse(self, response: Response) -> AsyncIterator[dict[str, Any] | Follow]:
        yield {"url": response.url, "depth": response.depth}
        yield response.follow_all()


class Crawl:
    """One job: its store, its pages, its spider. Crawlers are made of it, as many as the test needs."""

    def __init__(
        self,
        pages: Fetcher | dict[str, Any],
        *,
        spider: Spider | None = None,
        settings: Settings = POLITE_ROBOTS_OFF,
        scope: Sequence[str] = ("*",),
        shards: int = 4,
        spread: int = 1,
        speed: float = 20.0,
    ) -> None:
        self.fetcher: Any = Pages(pages) if isinstance(pages, dict) else pages
        self.spider = spider or LinkSpider()
        self.settings = settings
        self.scope = Scope.of((), scope)
        self.layout = Layout("job", shards, spread)
        self.clock = FastClock(speed)
        self.store = MemoryStore()
        self.engine = self.open()

    def open(self) -> MemoryEngine:
        """Another consumer of the same store."""
        return MemoryEngine(self.store, clock=self.clock)

    def shard_of(self, request: Request) -> int:
        return Discovery(self.settings, self.scope, self.layout, lambda index: None).shard_of(request)

    async def seed(self, *starts: str | Request) -> None:
        """Publish start requests to the shards that own them, which decide whether they are new."""
        by_shard: dict[int, list[Request]] = {}
        for start in starts:
            request = Request(start) if isinstance(start, str) else start
            request.url = canonical(request.url) or request.url
            request.seed = True
            by_shard.setdefault(self.shard_of(request), []).append(request)
        await self.engine.queue.publish_many(
            [
                Message(
                    topic=self.layout.topic,
                    data={**pack(requests), "shard": shard, ADMIT: True},
                    ordering_key=str(shard),
                    weight=0,
                )
                for shard, requests in by_shard.items()
            ]
        )

    def crawler(
        self,
        engine: Engine | None = None,
        *,
        inbox: Inbox | None = None,
        owns: Callable[[int], bool] = lambda index: True,
        budget: Budget | None = None,
        **options: Any,
    ) -> Crawler:
        engine = engine or self.engine
        return Crawler(
            engine=engine,
            layout=self.layout,
            spider=self.spider,
            settings=self.settings,
            scope=self.scope,
            fetcher=self.fetcher,
            inbox=inbox or QueueInbox(engine.queue, self.layout.topic, LEASE_S),
            clock=self.clock,
            owns=owns,
            budget=budget,
            rng=random.Random(7),
            **options,
        )

    async def run(
        self, *crawlers: Crawler, until: Callable[[], bool] | None = None, limit_s: float = 15.0
    ) -> None:
        """Run crawlers until nothing is left (or they are starved of budget, or `until` says so)."""
        crawlers = crawlers or (self.crawler(),)
        running = [asyncio.create_task(crawler.run()) for crawler in crawlers]
        try:
            async with asyncio.timeout(limit_s):
                starved = 0
                while not any(task.done() for task in running):
                    starved = starved + 1 if all(crawler.starved for crawler in crawlers) else 0
                    if (until is not None and until()) or starved > 4 or await self._over(crawlers):
                        for crawler in crawlers:
                            crawler.stop()
                    await asyncio.wait(running, timeout=0.005)
                await asyncio.gather(*running)
        finally:
            for task in running:
                task.cancel()
            await asyncio.wait(running)

    async def _over(self, crawlers: Sequence[Crawler]) -> bool:
        quiet = all(crawler.quiet for crawler in crawlers)
        return quiet and not (await self.engine.queue.depth(self.layout.topic)).messages

    async def invoke(self, limit: int = 10, **options: Any) -> Crawler:
        """One invocation of a function: a batch from the queue, and a crawler that ends with it."""
        crawler = self.crawler(inbox=BatchInbox(await self.batch(limit)), **options)
        async with asyncio.timeout(15):
            await crawler.run()
        return crawler

    async def batch(self, limit: int = 10) -> list[Delivery]:
        return await self.engine.queue.receive(self.layout.topic, limit=limit, lease_s=LEASE_S)

    async def counts(self) -> Counts:
        """The counters as committed; every discovered URL has ended in one of them or is in the queue."""
        total, besides = Counts(), 0
        for key, (_, data) in self.store.states.items():
            if key.startswith(self.layout.shard_prefix):
                doc = read_document(data)
                total.add(Counts.from_dict(doc["counts"]))
                besides += sum(progress.weight for progress in progress_of(doc).values())
        waiting = (await self.engine.queue.depth(self.layout.topic)).weight + besides
        assert total.waiting == waiting >= 0, (waiting, total.to_dict())
        assert total.items == len(self.items())
        return total

    def items(self) -> list[dict[str, Any]]:
        names = sorted(name for name in self.store.blobs if name.startswith(self.layout.items_prefix))
        return [orjson.loads(line) for name in names for line in self.store.blobs[name].splitlines()]

    def item_urls(self) -> list[str]:
        return sorted(item["url"] for item in self.items())
