"""The first messages of a crawl: what the spider starts with, published in batches and never twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from airless.core.errors import ConfigError
from airless.core.message import Message, derived_id
from airless.core.ports import Commit, Engine
from airless.crawl.callbacks import run_start
from airless.crawl.discovery import Discovery
from airless.crawl.layout import Layout
from airless.crawl.ledger import Ledger, Record
from airless.crawl.outgoing import ADMIT, BATCH_REQUESTS
from airless.crawl.packing import in_batches, pack
from airless.crawl.received import ORIGIN, SEEDS
from airless.crawl.request import Follow, Request
from airless.crawl.sitemap_seeds import sitemap_seed
from airless.crawl.spider import Spider
from airless.crawl.urls import canonical, origin

# A crawl has its first seeds soon. Of many, as many go together as make whole messages for each shard: shards list
# the messages of seeds that they have ended.
_FIRST_BATCH, _LARGEST_BATCH = 500, 64 * BATCH_REQUESTS
# What a request counts for that carries more than its URL.
_LADEN = 25


class Seeding:
    """Publishes the start requests to the shards that own them, each batch with how far it has come."""

    def __init__(
        self,
        engine: Engine,
        layout: Layout,
        discovery: Discovery,
        ledger: Ledger,
        spider: Spider,
        *,
        sitemaps: bool,
    ) -> None:
        self._engine = engine
        self._layout = layout
        self._discovery = discovery
        self._ledger = ledger
        self._spider = spider
        self._sitemaps = sitemaps

    async def run(self, record: Record) -> None:
        """Go on from where `record` says an earlier run was. Raises ConfigError for what is no URL."""
        if record.all_seeded:
            return
        batch: list[Request] = []
        position, size, most = 0, 0, _FIRST_BATCH
        async with aclosing(self._requests()) as requests:
            async for request in requests:
                position += 1
                if position <= record.seeded:
                    continue
                batch.append(request)
                size += _LADEN if request.meta or request.headers or request.body else 1
                if size >= most:
                    await self._publish(batch, record, position)
                    batch, size, most = [], 0, min(_LARGEST_BATCH, 2 * most)
        await self._publish(batch, record, position, last=True)

    async def _requests(self) -> AsyncGenerator[Request, None]:
        origins: set[str] = set()
        async with aclosing(run_start(self._spider)) as starts:
            async for found in starts:
                for request in found if isinstance(found, Follow) else (found,):
                    url = canonical(request.url)
                    if url is None:
                        raise ConfigError(
                            f"{request.url!r} is no URL to start from: write it as https://host/path"
                        )
                    request.url = url
                    request.seed = True
                    yield request
                    if self._sitemaps and origin(url) not in origins:
                        origins.add(origin(url))
                        yield sitemap_seed(url)

    async def _publish(
        self, batch: list[Request], record: Record, position: int, *, last: bool = False
    ) -> None:
        by_shard: dict[int, list[Request]] = {}
        for request in batch:
            by_shard.setdefault(self._discovery.shard_of(request), []).append(request)
        packs = [
            (shard, number, requests)
            for shard, of_shard in sorted(by_shard.items())
            for number, requests in enumerate(in_batches(of_shard, BATCH_REQUESTS))
        ]
        parent = f"{self._layout.job}/seeds/{record.seeded}"
        messages = [
            Message(
                topic=self._layout.topic,
                data={
                    **pack(requests),
                    "shard": shard,
                    ADMIT: True,
                    ORIGIN: [SEEDS, record.messages + place],
                },
                id=derived_id(parent, shard + number * self._layout.shards),
                run_id=self._layout.job,
                ordering_key=str(shard),
                priority=max(request.priority for request in requests),
                weight=0,
            )
            for place, (shard, number, requests) in enumerate(packs)
        ]
        # A crawl that is stopped cancels its seeding. Whether a commit that is cancelled was applied can't be
        # known, and the record must say what is true: a commit that has begun comes to its end.
        commit = asyncio.ensure_future(self._commit(messages, record, position, last))
        try:
            await asyncio.shield(commit)
        except asyncio.CancelledError:
            await commit
            raise

    async def _commit(self, messages: list[Message], record: Record, position: int, last: bool) -> None:
        published = record.messages + len(messages)
        ahead = replace(record, seeded=position, messages=published, all_seeded=last)
        versions = await self._engine.commit(Commit(publish=messages, state=[self._ledger.write(ahead)]))
        self._ledger.wrote(versions[0])
        record.seeded, record.messages, record.all_seeded = position, published, last
