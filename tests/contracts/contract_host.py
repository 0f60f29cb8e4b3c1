"""How the contract suites open what they test: consumers of one store, on a clock turned by hand or in real time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from airless.core.clock import ManualClock, SystemClock

T = TypeVar("T")


class Moment(Protocol):
    """A point in time from which a test counts, in the suite's seconds."""

    async def almost(self, seconds: float) -> None:
        """Let time pass until shortly before `seconds` after it."""
        ...

    async def past(self, seconds: float) -> None:
        """Let time pass until `seconds` after it have gone by."""
        ...


class HandTurned:
    """Time stands still until a test turns it; the suite's seconds are the engine's."""

    def __init__(self, clock: ManualClock | None = None) -> None:
        self.clock = clock or ManualClock()
        self.start = self.clock.now()

    def s(self, seconds: float) -> float:
        return seconds

    def moment(self) -> HandTurned:
        return HandTurned(self.clock)

    async def almost(self, seconds: float) -> None:
        await self.past(seconds - 0.5)

    async def past(self, seconds: float) -> None:
        left = self.start + seconds - self.clock.now()
        if left > 0:
            self.clock.advance(left)

    async def turn_until_done(self, task: asyncio.Task[T], *, step_s: float) -> T:
        async with asyncio.timeout(20):
            while not task.done():
                await asyncio.sleep(0.01)
                self.clock.advance(step_s)
        return await task


class RealTime:
    """Time passes; ten of the suite's seconds are one. Brokers count whole seconds, so tests use tens."""

    PART = 0.1
    LATE_S = 0.35  # what a broker may take to see that the time has come

    def __init__(self) -> None:
        self.clock = SystemClock()
        self.start = self.clock.monotonic()

    def s(self, seconds: float) -> float:
        return seconds * self.PART

    def moment(self) -> RealTime:
        return RealTime()

    async def almost(self, seconds: float) -> None:
        await self._until(self.s(seconds) - 0.7)

    async def past(self, seconds: float) -> None:
        await self._until(self.s(seconds) + self.LATE_S)

    async def turn_until_done(self, task: asyncio.Task[T], *, step_s: float) -> T:
        async with asyncio.timeout(20):
            return await task

    async def _until(self, after_s: float) -> None:
        await self.clock.sleep(max(0.0, self.start + after_s - self.clock.monotonic()))


class EngineHost:
    """Opens consumers and closes them all. `open()` gives another consumer of the same store."""

    def __init__(
        self, open_consumer: Callable[[Any], Awaitable[Any]], time: HandTurned | RealTime | None = None
    ) -> None:
        self.time = time or HandTurned()
        self.clock: Any = self.time.clock
        self._open = open_consumer
        self._engines: list[Any] = []

    async def open(self) -> Any:
        engine = await self._open(self.clock)
        self._engines.append(engine)
        return engine

    def s(self, seconds: float) -> float:
        """The suite's seconds as the engine's."""
        return self.time.s(seconds)

    def moment(self) -> Moment:
        """Now, to count from."""
        return self.time.moment()

    async def turn_until_done(self, task: asyncio.Task[T], *, step_s: float) -> T:
        """Let time pass until a task is done."""
        return await self.time.turn_until_done(task, step_s=step_s)

    async def close(self) -> None:
        for engine in self._engines:
            await engine.aclose()
