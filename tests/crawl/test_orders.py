"""A crawl that is told to stop lays aside what waits, and goes on with all of it."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace

import pytest

from airless.core.codec import decode
from airless.core.errors import Conflict
from airless.core.message import Message
from airless.core.ports import Delivery, Settlement
from airless.crawl.layout import Layout
from airless.crawl.orders import (
    PAUSED,
    Orders,
    drop,
    order,
    orders_of,
    park,
    parked,
    stop,
    take_back,
    unpark,
)
from airless.crawl.received import UNPARKED
from airless.engines.memory import MemoryEngine

LAYOUT = Layout("job", 8)


async def test_an_order_holds_until_the_next_one() -> None:
    engine = MemoryEngine()
    assert await orders_of(engine, LAYOUT) == Orders()
    await stop(engine, LAYOUT, "max_pages")
    assert await orders_of(engine, LAYOUT) == Orders("max_pages", number=1)
    await order(engine, LAYOUT, lambda standing: Orders(pages=7))
    assert await orders_of(engine, LAYOUT) == Orders(pages=7, number=2)
    assert await orders_of(engine, Layout("other", 8)) == Orders()


async def test_the_first_reason_to_stop_counts_and_an_old_one_does_not() -> None:
    engine = MemoryEngine()
    standing = await stop(engine, LAYOUT, PAUSED)
    assert await stop(engine, LAYOUT, "max_pages") == standing == Orders(PAUSED, number=1)
    await order(engine, LAYOUT, lambda standing: replace(standing, stop=None))
    assert (await stop(engine, LAYOUT, "max_pages", number=1)).stop is None
    assert (await stop(engine, LAYOUT, "max_pages", number=2)).stop == "max_pages"


async def test_a_time_to_stop_at_is_a_reason_when_it_has_come() -> None:
    orders = Orders(until_s=100.0)
    assert (orders.reason(99.9), orders.reason(100.0)) == (None, "max_time")
    assert replace(orders, stop=PAUSED).reason(200.0) == PAUSED


async def test_orders_given_at_once_are_given_one_after_the_other() -> None:
    engine = MemoryEngine()

    def one_more(standing: Orders) -> Orders:
        return replace(standing, pages=(standing.pages or 0) + 1)

    await asyncio.gather(*(order(engine, LAYOUT, one_more) for _ in range(10)))
    assert await orders_of(engine, LAYOUT) == Orders(pages=10, number=10)


async def test_who_never_gets_a_word_in_says_so() -> None:
    engine, others = MemoryEngine(), itertools.count(100)

    def overtaken(standing: Orders) -> Orders:
        engine.store.states[LAYOUT.orders_key] = (next(others), b"{}")
        return Orders()

    with pytest.raises(Conflict):
        await order(engine, LAYOUT, overtaken)


async def published(engine: MemoryEngine, number: int) -> list[Delivery]:
    """That many messages, each of its own, as somebody holds them."""
    sent = [
        Message(LAYOUT.topic, {"n": n}, id=f"m{n}", ordering_key=str(n % 3), weight=n) for n in range(number)
    ]
    await engine.queue.publish_many(sent)
    return await engine.queue.receive(LAYOUT.topic, limit=number + 1, lease_s=60)


async def messages(engine: MemoryEngine) -> list[Message]:
    got = await engine.queue.receive(LAYOUT.topic, limit=1_000, lease_s=60)
    found = [decode(one.topic, one.body, id=one.id) for one in got]
    return sorted(found, key=lambda message: message.weight)


async def test_what_was_parked_comes_back_as_it_was_under_another_id() -> None:
    engine = MemoryEngine()
    got = await published(engine, 250)
    await park(engine, LAYOUT, got)
    await park(engine, LAYOUT, got[:5])
    await engine.queue.settle([Settlement.done(delivery) for delivery in got])
    assert (await parked(engine, LAYOUT), (await engine.queue.depth(LAYOUT.topic)).messages) == (250, 0)
    assert await unpark(engine, LAYOUT) == 250
    assert await parked(engine, LAYOUT) == 0
    back = await messages(engine)
    assert [(m.data, m.ordering_key, m.weight, m.hops) for m in back] == [
        ({"n": n, UNPARKED: f"m{n}"}, str(n % 3), n, 1) for n in range(250)
    ]
    assert not {m.id for m in back} & {f"m{n}" for n in range(250)}


async def test_what_is_unparked_before_it_is_acknowledged_is_not_lost_with_it() -> None:
    engine = MemoryEngine()
    got = await published(engine, 1)
    await park(engine, LAYOUT, got)
    assert await unpark(engine, LAYOUT) == 1
    await engine.queue.settle([Settlement.done(delivery) for delivery in got])
    assert [message.data[UNPARKED] for message in await messages(engine)] == ["m0"]


async def test_what_is_parked_anew_while_it_is_unparked_is_not_deleted() -> None:
    engine, again = MemoryEngine(), list[Delivery]()
    got = await published(engine, 1)
    await park(engine, LAYOUT, got)
    await engine.queue.settle([Settlement.done(delivery) for delivery in got])
    publish_many = engine.queue.publish_many

    async def publish_and_park(sent: list[Message]) -> None:
        await publish_many(sent)
        again.extend(await engine.queue.receive(LAYOUT.topic, limit=9, lease_s=60))
        await park(engine, LAYOUT, again)

    engine.queue.publish_many = publish_and_park  # type: ignore[method-assign,assignment]
    assert await unpark(engine, LAYOUT) == 1
    engine.queue.publish_many = publish_many  # type: ignore[method-assign]
    assert await parked(engine, LAYOUT) == len(again) == 1
    await engine.queue.settle([Settlement.done(delivery) for delivery in again])
    assert await unpark(engine, LAYOUT) == 1
    assert [(m.data[UNPARKED], m.hops) for m in await messages(engine)] == [("m0", 2)]


async def test_what_is_taken_back_or_dropped_is_parked_no_more() -> None:
    engine = MemoryEngine()
    got = await published(engine, 3)
    await park(engine, LAYOUT, got)
    await take_back(engine, LAYOUT, got[:2])
    assert await parked(engine, LAYOUT) == 1
    assert await drop(engine, LAYOUT) == 1
    assert (await unpark(engine, LAYOUT), await parked(engine, LAYOUT)) == (0, 0)
