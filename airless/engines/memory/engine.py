"""The ports over a store in memory, and the engine that is one consumer of it."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Self

from airless.core.clock import Clock, SystemClock
from airless.core.codec import encode
from airless.core.errors import EngineError, LeaseLost
from airless.core.message import Message
from airless.core.ports import Commit, Delivery, Depth, Settlement, StateWrite, Versioned
from airless.core.secrets import EnvironmentSecrets
from airless.engines.memory.store import MemoryStore
from airless.engines.memory.topic import Topic


class MemoryQueue:
    """`Queue` in memory."""

    def __init__(self, engine: MemoryEngine) -> None:
        self._engine = engine

    async def publish_many(self, messages: Sequence[Message]) -> None:
        store = self._engine.opened()
        store.publish([(message, encode(message)) for message in messages], self._engine.clock.now())

    async def publish_raw(self, topic: str, body: bytes, *, id: str | None = None) -> str:
        """Put bytes on a topic as they are, JSON or not, as a foreign producer would; the id they got."""
        message = Message(topic=topic, data={}, id=id or uuid.uuid4().hex)
        self._engine.opened().publish([(message, bytes(body))], self._engine.clock.now())
        return message.id

    async def receive(
        self,
        topic: str,
        *,
        limit: int,
        lease_s: float,
        wait_s: float = 0.0,
        keys: Sequence[str] | None = None,
    ) -> list[Delivery]:
        clock = self._engine.clock
        deadline = clock.monotonic() + wait_s
        if limit <= 0 or (keys is not None and not keys):
            return []
        while True:
            store, now = self._engine.opened(), clock.now()
            queue = store.topics.get(topic)
            due: float | None = None
            if queue is not None:
                queue.refresh(now)
                taken = queue.take(self._engine.consumer, limit, now + lease_s, keys)
                if taken:
                    return [entry.delivery() for entry in taken]
                due = queue.next_change()
            left = deadline - clock.monotonic()
            if left <= 0:
                return []
            seconds = left if due is None else min(left, due - now)
            await store.bell.wait(store.bell.listen(), clock, seconds)

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        await self._engine.commit(Commit(settle=settlements))

    async def extend(self, deliveries: Sequence[Delivery], lease_s: float) -> None:
        store, now = self._engine.opened(), self._engine.clock.now()
        entries = store.leased(deliveries)
        for entry in entries:
            if entry.key is not None and store.topics[entry.topic].foreign(entry.key, entry.consumer):
                raise LeaseLost(f"ordering key {entry.key!r} on {entry.topic!r} has gone to another consumer")
        for entry in entries:
            store.topics[entry.topic].hold(entry, now + lease_s)

    async def depth(self, topic: str) -> Depth:
        store, now = self._engine.opened(), self._engine.clock.now()
        queue = store.topics.get(topic, Topic())
        queue.refresh(now)
        entries = queue.entries.values()
        leased = sum(entry.leased for entry in entries)
        delayed = sum(not entry.leased and entry.visible_at > now for entry in entries)
        return Depth(
            ready=len(entries) - leased - delayed,
            delayed=delayed,
            leased=leased,
            weight=sum(entry.weight for entry in entries),
        )

    async def bodies(self, topic: str, key: str) -> AsyncGenerator[bytes, None]:
        """As `Searchable.bodies`."""
        queue = self._engine.opened().topics.get(topic, Topic())
        for entry in list(queue.entries.values()):
            if entry.key == key:
                yield entry.body


class MemoryState:
    """`State` in memory."""

    def __init__(self, engine: MemoryEngine) -> None:
        self._engine = engine

    async def load(self, key: str) -> Versioned | None:
        found = self._engine.opened().states.get(key)
        return Versioned(str(found[0]), found[1]) if found else None

    async def commit(self, write: StateWrite) -> str:
        return (await self._engine.commit(Commit(state=[write])))[0]

    async def list(self, prefix: str) -> AsyncIterator[str]:
        for key in sorted(key for key in self._engine.opened().states if key.startswith(prefix)):
            yield key


class MemoryObjects:
    """`Objects` in memory."""

    def __init__(self, engine: MemoryEngine) -> None:
        self._engine = engine

    async def put(self, name: str, data: bytes) -> None:
        self._engine.opened().blobs[name] = bytes(data)

    async def put_if_absent(self, name: str, data: bytes) -> bool:
        blobs = self._engine.opened().blobs
        if name in blobs:
            return False
        blobs[name] = bytes(data)
        return True

    async def get(self, name: str) -> bytes | None:
        return self._engine.opened().blobs.get(name)

    async def delete(self, names: Sequence[str]) -> None:
        blobs = self._engine.opened().blobs
        for name in names:
            blobs.pop(name, None)

    async def list(self, prefix: str) -> AsyncIterator[str]:
        for name in sorted(name for name in self._engine.opened().blobs if name.startswith(prefix)):
            yield name


class MemoryEngine:
    """`Engine` in memory: a consumer of `store`, or of a store of its own."""

    atomic = True

    def __init__(self, store: MemoryStore | None = None, *, clock: Clock | None = None) -> None:
        self.store = store if store is not None else MemoryStore()
        self.clock: Clock = clock if clock is not None else SystemClock()
        self.consumer = uuid.uuid4().hex
        self.queue = MemoryQueue(self)
        self.state = MemoryState(self)
        self.objects = MemoryObjects(self)
        self.secrets = EnvironmentSecrets()
        self._closed = False

    def opened(self) -> MemoryStore:
        if self._closed:
            raise EngineError("this engine is closed")
        return self.store

    async def commit(self, commit: Commit) -> tuple[str, ...]:
        """As `Engine.commit`. What is settled makes room for its own id among what is published."""
        store, now = self.opened(), self.clock.now()
        published = [(message, encode(message)) for message in commit.publish]
        store.check(commit.state)
        settled = store.leased(settlement.delivery for settlement in commit.settle)
        store.blobs.update({name: bytes(data) for name, data in commit.put.items()})
        versions = tuple(store.write(write) for write in commit.state)
        store.settle(zip(commit.settle, settled, strict=True), now)
        store.publish(published, now)
        for name in commit.delete:
            store.blobs.pop(name, None)
        return versions

    async def aclose(self) -> None:
        """Hand back what is leased, uncharged. The store stays, for its other consumers."""
        if not self._closed:
            self._closed = True
            self.store.release(self.consumer, self.clock.now())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
