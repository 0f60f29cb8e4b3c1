"""What the nats engine asks of its server to find and to end messages: how often, and what it misses by asking less."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from airless.core.message import Message
from airless.core.ports import Settlement
from airless.engines import open_engine

_ROUNDS = 10


@pytest.fixture
async def asked(nats_engine: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the engine asks of the server from now on, each by its subject."""
    await nats_engine.objects.put("first", b"")
    client = nats_engine.queue._connection._client
    publish, asked = client.publish, list[str]()

    async def noted(subject: str, payload: bytes = b"", reply: str = "", **more: Any) -> None:
        if reply:
            asked.append(subject)
        await publish(subject, payload, reply=reply, **more)

    monkeypatch.setattr(client, "publish", noted)
    return asked


@pytest.mark.parametrize("wait_s", [0, 30])
async def test_a_message_of_a_key_costs_five_requests_one_by_one(
    nats_engine: Any, asked: list[str], wait_s: float
) -> None:
    """Of which the last, that it be deleted, is waited for by nobody. Now and then, all that waits is listed anew."""
    rounds: list[list[str]] = []
    for n in range(_ROUNDS):
        asked.clear()
        await nats_engine.queue.publish_many([Message("pages", {}, id=f"{n}", ordering_key="a")])
        (got,) = await nats_engine.queue.receive("pages", limit=1, lease_s=30, wait_s=wait_s)
        assert got.id == f"{n}"
        await nats_engine.queue.settle([Settlement.done(got)])
        await nats_engine.queue._cleaning.idle()
        rounds.append(list(asked))
    prefix = nats_engine.options.prefix
    assert min(rounds, key=len) == [
        f"{prefix}.q.ka.pages",
        f"$JS.API.DIRECT.GET.{prefix}-queue",
        f"{prefix}.l.ka.pages",
        f"{prefix}.l.ka.pages",
        f"$JS.API.STREAM.MSG.DELETE.{prefix}-queue",
    ]
    assert (await nats_engine.queue.depth("pages")).messages == 0


async def test_who_waits_is_told_where_to_look(nats_engine: Any, nats_url: str, asked: list[str]) -> None:
    rounds: list[list[str]] = []
    async with await open_engine(nats_url) as other:
        for n in range(_ROUNDS):
            waiting = asyncio.create_task(nats_engine.queue.receive("in/*", limit=8, lease_s=30, wait_s=60))
            await asyncio.sleep(0.1)
            asked.clear()
            await other.queue.publish_many([Message(f"in/{n}", {}, ordering_key="a") for _ in range(3)])
            got = await waiting
            assert [one.topic for one in got] == [f"in/{n}"] * 3
            rounds.append(list(asked))
            await nats_engine.queue.settle([Settlement.done(one) for one in got])
            asked.clear()
    assert len(min(rounds, key=len)) == 3  # the record, the messages, the lease


async def test_what_waits_on_many_topics_is_not_listed_for_each_receive(
    nats_engine: Any, asked: list[str]
) -> None:
    topics, keys = 20, 32
    messages = [
        Message(f"in/{topic}", {}, ordering_key=f"{key}") for topic in range(topics) for key in range(keys)
    ]
    await nats_engine.queue.publish_many(messages)
    listed, records = [], []
    for _ in range(_ROUNDS):
        asked.clear()
        got = await nats_engine.queue.receive("in/*", limit=8, lease_s=30)
        assert len({one.topic for one in got}) == 8  # they take their turns
        listed.append(sum("STREAM.INFO" in subject for subject in asked))
        records.append(sum(subject.endswith("-lanes") for subject in asked))
        await nats_engine.queue.settle([Settlement.done(one) for one in got])
    assert min(listed) == 0
    assert max(records) == 1


async def test_a_topic_of_one_key_has_its_turn_beside_one_of_many(nats_engine: Any) -> None:
    await nats_engine.queue.publish_many(
        [Message("in/many", {}, ordering_key=f"{key}") for key in range(400)]
    )
    for n in range(3):
        await nats_engine.queue.publish_many([Message("in/one", {}, id=f"{n}", ordering_key="0")])
        came = False
        for _ in range(20):
            got = await nats_engine.queue.receive("in/*", limit=4, lease_s=30)
            came = came or any(one.id == f"{n}" for one in got)
            await nats_engine.queue.settle([Settlement.done(one) for one in got])
        assert came


@pytest.mark.parametrize("key", [None, "0"])
async def test_a_topic_without_keys_and_one_with_many_share_the_turns(
    nats_engine: Any, key: str | None
) -> None:
    """Each of them has more than one receive takes."""
    many = [Message("in/many", {}, ordering_key=f"{n}" if key is None else None) for n in range(600)]
    await nats_engine.queue.publish_many([*many, Message("in/it", {}, id="it", ordering_key=key)])
    came: list[str] = []
    while "it" not in came and len(came) < 300:
        got = await nats_engine.queue.receive("in/*", limit=4, lease_s=30)
        came += [one.id for one in got]
        await nats_engine.queue.settle([Settlement.done(one) for one in got])
    assert "it" in came


async def test_of_lanes_that_others_lease_who_waits_reads_the_records_once(
    nats_engine: Any, nats_url: str, asked: list[str]
) -> None:
    async with await open_engine(nats_url) as other:
        messages = [Message("in/a", {}, ordering_key=f"{key}") for key in range(40)]
        await other.queue.publish_many(messages)
        held = await other.queue.receive("in/*", limit=40, lease_s=60)
        assert len(held) == 40
        assert await nats_engine.queue.receive("in/*", limit=8, lease_s=30, wait_s=0.1) == []
        asked.clear()
        assert await nats_engine.queue.receive("in/*", limit=8, lease_s=30, wait_s=0.1) == []
        assert {subject.rpartition(".")[0] for subject in asked} == {"$JS.API.STREAM.INFO"}
        await other.queue.settle([Settlement.retry(one, charge=False) for one in held[:3]])
        freed: set[str | None] = set()
        async with asyncio.timeout(20):
            while len(freed) < 3:
                got = await nats_engine.queue.receive("in/*", limit=8, lease_s=30, wait_s=20)
                freed |= {one.ordering_key for one in got}
        assert freed == {one.ordering_key for one in held[:3]}


async def test_a_lane_that_is_let_go_of_without_a_ring_is_found_long_before_its_lease_ends(
    nats_engine: Any, nats_url: str
) -> None:
    async with await open_engine(nats_url) as other:
        await other.queue.publish_many([Message("in/a", {}, id="it", ordering_key="0")])
        (held,) = await other.queue.receive("in/*", limit=1, lease_s=600)
        assert await nats_engine.queue.receive("in/*", limit=1, lease_s=30, wait_s=0.1) == []
        (lease,) = other.queue._leases.check([held])
        await other.queue._ending.hand_back([(lease.arrived, lease.holding)])
        other.queue._leases.forget([lease])
        async with asyncio.timeout(60):
            (got,) = await nats_engine.queue.receive("in/*", limit=1, lease_s=30, wait_s=60)
        assert (got.id, got.attempt) == ("it", 0)


async def test_of_a_record_that_somebody_else_wrote_since_nothing_remembered_is_believed(
    nats_engine: Any, nats_url: str
) -> None:
    """Two take turns on one lane, each with what he remembers of it, and none gets what is done or leased."""
    async with await open_engine(nats_url) as other:
        for n in range(6):
            one, two = (nats_engine, other) if n % 2 else (other, nats_engine)
            await one.queue.publish_many(
                [Message("pages", {}, id=f"{n}-{m}", ordering_key="a") for m in (1, 2)]
            )
            (got,) = await one.queue.receive("pages", limit=1, lease_s=30)
            assert await two.queue.receive("pages", limit=1, lease_s=30) == []
            await one.queue.settle([Settlement.done(got)])
            (second,) = await two.queue.receive("pages", limit=9, lease_s=30)
            assert (got.id, second.id) == (f"{n}-1", f"{n}-2")
            await two.queue.settle([Settlement.done(second)])
