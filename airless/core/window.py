"""A sliding window over a topic, for hosts that stay: a message takes a slot and leaves it when it is done.

A slow message holds up nobody: slots are filled as they come free, and what has ended is committed in groups,
a moment after the first of a group or when the group is full, whichever comes first.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from airless.core.batch import held_back, put_off_s
from airless.core.errors import LeaseLost
from airless.core.invocation import Invocation
from airless.core.lanes import lanes
from airless.core.outcome import Again, Dead, Done, Ended, Lost
from airless.core.ports import Delivery

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Group:
    """When what has ended is committed: `messages` of them, or `delay_s` after the first."""

    messages: int = 100
    delay_s: float = 0.05


class Window:
    """Runs an invocation's operator on a topic, `concurrency` calls at once, until it is told to stop.

    Leases are taken for `lease_s` and extended for as long as the work takes. An empty topic is asked again
    every `wait_s`.
    """

    def __init__(
        self,
        invocation: Invocation,
        topic: str,
        *,
        concurrency: int = 16,
        lease_s: float = 60.0,
        wait_s: float = 1.0,
        group: Group | None = None,
    ) -> None:
        self.topic = topic
        self.counts: Counter[str] = Counter()
        self._invocation = invocation
        self._concurrency = concurrency
        self._lease_s = lease_s
        self._wait_s = wait_s
        self._group = group or Group()
        self._held: dict[str, Delivery] = {}
        self._ended: list[Ended] = []
        self._by_key: dict[str, list[Delivery]] = {}
        self._lost: set[str] = set()
        self._running = 0
        self._closing = False
        self._changed = asyncio.Event()
        self._slot_free = asyncio.Event()
        self._committed = asyncio.Event()

    @property
    def held(self) -> int:
        """The messages that are leased here: waiting for their key, running, or waiting for their commit."""
        return len(self._held)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then drain: what runs is finished and committed, the rest handed back.

        Raises what the engine raises; what isn't committed by then is redelivered.
        """
        try:
            async with asyncio.TaskGroup() as group:
                keeper = group.create_task(self._keep_leases())
                group.create_task(self._commit_groups())
                async with asyncio.TaskGroup() as running:
                    await self._feed(running, stop)
                keeper.cancel()
                self._closing = True
                self._changed.set()
        except BaseExceptionGroup as errors:
            raise first_error(errors) from errors

    async def _feed(self, running: asyncio.TaskGroup, stop: asyncio.Event) -> None:
        batch_size = self._invocation.runner.batch_size
        while not stop.is_set():
            free = self._concurrency - self._running
            backlog = len(self._held) >= self._concurrency * batch_size + self._group.messages
            if free <= 0 or backlog:
                self._slot_free.clear()
                await self._either(self._slot_free, stop)
                continue
            for lane in lanes(await self._receive(free * batch_size, stop), batch_size):
                self._held.update((delivery.receipt, delivery) for delivery in lane)
                key = lane[0].ordering_key
                if key is None:
                    self._running += 1
                    running.create_task(self._run_lane(lane))
                elif key in self._by_key:
                    self._by_key[key].extend(lane)
                else:
                    self._running += 1
                    self._by_key[key] = lane
                    running.create_task(self._run_key(key, lane, stop))

    async def _receive(self, limit: int, stop: asyncio.Event) -> list[Delivery]:
        """What the topic has, at once when it comes; waiting ends when the window is stopped."""
        receiving = asyncio.ensure_future(
            self._invocation.engine.queue.receive(
                self.topic, limit=limit, lease_s=self._lease_s, wait_s=self._wait_s
            )
        )
        stopping = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait({receiving, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not receiving.done():
                receiving.cancel()
                await asyncio.wait({receiving})
            return [] if receiving.cancelled() else receiving.result()
        finally:
            receiving.cancel()
            stopping.cancel()

    async def _run_lane(self, lane: list[Delivery]) -> None:
        try:
            self._end(await self._invocation.run(lane))
        finally:
            self._leave_slot()

    async def _run_key(self, key: str, waiting: list[Delivery], stop: asyncio.Event) -> None:
        """Run the messages of a key, each after the commit of the one before, and none past one put off."""
        size = self._invocation.runner.batch_size
        try:
            while waiting:
                chunk, waiting[:] = waiting[:size], waiting[size:]
                try:
                    ends = await self._invocation.run(chunk)
                finally:
                    self._leave_slot()
                delay_s = put_off_s(ends)
                if delay_s is not None:
                    ends.extend(held_back(delivery, delay_s) for delivery in waiting)
                    waiting.clear()
                self._end(ends)
                while any(delivery.receipt in self._held for delivery in chunk):
                    await self._committed.wait()
                if waiting and stop.is_set():
                    self._end([Ended(d, None, Again(charge=False, reason="not started")) for d in waiting])
                    waiting.clear()
                if waiting:
                    await self._take_slot()
        finally:
            del self._by_key[key]

    async def _take_slot(self) -> None:
        while self._running >= self._concurrency:
            self._slot_free.clear()
            await self._slot_free.wait()
        self._running += 1

    def _leave_slot(self) -> None:
        self._running -= 1
        self._slot_free.set()
        self._changed.set()

    def _end(self, ends: Sequence[Ended]) -> None:
        self._ended.extend(ends)
        self._changed.set()

    async def _commit_groups(self) -> None:
        while True:
            while not self._ended and not self._closing:
                self._changed.clear()
                await self._changed.wait()
            if not self._ended:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._group.delay_s):
                    while self._running and len(self._ended) < self._group.messages:
                        self._changed.clear()
                        await self._changed.wait()
            group, self._ended = self._ended, []
            for end in await self._invocation.commit(group):
                self.counts[_name(end)] += 1
                self._held.pop(end.delivery.receipt, None)
                self._lost.discard(end.delivery.receipt)
            self._slot_free.set()
            self._committed.set()
            self._committed = asyncio.Event()

    async def _keep_leases(self) -> None:
        while True:
            await self._invocation.clock.sleep(self._lease_s / 3)
            await self._extend([d for d in self._held.values() if d.receipt not in self._lost])

    async def _extend(self, deliveries: list[Delivery]) -> None:
        if not deliveries:
            return
        try:
            await self._invocation.engine.queue.extend(deliveries, self._lease_s)
        except LeaseLost:
            if len(deliveries) > 1:
                for delivery in deliveries:
                    await self._extend([delivery])
            elif deliveries[0].receipt in self._held:
                _log.warning("the lease of %s on %s was lost", deliveries[0].id, self.topic)
                self._lost.add(deliveries[0].receipt)

    @staticmethod
    async def _either(one: asyncio.Event, other: asyncio.Event) -> None:
        waits = {asyncio.ensure_future(one.wait()), asyncio.ensure_future(other.wait())}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()


def _name(end: Ended) -> str:
    """What a message's end is counted under."""
    match end.outcome:
        case Done():
            return "done"
        case Dead():
            return "dead"
        case Lost():
            return "lost"
        case Again(charge=True):
            return "again"
        case Again():
            return "handed back"


def first_error(errors: BaseExceptionGroup) -> BaseException:
    """The error behind a task group's: one failure ends a window, and the rest are its echoes."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
