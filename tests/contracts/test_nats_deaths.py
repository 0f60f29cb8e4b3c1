"""The nats engine where consumers die: what they had comes to the next soon after their leases, wherever they were."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest

from airless.core.message import Message
from airless.core.ports import Delivery, Settlement
from airless.engines import open_engine

_TAKES_AND_SLEEPS = """
import asyncio, sys
from airless.engines import open_engine

async def main():
    engine = await open_engine(sys.argv[1])
    got = await engine.queue.receive("frontier/*", limit=5, lease_s=2, wait_s=30)
    print(len(got), flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.mark.parametrize("key", [None, "7"])
async def test_what_a_killed_process_had_leased_comes_when_its_lease_ends(
    nats_engine: Any, nats_url: str, key: str | None
) -> None:
    await nats_engine.queue.publish_many([Message("frontier/a", {}, ordering_key=key) for _ in range(5)])
    command = [sys.executable, "-c", _TAKES_AND_SLEEPS, nats_url]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"5\n"
    finally:
        process.kill()
        await process.wait()
    got: list[Delivery] = []
    async with asyncio.timeout(20):
        while len(got) < 5:
            got += await nats_engine.queue.receive("frontier/*", limit=5, lease_s=60, wait_s=20)
    assert {one.attempt for one in got} == {1}


async def test_what_the_dead_had_decided_and_not_done_is_done_without_much_waiting(
    nats_engine: Any, nats_url: str
) -> None:
    """One after the other dies between the write that sends a message back and the copy that follows from it."""
    await nats_engine.queue.publish_many([Message("frontier/a", {}, id="it", ordering_key="7")])
    async with asyncio.timeout(15):
        for attempt in range(5):
            async with await open_engine(nats_url) as dead:
                (got,) = await dead.queue.receive("frontier/*", limit=1, lease_s=30, wait_s=60)
                assert (got.id, got.attempt) == ("it", attempt)
                await decide(dead, [Settlement.retry(got)])
        (got,) = await nats_engine.queue.receive("frontier/*", limit=1, lease_s=30, wait_s=60)
        assert (got.id, got.attempt) == ("it", 5)


async def test_however_much_the_dead_had_done_who_takes_little_gets_what_is_behind_it(
    nats_engine: Any, nats_url: str
) -> None:
    """What is done and not deleted lies before it, a hundred times as much as is asked for."""
    messages = [Message("frontier/a", {}, id=f"{n}", ordering_key="7") for n in range(101)]
    await nats_engine.queue.publish_many(messages)
    async with await open_engine(nats_url) as dead:
        got = await dead.queue.receive("frontier/*", limit=100, lease_s=30, wait_s=60)
        assert len(got) == 100
        await decide(dead, [Settlement.done(one) for one in got])
    async with asyncio.timeout(15):
        (got,) = await nats_engine.queue.receive("frontier/*", limit=1, lease_s=30, wait_s=60)
    assert got.id == "100"
    assert (await nats_engine.queue.depth("frontier/a")).messages == 1


async def decide(dead: Any, settlements: list[Settlement]) -> None:
    """Write how leases of one lane end, and die before anything follows from it."""
    queue = dead.queue
    leases = queue._leases.check(one.delivery for one in settlements)
    moved = {
        lease.arrived.seq: (lease.arrived, queue._ending._where(one))
        for one, lease in zip(settlements, leases, strict=True)
        if one.again
    }
    done = [lease.arrived.seq for lease in leases if lease.arrived.seq not in moved]
    assert await queue._keyed.settle(leases[0].holding, done, moved, [])
    queue._leases.forget(leases)
