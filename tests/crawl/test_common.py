"""What the shards of a crawl in one process know together."""

from __future__ import annotations

from airless.core.ports import Commit
from airless.crawl.common import Common
from airless.crawl.discovery import Discovery
from airless.crawl.layout import Layout
from airless.crawl.request import Follow, Request
from airless.crawl.scope import Scope
from airless.crawl.seen import pack_fingerprints
from airless.crawl.settings import Limits, Settings
from airless.crawl.shard import Shard
from airless.crawl.warm import WarmShards
from airless.engines.memory import MemoryEngine

LAYOUT = Layout("job", 8)
LINK = "http://owner.example/a"
OWNER = LAYOUT.shard_of("owner.example", 0)
ONE, OTHER = [index for index in range(8) if index != OWNER][:2]


def follow(shard: Shard, *links: str, settings: Settings | None = None) -> list[str]:
    """What a page of that shard that has these links offers to others."""
    discovery = Discovery(
        settings or Settings(), Scope.of((), ("*",)), LAYOUT, {shard.index: shard}.get, keeps_offers=True
    )
    page = Request("http://page.example/")
    discovery.follow(shard, page, Follow(links or (LINK,)))
    return [request.url for offered in shard.outgoing.foreign.values() for request in offered]


async def commit(engine: MemoryEngine, shard: Shard) -> None:
    part = shard.write()
    shard.committed((await engine.commit(Commit(state=[part.state])))[0])


async def test_what_one_shard_has_offered_no_other_offers_again() -> None:
    async with MemoryEngine() as engine:
        warm = WarmShards()
        one, other = await warm.take(engine, LAYOUT, ONE), await warm.take(engine, LAYOUT, OTHER)
        assert follow(one) == [LINK]
        assert follow(other, LINK + "b") == [LINK + "b"]
        await commit(engine, one)
        assert follow(other, LINK, LINK + "c") == [LINK + "b", LINK + "c"]


async def test_what_its_owner_has_need_not_be_offered_to_it() -> None:
    async with MemoryEngine() as engine:
        warm = WarmShards()
        owner, other = await warm.take(engine, LAYOUT, OWNER), await warm.take(engine, LAYOUT, OTHER)
        assert follow(owner) == []
        await commit(engine, owner)
        assert follow(other) == []
        assert not other.dirty


async def test_what_is_not_committed_is_relied_upon_by_nobody() -> None:
    async with MemoryEngine() as engine:
        warm = WarmShards()
        one, other = await warm.take(engine, LAYOUT, ONE), await warm.take(engine, LAYOUT, OTHER)
        assert follow(one) == [LINK]
        one.write()  # and the commit fails
        assert follow(other) == [LINK]
        again = await warm.take(engine, LAYOUT, ONE)
        await commit(engine, again)
        assert follow(await WarmShards().take(engine, LAYOUT, ONE)) == [LINK]


async def test_another_process_knows_nothing_of_it() -> None:
    async with MemoryEngine() as engine:
        one = await WarmShards().take(engine, LAYOUT, ONE)
        other = await WarmShards().take(engine, LAYOUT, OTHER)
        follow(one)
        await commit(engine, one)
        assert follow(other) == [LINK]


async def test_where_levels_count_a_link_may_be_nearer_now_and_is_offered_again() -> None:
    nearer = Settings(limits=Limits(depth=3))
    async with MemoryEngine() as engine:
        warm = WarmShards()
        one, other = await warm.take(engine, LAYOUT, ONE), await warm.take(engine, LAYOUT, OTHER)
        assert follow(one, settings=nearer) == [LINK]
        await commit(engine, one)
        assert follow(other, settings=nearer) == [LINK]


async def test_a_crawl_that_was_begun_anew_under_the_name_offers_everything() -> None:
    warm = WarmShards()
    async with MemoryEngine() as engine:
        one = await warm.take(engine, LAYOUT, ONE)
        follow(one)
        await commit(engine, one)
    async with MemoryEngine() as wiped:
        assert follow(await warm.take(wiped, LAYOUT, OTHER)) == [LINK]


async def test_a_commit_that_ends_after_a_shard_has_come_may_be_of_the_crawl_before() -> None:
    warm = WarmShards()
    async with MemoryEngine() as engine, MemoryEngine() as wiped:
        one = await warm.take(engine, LAYOUT, ONE)
        follow(one)
        part = one.write()
        (version,) = await engine.commit(Commit(state=[part.state]))
        other = await warm.take(wiped, LAYOUT, OTHER)
        one.committed(version)
        assert follow(other) == [LINK]


def test_the_latest_marks_are_held_and_no_more_than_twice_so_many() -> None:
    common = Common(marks=100)
    for start in range(0, 1_000, 10):
        common.add(pack_fingerprints(range(start, start + 10)), common.generation)
    held = [mark for mark in range(1_000) if common.knows(mark)]
    assert held == list(range(held[0], 1_000))
    assert 100 <= len(held) <= 200


def test_all_is_forgotten_when_a_shard_comes_that_was_never_here() -> None:
    common = Common()
    common.meet(1, "a")
    common.add(pack_fingerprints([7]), common.generation)
    common.meet(1, "a")
    assert common.knows(7)
    common.meet(2, "b")
    assert not common.knows(7)
    common.add(pack_fingerprints([7]), common.generation)
    common.meet(1, "c")  # the crawl was begun anew
    assert not common.knows(7)
