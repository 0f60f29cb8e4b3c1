"""Time is passed in: the wall clock of a process, or one that a test turns by hand."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Where everything here gets its time from."""

    def now(self) -> float:
        """Seconds since the epoch: for what is stored (not-before, fetched-at)."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back: for what is measured (pace, deadlines)."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return when `seconds` have passed on this clock."""
        ...


class SystemClock:
    """The machine's clock."""

    # The system's functions themselves: the time is asked for several times a page.
    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class ManualClock:
    """A clock that stands still until it is advanced; sleepers wake in the order of their time."""

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self._now = start
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self._now + seconds, wake))
        await wake

    def advance(self, seconds: float) -> None:
        """Move time on by `seconds` and wake who slept until then."""
        self._now += seconds
        due = sorted((at, i) for i, (at, _) in enumerate(self._sleepers) if at <= self._now)
        woken = [self._sleepers[i][1] for _, i in due]
        self._sleepers = [s for s in self._sleepers if s[1] not in woken]
        for wake in woken:
            if not wake.done():
                wake.set_result(None)
