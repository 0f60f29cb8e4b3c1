"""Ports that die at a chosen step, and an operator that notices what is lost or doubled by it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

from airless.core.codec import decode
from airless.core.message import Message
from airless.core.ports import (
    Commit,
    Delivery,
    Depth,
    Objects,
    Queue,
    Settlement,
    State,
    StateWrite,
    Versioned,
)
from airless.core.steps import SteppedEngine


class Crash(BaseException):
    """The process dies here. No handler of an Exception sees it, as none sees a kill -9."""


class Fuse:
    """Blows before or after the `at`-th step that changes anything."""

    def __init__(self, at: int | None = None, *, after: bool = False) -> None:
        self._left = at
        self._after = after
        self.steps: list[str] = []

    async def step(self, name: str, change: Any) -> Any:
        self.steps.append(name)
        blown = self._left == 0
        if self._left is not None:
            self._left -= 1
        if blown and not self._after:
            change.close()
            raise Crash(name)
        result = await change
        if blown:
            raise Crash(name)
        return result


class FusedQueue:
    def __init__(self, queue: Queue, fuse: Fuse) -> None:
        self._queue, self._fuse = queue, fuse

    async def publish_many(self, messages: Sequence[Message]) -> None:
        await self._fuse.step("publish", self._queue.publish_many(messages))

    async def receive(
        self,
        topic: str,
        *,
        limit: int,
        lease_s: float,
        wait_s: float = 0.0,
        keys: Sequence[str] | None = None,
    ) -> list[Delivery]:
        return await self._queue.receive(topic, limit=limit, lease_s=lease_s, wait_s=wait_s, keys=keys)

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        await self._fuse.step("settle", self._queue.settle(settlements))

    async def extend(self, deliveries: Sequence[Delivery], lease_s: float) -> None:
        await self._queue.extend(deliveries, lease_s)

    async def depth(self, topic: str) -> Depth:
        return await self._queue.depth(topic)


class FusedState:
    def __init__(self, state: State, fuse: Fuse) -> None:
        self._state, self._fuse = state, fuse

    async def load(self, key: str) -> Versioned | None:
        return await self._state.load(key)

    async def commit(self, write: StateWrite) -> str:
        version: str = await self._fuse.step("state", self._state.commit(write))
        return version

    def list(self, prefix: str) -> AsyncIterator[str]:
        return self._state.list(prefix)


class FusedObjects:
    def __init__(self, objects: Objects, fuse: Fuse) -> None:
        self._objects, self._fuse = objects, fuse

    async def put(self, name: str, data: bytes) -> None:
        await self._fuse.step("put", self._objects.put(name, data))

    async def put_if_absent(self, name: str, data: bytes) -> bool:
        return await self._objects.put_if_absent(name, data)

    async def get(self, name: str) -> bytes | None:
        return await self._objects.get(name)

    async def delete(self, names: Sequence[str]) -> None:
        await self._fuse.step("delete", self._objects.delete(names))

    def list(self, prefix: str) -> AsyncIterator[str]:
        return self._objects.list(prefix)


def fused(engine: Any, fuse: Fuse) -> SteppedEngine:
    """A stepped engine over the ports of another, each step through the fuse; it closes nothing, as who dies."""

    async def nothing() -> None:
        pass

    return SteppedEngine(
        FusedQueue(engine.queue, fuse),
        FusedState(engine.state.inner, fuse),
        FusedObjects(engine.objects, fuse),
        close=nothing,
    )


async def count(
    engine: SteppedEngine, topic: str, target: str | None, *, lease_s: float = 60.0, wait_s: float = 0.0
) -> None:
    """Add up a topic's numbers, each once, and pass each on to `target`: an operator with applied ids."""
    while batch := await engine.queue.receive(topic, limit=2, lease_s=lease_s, wait_s=wait_s):
        found = await engine.state.load(topic)
        state = json.loads(found.data) if found else {"applied": [], "total": 0}
        fresh = [
            message
            for message in (decode(d.topic, d.body, id=d.id) for d in batch)
            if message.id not in state["applied"]
        ]
        for message in fresh:
            state["applied"].append(message.id)
            state["total"] += message.data["number"]
        await engine.commit(
            Commit(
                put={f"{topic}/{message.id}": b"item" for message in fresh},
                state=[StateWrite(topic, json.dumps(state).encode(), found.version if found else None)]
                if fresh
                else [],
                publish=[message.derive(0, target, message.data) for message in fresh] if target else [],
                settle=[Settlement.done(d) for d in batch],
                delete=[f"draft/{message.id}" for message in fresh],
            )
        )
