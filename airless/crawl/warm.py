"""Shards that outlive an invocation, so that the next one needn't read what this process knows."""

from __future__ import annotations

from collections import OrderedDict

from airless.core.ports import Engine
from airless.crawl.common import Common
from airless.crawl.layout import Layout
from airless.crawl.met import Met
from airless.crawl.shard import Shard

# A shard's links that are remembered by how they are spelled, in up to sixteen bytes each.
_LINKS = 1 << 15
_REMEMBERING = 32
# Crawls whose shards know something together.
_TOGETHER = 16


class WarmShards:
    """Shards as of their last commit, the least recently used of which are let go beyond the bounds.

    They are given out as the engine has them: another process may have worked on them, or on another crawl of that
    name. Those used last remember the links that they were offered.
    """

    def __init__(self, *, shards: int = 256, urls: int = 4_000_000) -> None:
        self._most = shards
        self._most_urls = urls
        self._kept: OrderedDict[str, Shard] = OrderedDict()
        self._common: OrderedDict[str, Common] = OrderedDict()
        self._urls = 0

    def __len__(self) -> int:
        return len(self._kept)

    async def take(self, engine: Engine, layout: Layout, index: int) -> Shard:
        """The shard as the engine has it; its segments are read only where this process hasn't. See `Shard.load`."""
        key = layout.shard_key(index)
        shard = self._let_go(key)
        stored = await engine.state.load(key)
        if shard is None or stored is None or stored.version != shard.version:
            shard = await Shard.read(engine, layout, index, stored, earlier=shard)
        if shard.met is None:
            shard.met = Met(_LINKS)
        shard.common = self._common_of(layout.job)
        shard.common.meet(index, shard.born)
        return shard

    def keep(self, shard: Shard) -> None:
        """Take a shard back, unless something of it isn't committed."""
        if shard.dirty or shard.held_messages or shard.version is None:
            return
        shard.buffered = 0
        key = shard.layout.shard_key(shard.index)
        self._let_go(key)
        self._kept[key] = shard
        self._urls += len(shard.seen)
        if len(self._kept) > _REMEMBERING:
            list(self._kept.values())[-_REMEMBERING - 1].met = None
        while len(self._kept) > self._most or self._urls > self._most_urls:
            self._let_go(next(iter(self._kept)))

    def _common_of(self, job: str) -> Common:
        common = self._common.pop(job, None) or Common()
        self._common[job] = common
        if len(self._common) > _TOGETHER:
            self._common.popitem(last=False)
        return common

    def _let_go(self, key: str) -> Shard | None:
        shard = self._kept.pop(key, None)
        if shard is not None:
            self._urls -= len(shard.seen)
        return shard
