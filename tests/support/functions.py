"""A crawl on functions, invoked by hand: each invocation gets messages from the queue, and a time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import orjson
from support.crawling import POLITE_ROBOTS_OFF

from airless.core.clock import Clock, SystemClock
from airless.core.message import Message
from airless.core.ports import Delivery, StateWrite
from airless.core.steps import SteppedEngine
from airless.crawl.counts import Counts
from airless.crawl.crawler import LEASE_S
from airless.crawl.discovery import Discovery
from airless.crawl.job import Job
from airless.crawl.outgoing import ADMIT
from airless.crawl.packing import pack
from airless.crawl.records import read_document
from airless.crawl.request import Request
from airless.crawl.settings import Settings
from airless.crawl.urls import canonical
from airless.engines.memory import MemoryEngine, MemoryStore
from airless.functions.crawl import Terms
from airless.functions.deadline import Deadline
from airless.functions.host import ENGINE, Ends, Host


class Fleet:
    """A job on an engine whose commits go in steps, and the processes of its functions."""

    def __init__(
        self,
        settings: Settings = POLITE_ROBOTS_OFF,
        *,
        shards: int = 4,
        spider: str = "support.crawling:LinkSpider",
        terms: Terms | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.job = Job(
            "job", spider, (), settings, ("*",), private_hosts=frozenset({"127.0.0.1"}), shards=shards
        )
        self.layout = self.job.layout
        self.store = MemoryStore()
        self.clock = clock or SystemClock()
        self.terms = terms
        self.commits = 0
        self.loads: list[str] = []
        # One consumer: as on SQS, what is received comes from nowhere else, whoever works on it.
        self._ports = MemoryEngine(self.store, clock=self.clock)

    async def begin(self, *urls: str) -> None:
        """Write down what the job is, and publish these seeds."""
        state = StateWrite(self.layout.job_key, self.job.to_json(), None)
        await self.engine().state.commit(state)
        discovery = Discovery(
            self.job.settings, self.job.scope(self.job.make_spider()), self.layout, lambda i: None
        )
        by_shard: dict[int, list[Request]] = {}
        for url in urls:
            request = Request(canonical(url) or url)
            request.seed = True
            by_shard.setdefault(discovery.shard_of(request), []).append(request)
        await self._ports.queue.publish_many(
            [
                Message(
                    self.layout.topic,
                    {**pack(requests), "shard": shard, ADMIT: True},
                    ordering_key=str(shard),
                    weight=0,
                )
                for shard, requests in by_shard.items()
            ]
        )

    def engine(self) -> Any:
        return _Counting(self)

    def process(self) -> Host:
        """A function's process, cold."""

        async def open_engine(url: str) -> Any:
            return self.engine()

        return Host(
            {ENGINE: "stepped"},
            clock=self.clock,
            terms=lambda: self.terms or Terms(),
            open_engine=open_engine,
        )

    async def receive(self, limit: int = 10) -> list[Delivery]:
        return await self._ports.queue.receive(self.layout.topic, limit=limit, lease_s=LEASE_S)

    async def invoke(self, host: Host, deliveries: Sequence[Delivery], left_s: float = 30.0) -> Ends:
        return await host.deliver(deliveries, Deadline.within(left_s, self.clock))

    async def run(self, host: Host, *, left_s: float = 30.0, most: int = 200) -> int:
        """Invoke it until nothing waits any more, as soon as there is something; the number of invocations."""
        invocations = 0
        while (await self.depth()).messages:
            deliveries = await self.receive()
            if not deliveries:
                await self.clock.sleep(0.01)
                continue
            assert all(delivery.attempt == 0 for delivery in deliveries)
            ends = await self.invoke(host, deliveries, left_s)
            assert set(ends.ended) == {delivery.receipt for delivery in deliveries}
            assert not ends.faults
            invocations += 1
            assert invocations <= most
        return invocations

    @contextlib.asynccontextmanager
    async def at_work(self, processes: int = 1, *, left_s: float = 30.0) -> AsyncIterator[None]:
        """Within the block so many processes work on what comes, each a consumer of its own."""

        async def work() -> None:
            host, consumer = self.process(), MemoryEngine(self.store, clock=self.clock)
            try:
                while True:
                    if deliveries := await consumer.queue.receive(
                        self.layout.topic, limit=10, lease_s=LEASE_S
                    ):
                        ends = await self.invoke(host, deliveries, left_s)
                        assert not ends.faults
                    await asyncio.sleep(0.02)
            finally:
                await host.aclose()
                await consumer.aclose()

        working = [asyncio.create_task(work()) for _ in range(processes)]
        try:
            yield
        finally:
            for task in working:
                task.cancel()
            ended = await asyncio.gather(*working, return_exceptions=True)
            assert [type(end) for end in ended] == [asyncio.CancelledError] * processes, ended

    async def depth(self) -> Any:
        return await self._ports.queue.depth(self.layout.topic)

    def documents(self) -> list[dict[str, Any]]:
        """The states of the shards, without the outbox in front of them."""
        return [
            read_document(data[data.index(b'{"seq"') :])
            for key, (_, data) in self.store.states.items()
            if key.startswith(self.layout.shard_prefix)
        ]

    def counts(self) -> Counts:
        total = Counts()
        for doc in self.documents():
            total.add(Counts.from_dict(doc["counts"]))
        return total

    def item_urls(self) -> list[str]:
        """What was committed, from the segments that the states list."""
        names = [name for doc in self.documents() for name in doc["items"]]
        return sorted(
            orjson.loads(line)["url"] for name in names for line in self.store.blobs[name].splitlines()
        )


class _Counting(SteppedEngine):
    """The engine in steps, which tells the fleet of its commits and loads."""

    def __init__(self, fleet: Fleet) -> None:
        ports = fleet._ports
        self._fleet = fleet
        super().__init__(ports.queue, _CountingState(fleet, ports.state), ports.objects, close=self._nothing)

    async def commit(self, commit: Any) -> tuple[str, ...]:
        self._fleet.commits += 1
        assert len(commit.state) <= 1, "several states are not one commit on an engine in steps"
        return await super().commit(commit)

    @staticmethod
    async def _nothing() -> None:
        return


class _CountingState:
    def __init__(self, fleet: Fleet, state: Any) -> None:
        self._fleet = fleet
        self._state = state
        self.commit, self.list = state.commit, state.list

    async def load(self, key: str) -> Any:
        self._fleet.loads.append(key)
        return await self._state.load(key)
