"""Shards that outlive an invocation, so that the next one needn't read what this process knows."""

from __future__ import annotations

from collections import OrderedDict
from weakref import WeakSet

from airless.core.ports import Engine
from airless.crawl.common import Common
from airless.crawl.layout import Layout
from airless.crawl.met import Met
from airless.crawl.shard import Shard

# Links that all shards together remember by how they are spelled, in up to sixteen bytes each, and a shard alone.
_LINKS = 1 << 20
_LEAST_LINKS, _MOST_LINKS = 1 << 15, 1 << 18
# Crawls whose shards know something together.
_TOGETHER = 16


class WarmShards:
    """Shards as of their last commit, the least recently used of which are let go beyond the bounds.

    They are given out as the engine has them: another process may have worked on them, or on another crawl of that
    name. Those used last remember the links that they were offered, each the more of them the fewer shards there are.
    """

    def __init__(self, *, shards: int = 256, urls: int = 4_000_000) -> None:
        self._most = shards
        self._most_urls = urls
        self._kept: OrderedDict[str, Shard] = OrderedDict()
        self._common: OrderedDict[str, Common] = OrderedDict()
        self._out: WeakSet[Shard] = WeakSet()
        self._urls = self._links = 0

    def __len__(self) -> int:
        return len(self._kept)

    async def take(self, engine: Engine, layout: Layout, index: int) -> Shard:
        """The shard as the engine has it; its segments are read only where this process hasn't. See `Shard.load`."""
        key = layout.shard_key(index)
        shard = self._let_go(key)
        stored = await engine.state.load(key)
        if shard is None or stored is None or stored.version != shard.version:
            shard = await Shard.read(engine, layout, index, stored, earlier=shard)
        links = self._share()
        if shard.met is None or shard.met.links > links:
            shard.met = Met(links)
        self._out.add(shard)
        shard.common = self._common_of(layout.job)
        shard.common.meet(index, shard.born)
        return shard

    def keep(self, shard: Shard) -> None:
        """Take a shard back, unless something of it isn't committed."""
        self._out.discard(shard)
        if shard.dirty or shard.held_messages or shard.version is None:
            return
        shard.buffered = 0
        key = shard.layout.shard_key(shard.index)
        self._let_go(key)
        self._kept[key] = shard
        self._urls += len(shard.seen)
        self._links += _remembered(shard)
        if self._links > _LINKS:
            self._forget()
        while len(self._kept) > self._most or self._urls > self._most_urls:
            self._let_go(next(iter(self._kept)))

    def _share(self) -> int:
        """For how many links there is room in a shard that is given out now."""
        remembering = 1 + len(self._out) + sum(shard.met is not None for shard in self._kept.values())
        share = _MOST_LINKS
        while share > _LEAST_LINKS and share * remembering > _LINKS:
            share //= 2
        return share

    def _forget(self) -> None:
        """Let go of what is remembered by the shards used least recently, as far as it is too much."""
        for shard in self._kept.values():
            self._links -= _remembered(shard)
            shard.met = None
            if self._links <= _LINKS:
                return

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
            self._links -= _remembered(shard)
        return shard


def _remembered(shard: Shard) -> int:
    """For how many links it has room."""
    return 0 if shard.met is None else shard.met.links
