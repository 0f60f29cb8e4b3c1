"""Cancellations that nobody loses."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


async def heeded(call: Awaitable[T]) -> T:
    """Await a library's call, and be cancelled where that was asked for meanwhile, whatever came of the call.

    `asyncio.wait_for` of Python 3.11 gives a result that comes at the moment of the cancellation, and the task goes on
    as if nobody had cancelled it (https://github.com/python/cpython/issues/86296).
    """
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - whoever awaits is in one
    before = task.cancelling()
    try:
        result = await call
    except Exception as error:
        if task.cancelling() > before:
            raise asyncio.CancelledError from error
        raise
    if task.cancelling() > before:
        raise asyncio.CancelledError
    return result
