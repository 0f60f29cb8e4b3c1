"""The first messages of a crawl: what the spider starts with, published in batches and never twice."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from airless.core.errors import ConfigError
from airless.core.message import Message, derived_id
from airless.core.ports import Commit, Engine
from airless.crawl.callbacks import run_start
from airless.crawl.discovery import Discovery
from airless.crawl.packing import pack
from airless.crawl.request import Follow, Request
from airless.crawl.shard import ADMIT, Layout
from airless.crawl.sitemap_seeds import sitemap_seed
from airless.crawl.spider import Spider
from airless.crawl.urls import canonical, origin
from airless.local.crawl.ledger import Ledger, Record

_BATCH = 500


class Seeding:
    """Publishes the start requests to the shards that own them, each batch together with how far it has come."""

    def __init__(
        self, engine: Engine, layout: Layout, discovery: Discovery, ledger: Ledger, spider: Spider, *, sitemaps: bool
    ) -> None:
        self._engine = engine
        self._layout = layout
        self._discovery = discovery
        self._ledger = ledger
        self._spider = spider
        self._sitemaps = sitemaps

    async def run(self, record: Record, published: Callable[[], None]) -> None:
        """Go on from where `record` says an earlier run was."""
        if record.all_seeded:
            return
        batch: list[Request] = []
        position = 0
        async for request in self._requests():
            position += 1
            if position <= record.seeded:
                continue
            batch.append(request)
            if len(batch) == _BATCH:
                await self._publish(batch, record, position)
                published()
                batch = []
        record.all_seeded = True
        await self._publish(batch, record, position)
        published()

    async def _requests(self) -> AsyncIterator[Request]:
        origins: set[str] = set()
        async for found in run_start(self._spider):
            for request in found if isinstance(found, Follow) else (found,):
                url = canonical(request.url)
                if url is None:
                    raise ConfigError(f"{request.url!r} is no URL to start from: write it as https://host/path")
                request.url = url
                request.seed = True
                yield request
                if self._sitemaps and origin(url) not in origins:
                    origins.add(origin(url))
                    yield sitemap_seed(url)

    async def _publish(self, batch: list[Request], record: Record, position: int) -> None:
        by_shard: dict[int, list[Request]] = {}
        for request in batch:
            by_shard.setdefault(self._discovery.shard_of(request), []).append(request)
        messages = [
            Message(
                topic=self._layout.topic,
                data={**pack(requests), "shard": shard, ADMIT: True},
                id=derived_id(f"{self._layout.job}/seeds/{record.seeded}", shard),
                run_id=self._layout.job,
                ordering_key=str(shard),
                priority=max(request.priority for request in requests),
                weight=0,
            )
            for shard, requests in sorted(by_shard.items())
        ]
        record.seeded = position
        versions = await self._engine.commit(Commit(publish=messages, state=[self._ledger.write(record)]))
        self._ledger.wrote(versions[0])
