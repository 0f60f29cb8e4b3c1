"""Many waits side by side, never more than so many."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


async def each(call: Callable[[T], Awaitable[R]], items: Iterable[T], *, at_once: int) -> list[R]:
    """Call for each item, begun in their order, up to `at_once` under way; the results in that order.

    Of failures the first is raised as it is; nothing more is begun then, and nothing is under way when this returns.
    """
    waiting = list(items)
    if len(waiting) == 1:  # the usual case needs no task
        return [await call(waiting[0])]
    left = iter(enumerate(waiting))
    results: dict[int, R] = {}

    async def work() -> None:
        for place, item in left:
            results[place] = await call(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(at_once, len(waiting))):
                group.create_task(work())
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [results[place] for place in range(len(waiting))]
