"""What the queue on Redis promises beyond the queue's contract: topics below a name, dead letters, little memory."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.valkey import Valkey

from airless.core.errors import MessageError, MessageTooLarge, StorageFull
from airless.core.message import Message
from airless.core.ports import Commit, DeadLetter, DeadLetters, Settlement, StateWrite, TopicsBelow
from airless.engines import open_engine
from airless.engines.redis import committing


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with Valkey(tmp_path_factory.mktemp("valkey"), fsync="everysec") as server:
        yield server


@pytest.fixture
async def engine(server: Valkey) -> AsyncIterator[Any]:
    async with await open_engine(server.url) as engine:
        yield engine
        await engine._server.client.flushall()


@pytest.fixture
async def other(server: Valkey) -> AsyncIterator[Any]:
    async with await open_engine(server.url) as engine:
        yield engine


async def keys(engine: Any) -> set[str]:
    """What is on the server, without the kinds that every consumer leaves."""
    names = {key.decode() for key in await engine._server.client.keys("*")}
    return {name for name in names if ":calls:" not in name and not name.endswith(":number")}


async def test_one_receive_takes_from_all_topics_below_a_name(engine: Any) -> None:
    assert isinstance(engine.queue, TopicsBelow)
    for topic in ("frontier", "frontier/a", "frontier/ü/deep", "frontier0", "frontie/x", "frontier/*"):
        await engine.queue.publish_many([Message(topic, {}, id=f"{n}", ordering_key="1") for n in range(2)])
    below = ["frontier/*", "frontier/a", "frontier/ü/deep"]
    assert await engine.queue.topics("frontier/*") == below
    assert await engine.queue.topics("frontier") == ["frontier"]
    got = await engine.queue.receive("frontier/*", limit=99, lease_s=30)
    assert Counter(one.topic for one in got) == dict.fromkeys(below, 2)
    await engine.queue.settle([Settlement.done(one) for one in got])
    assert await engine.queue.topics("frontier/*") == []
    assert await engine.queue.topics("frontier/a") == []
    assert await engine.queue.receive("frontier/*", limit=9, lease_s=30) == []
    assert len(await engine.queue.receive("frontier", limit=9, lease_s=30)) == 2


async def test_topics_below_a_name_get_their_turns(engine: Any) -> None:
    for topic in ("frontier/a", "frontier/b", "frontier/c"):
        await engine.queue.publish_many([Message(topic, {}, id=f"{n}") for n in range(100)])
    served = Counter()
    for _ in range(9):
        got = await engine.queue.receive("frontier/*", limit=10, lease_s=30)
        served.update(one.topic for one in got)
    assert served == {"frontier/a": 30, "frontier/b": 30, "frontier/c": 30}


async def test_a_topic_that_begins_wakes_who_waits_for_those_below(engine: Any, other: Any) -> None:
    waiting = asyncio.create_task(engine.queue.receive("frontier/*", limit=9, lease_s=30, wait_s=60))
    elsewhere = asyncio.create_task(engine.queue.receive("links/*", limit=9, lease_s=30, wait_s=1))
    await asyncio.sleep(0.3)
    await other.queue.publish_many([Message("frontier/new", {})])
    async with asyncio.timeout(1):
        assert [one.topic for one in await waiting] == ["frontier/new"]
    assert await elsewhere == []


async def test_who_waits_below_a_name_gets_what_becomes_due_and_what_was_lost(
    engine: Any, other: Any, server: Valkey
) -> None:
    await other.queue.publish_many([Message("frontier/a", {}, id="lost")])
    await other.queue.receive("frontier/a", limit=1, lease_s=1)
    async with asyncio.timeout(2):
        (lost,) = await engine.queue.receive("frontier/*", limit=9, lease_s=30, wait_s=60)
    assert (lost.id, lost.attempt) == ("lost", 1)


async def test_waiting_asks_the_server_seldom(engine: Any) -> None:
    before = (await engine._server.client.info("commandstats"))["cmdstat_evalsha"]["calls"]
    await engine.queue.receive("pages", limit=1, lease_s=30, wait_s=2)
    after = (await engine._server.client.info("commandstats"))["cmdstat_evalsha"]["calls"]
    assert after - before <= 4


@pytest.mark.parametrize("key", [None, "a"])
async def test_a_dead_letter_keeps_its_error_and_comes_back_as_new(engine: Any, key: str | None) -> None:
    queue = engine.queue
    assert isinstance(queue, DeadLetters)
    sent = Message("pages", {"n": 1}, id="m", ordering_key=key, priority=3, weight=7)
    await queue.publish_many([sent])
    (got,) = await queue.receive("pages", limit=1, lease_s=60)
    await queue.settle([Settlement.retry(got)])
    (got,) = await queue.receive("pages", limit=1, lease_s=60)
    await queue.settle([Settlement.given_up(got, "it is\x00 bröken")])
    assert (await queue.depth("pages")).messages == 0
    assert await queue.letters("pages", limit=9) == [DeadLetter("m", "it is\x00 bröken", key)]
    assert await queue.letters("pages", limit=0) == []
    assert await queue.redrive("pages") == 1
    assert await queue.redrive("pages") == 0
    assert await queue.letters("pages", limit=9) == []
    assert (await queue.depth("pages")).weight == 7
    (again,) = await queue.receive("pages", limit=1, lease_s=60)
    assert (again.id, again.body, again.ordering_key, again.attempt) == ("m", got.body, key, 0)


async def test_letters_come_back_in_the_order_in_which_they_were_given_up(engine: Any) -> None:
    queue = engine.queue
    for topic in ("frontier/a", "frontier/b"):
        await queue.publish_many([Message(topic, {}, id=f"{n:04}") for n in range(2500)])
        while got := await queue.receive(topic, limit=1000, lease_s=60):
            await queue.settle([Settlement.given_up(one, "no") for one in got])
    assert [one.id for one in await queue.letters("frontier/a", limit=3)] == ["0000", "0001", "0002"]
    assert await queue.redrive("frontier/a") == 2500
    got = await queue.receive("frontier/a", limit=2500, lease_s=60)
    assert [one.id for one in got] == [f"{n:04}" for n in range(2500)]
    assert await queue.redrive("frontier/b") == 2500


async def test_a_letter_whose_id_waits_again_is_that_message(engine: Any) -> None:
    queue = engine.queue
    await queue.publish_many([Message("pages", {"turn": 1}, id="m")])
    (got,) = await queue.receive("pages", limit=1, lease_s=60)
    await queue.settle([Settlement.given_up(got, "no")])
    await queue.publish_many([Message("pages", {"turn": 2}, id="m")])
    assert await queue.redrive("pages") == 1
    (got,) = await queue.receive("pages", limit=9, lease_s=60)
    assert b'"turn":2' in got.body


async def test_a_message_that_all_its_consumers_die_of_is_given_up(engine: Any) -> None:
    await engine.queue.publish_many([Message("pages", {}, id=f"m{n}", ordering_key="a") for n in range(2)])
    for attempt in range(50):
        (got,) = await engine.queue.receive("pages", limit=1, lease_s=0.002, wait_s=1)
        assert (got.id, got.attempt) == ("m0", attempt)
        await asyncio.sleep(0.003)
    (got,) = await engine.queue.receive("pages", limit=9, lease_s=30)
    assert got.id == "m1"
    assert await engine.queue.letters("pages", limit=9) == [DeadLetter("m0", "", "a")]
    await engine.queue.settle([Settlement.done(got)])
    assert (await engine.queue.depth("pages")).weight == 0


async def test_what_is_done_leaves_nothing_on_the_server(engine: Any, other: Any) -> None:
    queue = engine.queue
    await queue.publish_many(
        [Message(f"t{n % 7}", {}, id=f"{n}", ordering_key=f"k{n}" if n % 2 else None) for n in range(200)]
    )
    await queue.publish_many([Message("late", {}, not_before_s=time.time() + 0.2)])
    for topic in [*(f"t{n}" for n in range(7)), "late"]:
        retried = set()
        while got := await queue.receive(topic, limit=5, lease_s=30, wait_s=0.3):
            await queue.settle(
                [Settlement.done(d) if d.id in retried else Settlement.retry(d) for d in got if d.id != "8"]
            )
            retried.update(one.id for one in got)
            if dead := [Settlement.given_up(d, "") for d in got if d.id == "8"]:
                await queue.settle(dead)
    assert await queue.redrive("t1") == 1
    (got,) = await queue.receive("t1", limit=5, lease_s=30)
    await queue.settle([Settlement.done(got)])
    await engine.commit(Commit(put={"a": b"1"}))
    await engine.objects.delete(["a"])
    assert await keys(engine) == set()
    assert await engine._server.client.ttl(f"{{airless}}:calls:{engine._server.consumer}") > 0


async def test_consumers_share_the_work(engine: Any, other: Any) -> None:
    await engine.queue.publish_many(
        [Message("pages", {}, id=f"{n}", ordering_key=str(n % 9)) for n in range(2000)]
    )
    seen: Counter[str] = Counter()
    held: Counter[str | None] = Counter()

    async def work(consumer: Any) -> None:
        while got := await consumer.queue.receive("pages", limit=7, lease_s=30, wait_s=0.5):
            held.update({one.ordering_key for one in got})
            assert max(held.values()) == 1, "a key is worked on by two"
            await asyncio.sleep(0)
            held.subtract({one.ordering_key for one in got})
            await consumer.queue.settle([Settlement.done(one) for one in got])
            seen.update(one.id for one in got)

    async with asyncio.TaskGroup() as group:
        for consumer in (engine, engine, other, other):
            group.create_task(work(consumer))
    assert len(seen) == 2000
    assert set(seen.values()) == {1}


@pytest.mark.parametrize("selected", [False, True])
async def test_the_best_of_many_keys_come_in_their_order(engine: Any, selected: bool) -> None:
    chance = random.Random(7)
    messages = [
        Message("pages", {}, id=f"{n}", ordering_key=f"k{chance.randrange(40)}", priority=chance.randrange(5))
        for n in range(600)
    ]
    if not selected:
        messages += [Message("pages", {}, id=f"free{n}", priority=chance.randrange(5)) for n in range(200)]
    for first in range(0, len(messages), 100):
        await engine.queue.publish_many(messages[first : first + 100])
    keys = [f"k{n}" for n in range(0, 60, 2)] if selected else None
    waiting = [one for one in messages if keys is None or one.ordering_key in keys]
    while waiting:
        waiting.sort(key=lambda one: -one.priority)  # those of one priority keep their order
        got = await engine.queue.receive("pages", limit=70, lease_s=30, keys=keys)
        assert [one.id for one in got] == [one.id for one in waiting[:70]]
        await engine.queue.settle([Settlement.done(one) for one in got])
        del waiting[:70]


async def test_more_than_goes_at_once_is_published_in_steps(engine: Any) -> None:
    await engine.queue.publish_many([Message("pages", {}, id=f"{n}") for n in range(12_001)])
    assert (await engine.queue.depth("pages")).ready == 12_001


async def test_what_no_server_takes_is_refused(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MessageError, match="too large"):
        await engine.queue.publish_many([Message("pages", {}, weight=2**63)])
    monkeypatch.setattr(committing, "_MOST_BYTES", 100)
    with pytest.raises(MessageTooLarge):
        await engine.commit(Commit(put={"a": b"x" * 101}))


async def fill(engine: Any) -> None:
    for n in range(100):
        await engine.commit(Commit(put={f"fill/{n}": b"x" * 200_000}))


async def test_a_full_memory_applies_nothing_and_lets_work_end(tmp_path: Path) -> None:
    with Valkey(tmp_path, options=("--maxmemory", "8mb")) as server:
        async with await open_engine(server.url) as engine:
            await engine.queue.publish_many([Message("pages", {}, id=f"{n}") for n in range(3)])
            with pytest.raises(StorageFull, match="maxmemory"):
                await fill(engine)
            held = await engine.queue.receive("pages", limit=2, lease_s=30)
            await engine.queue.extend(held, 60)
            commit = Commit(
                state=[StateWrite("shard", b"1", None)],
                publish=[Message("links", {})],
                settle=[Settlement.done(held[0])],
            )
            with pytest.raises(StorageFull):
                await engine.commit(commit)
            assert await engine.state.load("shard") is None
            depth = await engine.queue.depth("pages")
            assert (depth.ready, depth.leased) == (1, 2)
            await engine.queue.settle([Settlement.retry(held[1]), Settlement.given_up(held[0], "full")])
            names = [name async for name in engine.objects.list("fill/")]
            await engine.objects.delete(names)
            (got, again) = await engine.queue.receive("pages", limit=9, lease_s=30)
            await engine.commit(
                Commit(state=[StateWrite("shard", b"1", None)], settle=[Settlement.done(got)])
            )
            await engine.queue.settle([Settlement.done(again)])


async def test_leases_that_were_lost_are_forgotten_here_too(engine: Any) -> None:
    for n in range(6):
        await engine.queue.publish_many([Message("pages", {}, id=f"{n}-{m}") for m in range(500)])
        assert len(await engine.queue.receive("pages", limit=500, lease_s=0.01)) == 500
        await asyncio.sleep(0.02)
    assert len(engine.queue.leases._leases) <= 1500
    assert engine.queue.leases.held() == []
