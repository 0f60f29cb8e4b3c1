"""How the contract suites open what they test: consumers of one store, on a clock turned by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from airless.core.clock import ManualClock

T = TypeVar("T")


class EngineHost:
    """Opens consumers and closes them all. `open()` gives another consumer of the same store."""

    def __init__(self, open_consumer: Callable[[ManualClock], Awaitable[Any]]) -> None:
        self.clock = ManualClock()
        self._open = open_consumer
        self._engines: list[Any] = []

    async def open(self) -> Any:
        engine = await self._open(self.clock)
        self._engines.append(engine)
        return engine

    async def turn_until_done(self, task: asyncio.Task[T], *, step_s: float) -> T:
        """Advance the clock until a task is done."""
        async with asyncio.timeout(20):
            while not task.done():
                await asyncio.sleep(0.01)
                self.clock.advance(step_s)
        return await task

    async def close(self) -> None:
        for engine in self._engines:
            await engine.aclose()
