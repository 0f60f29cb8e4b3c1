"""Leases held in bulk: one that is lost is told of, and the others are held on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from airless.core.clock import SystemClock
from airless.core.errors import EngineError
from airless.core.message import Message
from airless.core.ports import Delivery, Settlement
from airless.engines.memory import MemoryEngine
from airless.worker.leases import Holding, Leases

LEASE_S = 0.3


class Cut:
    """A queue whose network is cut while it says so."""

    def __init__(self, engine: MemoryEngine) -> None:
        self._queue = engine.queue
        self.cut = False
        self.calls: list[int] = []

    async def extend(self, deliveries: Sequence[Delivery], lease_s: float) -> None:
        if self.cut:
            raise EngineError("cut")
        self.calls.append(len(deliveries))
        await self._queue.extend(deliveries, lease_s)


@asynccontextmanager
async def held(number: int) -> AsyncIterator[Any]:
    async with MemoryEngine() as engine:
        await engine.queue.publish_many([Message("t", {}, id=f"m{n}") for n in range(number)])
        deliveries = await engine.queue.receive("t", limit=number, lease_s=LEASE_S)
        queue, lost = Cut(engine), []
        leases = Leases(queue, SystemClock(), LEASE_S)  # type: ignore[arg-type]  # only extend is asked
        holdings = [
            Holding([delivery], {}, lambda id=delivery.id: lost.append(id)) for delivery in deliveries
        ]
        for holding in holdings:
            leases.hold(holding)
        keeping = asyncio.create_task(leases.run())
        try:
            yield engine, queue, leases, holdings, lost
        finally:
            keeping.cancel()
            await asyncio.wait({keeping})


async def test_all_are_extended_in_one_request() -> None:
    async with held(20) as (engine, queue, leases, _, lost):
        await asyncio.sleep(3 * LEASE_S)
        assert leases.messages == 20
        assert set(queue.calls) == {20}
        assert await engine.queue.receive("t", limit=1, lease_s=1) == []
        assert lost == []


async def test_the_one_that_is_lost_is_told_of_and_the_others_are_held_on() -> None:
    async with held(8) as (engine, _, leases, _, lost):
        engine.store.topics["t"].entries["m5"].receipt = "another's"
        await asyncio.sleep(LEASE_S + 1.0)
        assert lost == ["m5"]
        assert leases.messages == 7


async def test_what_was_settled_in_the_meantime_is_not_lost() -> None:
    async with held(4) as (engine, _, leases, holdings, lost):
        (delivery,) = holdings[0].deliveries
        await engine.queue.settle([Settlement.done(delivery)])
        # Its end is noted a moment after the queue knows of it.
        await asyncio.sleep(LEASE_S / 3 + 0.1)
        holdings[0].ended[delivery.receipt] = Settlement.done(delivery)
        await asyncio.sleep(1.0)
        assert lost == []
        assert leases.messages == 3


@pytest.mark.parametrize(("cut_s", "survive"), [(LEASE_S / 2, True), (3 * LEASE_S, False)])
async def test_a_broker_out_of_reach_costs_the_leases_that_run_out_meanwhile(
    cut_s: float, survive: bool
) -> None:
    async with held(3) as (_, queue, leases, _, lost):
        queue.cut = True
        await asyncio.sleep(cut_s)
        queue.cut = False
        await asyncio.sleep(LEASE_S)
        assert sorted(lost) == ([] if survive else ["m0", "m1", "m2"])
        assert leases.messages == (3 if survive else 0)
