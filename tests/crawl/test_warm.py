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


async def test_what_was_known_of_a_shard_need_not_be_read_again() -> None:
    async with MemoryEngine() as engine:
        warm = WarmShards()
        many = range(1, 3_000)
        shard = await committed(engine, await warm.take(engine, LAYOUT, 1), *many)
        met, seen = shard.met, shard.seen
        assert met is not None
        warm.keep(shard)
        await committed(engine, await Shard.load(engine, LAYOUT, 1), 5_000)
        for segment in [name async for name in engine.objects.list(LAYOUT.seen_prefix)]:
            await engine.objects.delete([segment])  # nobody asks for it
        found = await warm.take(engine, LAYOUT, 1)
        assert found.met is met
        assert found.seen is seen
        assert not any(map(found.see, (*many, 5_000)))


async def test_a_crawl_that_was_begun_anew_under_the_name_is_another() -> None:
    async with MemoryEngine() as engine:
        warm = WarmShards()
        shard = await committed(engine, await warm.take(engine, LAYOUT, 1), 7)
        met = shard.met
        warm.keep(shard)
        anew = Shard(LAYOUT, 1)
        anew.version = shard.version  # it takes the other's place
        await committed(engine, anew, 8)
        found = await warm.take(engine, LAYOUT, 1)
        assert found.met is not met
        assert found.see(7)
        assert not found.see(8)


async def test_only_those_used_last_remember_links() -> None:
    async with MemoryEngine() as engine:
        warm = WarmShards()
        layout = Layout("job", 64)
        shards = []
        for index in range(40):
            shards.append(await committed(engine, await warm.take(engine, layout, index), index))
            warm.keep(shards[-1])
        remembered = [shard.met.links for shard in shards if shard.met is not None]
        assert 1 << 19 < sum(remembered) <= 1 << 20
        assert shards[0].met is None
        assert shards[-1].met is not None
        assert (await warm.take(engine, layout, 0)).met is not None


async def test_the_fewer_shards_there_are_the_more_links_each_remembers() -> None:
    async with MemoryEngine() as engine:
        warm = WarmShards()
        layout = Layout("job", 64)
        few = [await committed(engine, await warm.take(engine, layout, index), index) for index in range(4)]
        assert [shard.met.links for shard in few if shard.met is not None] == [1 << 18] * 4
        for shard in few:
            warm.keep(shard)
        more = [await warm.take(engine, layout, 4 + index) for index in range(28)]
        assert more[-1].met is not None
        assert more[-1].met.links == 1 << 15
        again = await warm.take(engine, layout, 0)
        assert again is few[0]
        assert again.met is not None
        assert again.met.links == 1 << 15


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
