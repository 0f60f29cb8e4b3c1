"""Stopping a crawl that many work on, and going on with it: what waits is laid aside in the object store meanwhile.

Whoever follows the crawl gives the order; workers look for it now and then. What they are given afterwards they park,
so that a crawl that stands still costs nothing and keeps no queue busy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import orjson

from airless.core.at_once import each
from airless.core.codec import decode
from airless.core.errors import EngineError
from airless.core.ports import Delivery, Engine, StateWrite
from airless.crawl.layout import Layout

_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Orders:
    """Why the crawl has to stop, if it has; and how many more pages a process may fetch, None for any number.

    `number` tells orders that were given again from those before.
    """

    stop: str | None = None
    pages: int | None = None
    number: int = 0


async def orders_of(engine: Engine, layout: Layout) -> Orders:
    """The orders as they stand."""
    return (await _standing(engine, layout))[0]


async def order(engine: Engine, layout: Layout, stop: str | None, pages: int | None = None) -> None:
    """Have the crawl stop for this reason, or go on. Raises Conflict where somebody orders at the same time."""
    standing, version = await _standing(engine, layout)
    data = orjson.dumps({"stop": stop, "pages": pages, "number": standing.number + 1})
    await engine.state.commit(StateWrite(layout.orders_key, data, version))


async def _standing(engine: Engine, layout: Layout) -> tuple[Orders, str | None]:
    stored = await engine.state.load(layout.orders_key)
    if stored is None:
        return Orders(), None
    try:
        return Orders(**orjson.loads(stored.data)), stored.version
    except (ValueError, TypeError) as error:
        raise EngineError(f"the orders of the crawl {layout.job!r} can't be read: {error}") from error


async def park(engine: Engine, layout: Layout, deliveries: Sequence[Delivery]) -> None:
    """Lay messages aside, durably; they may be acknowledged afterwards. Doing it twice changes nothing."""

    async def put(delivery: Delivery) -> None:
        await engine.objects.put(f"{layout.parked_prefix}{delivery.id}", delivery.body)

    await each(put, deliveries, at_once=_AT_ONCE)


async def parked(engine: Engine, layout: Layout) -> int:
    """How many messages are laid aside."""
    return len([name async for name in engine.objects.list(layout.parked_prefix)])


async def unpark(engine: Engine, layout: Layout) -> int:
    """Publish what was laid aside, under the same ids; how many messages that were."""
    names = [name async for name in engine.objects.list(layout.parked_prefix)]
    for start in range(0, len(names), _AT_ONCE):
        some = names[start : start + _AT_ONCE]
        bodies = await each(engine.objects.get, some, at_once=_AT_ONCE)
        messages = [
            decode(layout.topic, body, id=name.removeprefix(layout.parked_prefix))
            for name, body in zip(some, bodies, strict=True)
            if body is not None
        ]
        # One publish more: a broker that remembers ids must not take it for the one that was parked.
        await engine.queue.publish_many([replace(message, hops=message.hops + 1) for message in messages])
        await engine.objects.delete(some)
    return len(names)
