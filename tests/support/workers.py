"""Workers in the test's own process, on a broker in memory whose commits go in steps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from support.functions import Fleet

from airless.core.ports import Delivery
from airless.core.steps import SteppedEngine
from airless.engines.memory import MemoryEngine
from airless.worker.duty import Duty
from airless.worker.worker import Worker


class BrokerQueue:
    """The memory engine's queue, with `TopicsBelow`."""

    def __init__(self, engine: MemoryEngine) -> None:
        self._engine = engine
        inner = engine.queue
        self.publish_many, self.settle = inner.publish_many, inner.settle
        self.extend, self.depth = inner.extend, inner.depth

    async def topics(self, name: str) -> list[str]:
        if not name.endswith("/*"):
            return [name]
        return sorted(
            topic
            for topic, waiting in self._engine.store.topics.items()
            if topic.startswith(name[:-1]) and waiting.entries
        )

    async def receive(
        self,
        topic: str,
        *,
        limit: int,
        lease_s: float,
        wait_s: float = 0.0,
        keys: Sequence[str] | None = None,
    ) -> list[Delivery]:
        until = self._engine.clock.monotonic() + wait_s
        while True:
            for name in await self.topics(topic):
                inner = self._engine.queue
                found = await inner.receive(name, limit=limit, lease_s=lease_s, keys=keys)
                if found:
                    return found
            if self._engine.clock.monotonic() >= until:
                return []
            await self._engine.clock.sleep(0.01)


class Broker(SteppedEngine):
    """An engine in steps over a memory store that many share."""

    def __init__(self, fleet: Fleet) -> None:
        ports = MemoryEngine(fleet.store, clock=fleet.clock)
        super().__init__(BrokerQueue(ports), ports.state, ports.objects, close=ports.aclose)
        self.secrets = ports.secrets


def worker(fleet: Fleet, duty: Duty | None = None, environ: dict[str, str] | None = None) -> Worker:
    """A worker on the fleet's store."""

    async def open_engine(url: str) -> Any:
        return Broker(fleet)

    return Worker(
        duty or Duty("memory://", grace_s=5.0), environ or {}, clock=fleet.clock, open_engine=open_engine
    )


@asynccontextmanager
async def at_work(*workers: Worker) -> AsyncIterator[None]:
    """Inside, they work; they are drained in the end."""
    running = [asyncio.create_task(one.run()) for one in workers]
    try:
        yield
        for one in workers:
            one.stop()
        async with asyncio.timeout(20):
            await asyncio.gather(*running)
    finally:
        for task in running:
            task.cancel()
        await asyncio.wait(running)


async def nothing_waits(fleet: Fleet, *, longest_s: float = 30.0) -> None:
    """Until nothing waits any more for the fleet's crawl."""
    topic = fleet.store.topics[fleet.layout.topic]
    await until(lambda: not topic.entries, longest_s=longest_s)


async def until(true: Callable[[], bool], *, longest_s: float = 20.0) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(longest_s):
        while not true():  # noqa: ASYNC110 - it sets no event
            await asyncio.sleep(0.02)
