"""Shards that outlive an invocation, so that the next one needn't read what this process knows."""

from __future__ import annotations

from collections import OrderedDict

from airless.core.ports import Engine
from airless.crawl.layout import Layout
from airless.crawl.shard import Shard


class WarmShards:
    """Shards as of their last commit, the least recently used of which are let go beyond the bounds.

    Only those are given out of which the engine still has that version: another process may have worked on them.
    """

    def __init__(self, *, shards: int = 256, urls: int = 4_000_000) -> None:
        self._most = shards
        self._most_urls = urls
        self._kept: OrderedDict[str, Shard] = OrderedDict()
        self._urls = 0

    def __len__(self) -> int:
        return len(self._kept)

    async def take(self, engine: Engine, layout: Layout, index: int) -> Shard:
        """The shard as the engine has it; its segments are read only where this process hasn't. See `Shard.load`."""
        key = layout.shard_key(index)
        shard = self._let_go(key)
        stored = await engine.state.load(key)
        if shard is not None and stored is not None and stored.version == shard.version:
            return shard
        return await Shard.read(engine, layout, index, stored)

    def keep(self, shard: Shard) -> None:
        """Take a shard back, unless something of it isn't committed."""
        if shard.dirty or shard.held_messages or shard.version is None:
            return
        shard.buffered = 0
        key = shard.layout.shard_key(shard.index)
        self._let_go(key)
        self._kept[key] = shard
        self._urls += len(shard.seen)
        while len(self._kept) > self._most or self._urls > self._most_urls:
            self._let_go(next(iter(self._kept)))

    def _let_go(self, key: str) -> Shard | None:
        shard = self._kept.pop(key, None)
        if shard is not None:
            self._urls -= len(shard.seen)
        return shard
