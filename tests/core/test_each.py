"""Many waits side by side: bounded, in order, and over when one fails."""

from __future__ import annotations

import asyncio

import pytest

from airless.core.at_once import each


class Calls:
    """Takes items in, holds each until it is let go, and keeps count."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.under_way = 0
        self.most = 0

    async def __call__(self, item: int) -> None:
        self.begun.append(item)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await asyncio.sleep(0.001)
            if item == 13:
                raise ValueError(item)
        finally:
            self.under_way -= 1


async def test_each_item_is_called_for_in_order_and_so_many_at_once() -> None:
    calls = Calls()
    await each(calls, range(12), at_once=4)
    assert (calls.begun, calls.most, calls.under_way) == (list(range(12)), 4, 0)


async def test_none_and_one_need_no_others() -> None:
    calls = Calls()
    await each(calls, [], at_once=4)
    await each(calls, iter([7]), at_once=4)
    assert calls.begun == [7]


async def test_the_first_failure_is_raised_as_it_is_and_ends_all() -> None:
    calls = Calls()
    with pytest.raises(ValueError, match="13"):
        await each(calls, range(10, 30), at_once=4)
    assert calls.under_way == 0
    assert len(calls.begun) < 10


async def test_who_is_cancelled_leaves_nothing_under_way() -> None:
    calls = Calls()
    task = asyncio.create_task(each(calls, range(10), at_once=4))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (calls.under_way, calls.most) == (0, 4)
