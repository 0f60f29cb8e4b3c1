"""Time as it is passed in."""

from __future__ import annotations

import asyncio
import time

from airless.core.clock import ManualClock, SystemClock


async def test_the_systems_clock_tells_the_time() -> None:
    clock = SystemClock()
    assert abs(clock.now() - time.time()) < 60
    before = clock.monotonic()
    await clock.sleep(0.01)
    assert clock.monotonic() > before


async def test_a_manual_clock_stands_still() -> None:
    clock = ManualClock(100.0)
    assert (clock.now(), clock.monotonic()) == (100.0, 100.0)
    clock.advance(2.5)
    assert (clock.now(), clock.monotonic()) == (102.5, 102.5)
    await clock.sleep(0)
    await clock.sleep(-1)


async def test_sleepers_wake_in_the_order_of_their_time() -> None:
    clock = ManualClock()
    woken: list[int] = []

    async def sleeper(seconds: int) -> None:
        await clock.sleep(seconds)
        woken.append(seconds)

    async with asyncio.TaskGroup() as group:
        for seconds in (3, 1, 2, 9):
            group.create_task(sleeper(seconds))
        await asyncio.sleep(0)
        clock.advance(2)
        await asyncio.sleep(0)
        assert woken == [1, 2]
        clock.advance(1)
        await asyncio.sleep(0)
        assert woken == [1, 2, 3]
        clock.advance(100)
    assert woken == [1, 2, 3, 9]


async def test_a_cancelled_sleeper_is_no_trouble() -> None:
    clock = ManualClock()
    task = asyncio.create_task(clock.sleep(5))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    clock.advance(10)
    assert task.cancelled()
