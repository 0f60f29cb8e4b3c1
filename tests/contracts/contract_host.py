"""How the contract suites open what they test: consumers of one store, on a clock turned by hand where it can be."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from airless.core.clock import Clock, ManualClock

T = TypeVar("T")


class EngineHost:
    """Opens consumers and closes them all. `open()` gives another consumer of the same store.

    Stores that keep a time of their own are given the machine's clock, and what waits then waits in earnest.
    """

    def __init__(self, open_consumer: Callable[[Any], Awaitable[Any]], clock: Clock | None = None) -> None:
        self.clock: Any = clock or ManualClock()
        self._open = open_consumer
        self._engines: list[Any] = []

    async def open(self) -> Any:
        engine = await self._open(self.clock)
        self._engines.append(engine)
        return engine

    async def pass_time(self, seconds: float) -> None:
        if isinstance(self.clock, ManualClock):
            self.clock.advance(seconds)
        else:
            await asyncio.sleep(seconds)

    async def turn_until_done(self, task: asyncio.Task[T], *, step_s: float) -> T:
        """Advance the clock until a task is done."""
        async with asyncio.timeout(20):
            while not task.done():
                await asyncio.sleep(0.01)
                await self.pass_time(step_s)
        return await task

    async def close(self) -> None:
        for engine in self._engines:
            await engine.aclose()
