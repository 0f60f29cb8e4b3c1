"""A bell: wakes who waits for a queue when something was published or given back in this process."""

from __future__ import annotations

import asyncio

from airless.core.clock import Clock


class Bell:
    """Waiters of one event loop, woken together."""

    def __init__(self) -> None:
        self._waiters: set[asyncio.Future[None]] = set()

    def ring(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    def listen(self) -> asyncio.Future[None]:
        """What the next ring completes. Taken before looking into the queue, so that no ring is missed."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        waiter.add_done_callback(self._waiters.discard)
        return waiter

    async def wait(
        self, waiter: asyncio.Future[None], clock: Clock, seconds: float, *, poll_s: float | None = None
    ) -> None:
        """Return when it rang, when `seconds` have passed on the clock, or after `poll_s` of real time."""
        sleeper = asyncio.ensure_future(clock.sleep(seconds))
        try:
            await asyncio.wait({waiter, sleeper}, timeout=poll_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiter.cancel()
            sleeper.cancel()
            await asyncio.wait({sleeper})
