"""Shards that a process keeps between invocations."""

from __future__ import annotations

from airless.core.ports import Commit
from airless.crawl.layout import Layout
from airless.crawl.shard import Shard
from airless.crawl.warm import WarmShards
from airless.engines.memory import MemoryEngine

LAYOUT = Layout("job", 8)


async def committed(engine: MemoryEngine, shard: Shard, *fingerprints: int) -> Shard:
    for fingerprint in fingerprints:
        shard.see(fingerprint)
    part = shard.write()
    (shard.version,) = await engine.commit(Commit(put=part.put, state=[part.state]))
    return shard


async def test_a_shard_that_nobody_changed_is_the_one_that_was_kept() -> None:
    async with MemoryEngine() as engine:
        warm = WarmShards()
        shard = await committed(engine, await warm.take(engine, LAYOUT, 1), 7)
        warm.keep(shard)
        assert await warm.take(engine, LAYOUT, 1) is shard
        assert len(warm) == 0  # until it is given back, nobody else gets it


async def test_a_shard_that_another_process_changed_is_read_anew() -> None:
    async with MemoryEngine() as engine:
        warm = WarmShards()
        shard = await committed(engine, await Shard.load(engine, LAYOUT, 1), 7)
        warm.keep(shard)
        await committed(engine, await Shard.load(engine, LAYOUT, 1), 8)
        found = await warm.take(engine, LAYOUT, 1)
        assert found is not shard
        assert not found.see(8)


async def test_what_is_not_committed_is_not_kept() -> None:
    async with MemoryEngine() as engine:
        warm = WarmShards()
        shard = await committed(engine, await Shard.load(engine, LAYOUT, 1), 7)
        shard.see(9)
        warm.keep(shard)
        warm.keep(await Shard.load(engine, LAYOUT, 2))
        assert len(warm) == 0


async def test_what_is_kept_is_bounded() -> None:
    async with MemoryEngine() as engine:
        shards = [
            await committed(engine, await Shard.load(engine, LAYOUT, index), *range(10)) for index in range(6)
        ]
        few, small = WarmShards(shards=3), WarmShards(urls=25)
        for shard in shards:
            few.keep(shard)
            small.keep(shard)
        assert (len(few), len(small)) == (3, 2)
        assert await few.take(engine, LAYOUT, 5) is shards[5]
        assert await few.take(engine, LAYOUT, 0) is not shards[0]
