"""Calls whose cancellation comes at the moment of their result."""

from __future__ import annotations

import asyncio

import pytest

from airless.core.heeding import heeded


async def swallowing(happens: asyncio.Future[str]) -> str:
    """A library that gives its result, or fails, where it was cancelled as that came."""
    try:
        return await happens
    except asyncio.CancelledError:
        return "too late"


async def failing(happens: asyncio.Future[str]) -> str:
    try:
        return await happens
    except asyncio.CancelledError:
        raise OSError("broken") from None


@pytest.mark.parametrize("call", [swallowing, failing])
async def test_a_cancellation_that_a_call_keeps_to_itself_is_heeded(call: object) -> None:
    happens: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(heeded(call(happens)))  # type: ignore[operator]
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_result_that_comes_with_the_cancellation_is_no_reason_to_go_on() -> None:
    happens: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(heeded(asyncio.wait_for(happens, 10)))
    await asyncio.sleep(0)
    happens.set_result("just in time")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_results_errors_and_times_that_are_over_are_what_they_are() -> None:
    async def value() -> int:
        return 3

    async def error() -> None:
        raise OSError("broken")

    assert await heeded(value()) == 3
    with pytest.raises(OSError, match="broken"):
        await heeded(error())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await heeded(asyncio.sleep(5))
    assert await heeded(value()) == 3
