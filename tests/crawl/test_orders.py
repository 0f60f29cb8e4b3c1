"""A crawl that is told to stop lays aside what waits, and goes on with all of it."""

from __future__ import annotations

from airless.core.codec import decode
from airless.core.message import Message
from airless.core.ports import Settlement
from airless.crawl.layout import Layout
from airless.crawl.orders import Orders, order, orders_of, park, parked, unpark
from airless.engines.memory import MemoryEngine

LAYOUT = Layout("job", 8)


async def test_an_order_holds_until_the_next_one() -> None:
    engine = MemoryEngine()
    assert await orders_of(engine, LAYOUT) == Orders()
    await order(engine, LAYOUT, "max_pages", 7)
    assert await orders_of(engine, LAYOUT) == Orders("max_pages", 7, 1)
    await order(engine, LAYOUT, None, 7)
    assert await orders_of(engine, LAYOUT) == Orders(None, 7, 2)
    assert await orders_of(engine, Layout("other", 8)) == Orders()


async def test_what_was_parked_comes_back_as_it_was_but_for_a_hop() -> None:
    engine = MemoryEngine()
    sent = [
        Message(LAYOUT.topic, {"n": n}, id=f"m{n}", ordering_key=str(n % 3), weight=n) for n in range(250)
    ]
    await engine.queue.publish_many(sent)
    got = await engine.queue.receive(LAYOUT.topic, limit=300, lease_s=60)
    await park(engine, LAYOUT, got)
    await park(engine, LAYOUT, got[:5])
    await engine.queue.settle([Settlement.done(delivery) for delivery in got])
    assert (await parked(engine, LAYOUT), (await engine.queue.depth(LAYOUT.topic)).messages) == (250, 0)
    assert await unpark(engine, LAYOUT) == 250
    assert await parked(engine, LAYOUT) == 0
    back = await engine.queue.receive(LAYOUT.topic, limit=300, lease_s=60)
    messages = sorted((decode(d.topic, d.body, id=d.id) for d in back), key=lambda message: message.weight)
    assert [(m.id, m.data, m.ordering_key, m.weight, m.hops) for m in messages] == [
        (m.id, m.data, m.ordering_key, m.weight, 1) for m in sent
    ]
