"""A bell for all consumers: wakes who waits for a topic when the server tells that something can be had there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from airless.engines.redis.faults import may_pass
from airless.engines.redis.server import Server

logger = logging.getLogger(__name__)

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 5.0
# A connection on which nothing comes is asked whether it is still there.
_QUIET_S = 15.0


class Waiter:
    """One who waits, and is awake from the first ring on."""

    def __init__(self, wanted: Callable[[str], bool]) -> None:
        self.wanted = wanted
        self._rung = asyncio.Event()

    def ring(self) -> None:
        self._rung.set()

    def reset(self) -> None:
        """To be done before looking into the queue, so that no ring is missed."""
        self._rung.clear()

    async def wait(self, seconds: float) -> None:
        """Return when it rang, or after so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                await self._rung.wait()
        except TimeoutError:
            return


class Bell:
    """One subscription for all who wait on this engine; made for the first of them. It comes back when it breaks."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._waiters: set[Waiter] = set()
        self._task: asyncio.Task[None] | None = None
        self._listening = asyncio.Event()

    async def join(self, wanted: Callable[[str], bool]) -> Waiter:
        """Somebody who wants to hear of topics from now on. `leave` ends that."""
        if self._task is None:
            self._task = asyncio.create_task(self._listen(), name="redis bell")
        waiter = Waiter(wanted)
        self._waiters.add(waiter)
        if not self._listening.is_set():
            # Not for long: who looks into the queue now and then hears of it, too.
            listening = asyncio.ensure_future(self._listening.wait())
            await asyncio.wait({listening}, timeout=1.0)
            listening.cancel()
        return waiter

    def leave(self, waiter: Waiter) -> None:
        self._waiters.discard(waiter)

    async def aclose(self) -> None:
        for waiter in self._waiters:
            waiter.ring()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _listen(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while True:
            subscription = self._server.client.pubsub(ignore_subscribe_messages=False)
            try:
                await subscription.subscribe(f"{self._server.root}:bell")
                pause_s = _FIRST_PAUSE_S
                await self._hear(subscription)
            except Exception as error:
                if not may_pass(error):
                    logger.warning("nobody is woken by what is published, only by looking: %s", error)
                    pause_s = _LONGEST_PAUSE_S
            finally:
                self._listening.clear()
                await subscription.aclose()
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    async def _hear(self, subscription: Any) -> None:
        quiet = False
        while True:
            heard = await subscription.get_message(timeout=_QUIET_S)
            if heard is None:
                if quiet:
                    return  # it was asked, and has not answered
                await subscription.ping()
                quiet = True
                continue
            quiet = False
            if heard["type"] == "subscribe":
                self._listening.set()
                self._ring(None)  # who knows what was missed
            elif heard["type"] == "message":
                self._ring(heard["data"].decode())

    def _ring(self, topic: str | None) -> None:
        for waiter in self._waiters:
            if topic is None or waiter.wanted(topic):
                waiter.ring()
