"""Stopping a crawl that many work on, and going on with it: what waits is laid aside in the object store meanwhile.

Who has the crawl stop gives an order; workers look for it now and then. What they are given afterwards they park, so
that a crawl that stands still costs nothing and keeps no queue busy. Of a cancelled crawl nothing is kept.

Nothing gets lost between who parks and who unparks. Parked is first, then the orders are looked at again, and only
where they still say so is the message acknowledged: who lets the crawl go on afterwards finds it. What is published
again has an id of its own, so that it is no double of the message that somebody is about to acknowledge, and when it is
parked in its turn it takes a name that nobody is about to delete.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

import orjson

from airless.core.at_once import each
from airless.core.codec import decode
from airless.core.errors import Conflict, EngineError
from airless.core.message import Message, derived_id
from airless.core.ports import Delivery, Engine, StateWrite
from airless.crawl.layout import Layout
from airless.crawl.received import UNPARKED

PAUSED = "paused"
CANCELLED = "cancelled"
MAX_PAGES = "max_pages"
MAX_TIME = "max_time"

_AT_ONCE = 100
_TRIES = 20


@dataclass(frozen=True, slots=True)
class Orders:
    """Why the crawl has to stop, if it has; and its limits.

    `pages` are how many more a process may fetch, `most_pages` what that comes from: the limit of the whole crawl; None
    is any number. `until_s` is when it has to stop (epoch), `left_s` how much of that time a paused crawl has left.
    `number` tells orders that were given again from those before.
    """

    stop: str | None = None
    pages: int | None = None
    number: int = 0
    most_pages: int | None = None
    until_s: float | None = None
    left_s: float | None = None

    def reason(self, now_s: float) -> str | None:
        """Why the crawl has to stop now (epoch); None where it goes on."""
        if self.stop is None and self.until_s is not None and now_s >= self.until_s:
            return MAX_TIME
        return self.stop


async def orders_of(engine: Engine, layout: Layout) -> Orders:
    """The orders as they stand."""
    return (await _standing(engine, layout))[0]


async def order(engine: Engine, layout: Layout, decide: Callable[[Orders], Orders | None]) -> Orders:
    """Give the orders that `decide` makes of those that stand; None leaves them. The orders as they are then.

    It is asked again where somebody else gave orders at the same moment.
    """
    for _ in range(_TRIES):
        standing, version = await _standing(engine, layout)
        wanted = decide(standing)
        if wanted is None:
            return standing
        wanted = replace(wanted, number=standing.number + 1)
        try:
            await engine.state.commit(StateWrite(layout.orders_key, orjson.dumps(asdict(wanted)), version))
        except Conflict:
            continue
        return wanted
    raise Conflict(layout.orders_key)


async def stop(engine: Engine, layout: Layout, reason: str, *, number: int | None = None) -> Orders:
    """Have the crawl stop, unless it has to already. With `number`, unless orders were given since that one."""

    def decide(standing: Orders) -> Orders | None:
        given = number is not None and standing.number != number
        return None if standing.stop is not None or given else replace(standing, stop=reason)

    return await order(engine, layout, decide)


async def _standing(engine: Engine, layout: Layout) -> tuple[Orders, str | None]:
    stored = await engine.state.load(layout.orders_key)
    if stored is None:
        return Orders(), None
    try:
        return Orders(**orjson.loads(stored.data)), stored.version
    except (ValueError, TypeError) as error:
        raise EngineError(f"the orders of the crawl {layout.job!r} can't be read: {error}") from error


async def park(engine: Engine, layout: Layout, deliveries: Sequence[Delivery]) -> None:
    """Lay messages aside, durably. Doing it twice changes nothing.

    They may be acknowledged when the orders, looked at afterwards, still say to stop.
    """

    async def put(delivery: Delivery) -> None:
        await engine.objects.put(_name(layout, delivery), delivery.body)

    await each(put, deliveries, at_once=_AT_ONCE)


async def take_back(engine: Engine, layout: Layout, deliveries: Sequence[Delivery]) -> None:
    """Undo `park` for messages that one still holds."""
    await engine.objects.delete([_name(layout, delivery) for delivery in deliveries])


async def parked(engine: Engine, layout: Layout) -> int:
    """How many messages are laid aside."""
    return len([name async for name in engine.objects.list(layout.parked_prefix)])


async def unpark(engine: Engine, layout: Layout) -> int:
    """Publish what was laid aside; how many messages that were. Several may do it at once, and doubles do no harm."""
    names = [name async for name in engine.objects.list(layout.parked_prefix)]
    for start in range(0, len(names), _AT_ONCE):
        some = names[start : start + _AT_ONCE]
        bodies = await each(engine.objects.get, some, at_once=_AT_ONCE)
        messages = [
            _once_more(decode(layout.topic, body, id=name.removeprefix(layout.parked_prefix)))
            for name, body in zip(some, bodies, strict=True)
            if body is not None
        ]
        await engine.queue.publish_many(messages)
        await engine.objects.delete(some)
    return len(names)


async def drop(engine: Engine, layout: Layout) -> int:
    """Delete what was laid aside; how many messages that were."""
    names = [name async for name in engine.objects.list(layout.parked_prefix)]
    await engine.objects.delete(names)
    return len(names)


def _name(layout: Layout, delivery: Delivery) -> str:
    return f"{layout.parked_prefix}{delivery.id}"


def _once_more(message: Message) -> Message:
    """The message for another round, in which shards know it by the id that it had in the first."""
    first, hops = message.data.get(UNPARKED, message.id), message.hops + 1
    return replace(
        message, id=derived_id(first, f"unparked {hops}"), data={**message.data, UNPARKED: first}, hops=hops
    )
