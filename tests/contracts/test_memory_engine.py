"""The memory engine under every contract."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from commit_contract import CommitContract
from contract_host import EngineHost
from objects_contract import ObjectsContract
from queue_contract import QueueContract
from state_contract import StateContract

from airless.core.clock import ManualClock
from airless.core.message import Message
from airless.core.ports import Settlement
from airless.engines.memory import MemoryEngine, MemoryStore


@pytest.fixture
async def host() -> AsyncIterator[EngineHost]:
    store = MemoryStore()

    async def open_consumer(clock: ManualClock) -> MemoryEngine:
        return MemoryEngine(store, clock=clock)

    host = EngineHost(open_consumer)
    yield host
    await host.close()


class TestMemoryQueue(QueueContract):
    pass


class TestMemoryState(StateContract):
    pass


class TestMemoryObjects(ObjectsContract):
    pass


class TestMemoryCommit(CommitContract):
    pass


async def test_engines_without_a_store_in_common_share_nothing() -> None:
    async with MemoryEngine() as one, MemoryEngine() as two:
        await one.queue.publish_many([Message("pages", {})])
        assert await two.queue.receive("pages", limit=1, lease_s=1) == []


async def test_lanes_that_are_done_leave_nothing_behind() -> None:
    async with MemoryEngine() as engine:
        await engine.queue.publish_many([Message("pages", {}, ordering_key=f"k{n}") for n in range(50)])
        await engine.queue.settle(
            [
                Settlement.done(delivery)
                for delivery in await engine.queue.receive("pages", limit=99, lease_s=30)
            ]
        )
        topic = engine.store.topics["pages"]
        assert (topic.entries, topic.lanes) == ({}, {})
