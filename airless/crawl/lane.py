"""A lane: turns one after the other without a coroutine, as long as nothing but answers is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from airless.core.clock import Clock
from airless.crawl.errors import FetchError
from airless.crawl.fetch import Exchange, QuickFetcher
from airless.crawl.gate import Gate
from airless.crawl.held import Entry
from airless.crawl.response import Response
from airless.crawl.schedule import HostQueue
from airless.crawl.visit import Outcome, Rest, Visitor
from airless.crawl.workers import Turn

Left = tuple[HostQueue, Entry, tuple[Outcome, Rest] | None]
"""A turn that is left to a coroutine: to be taken from its beginning, or only its callback to be awaited."""


class Lanes:
    """What all lanes share. `ended` is told of each turn's outcome, `following` gives the next turn."""

    def __init__(
        self,
        fetcher: QuickFetcher,
        visitor: Visitor,
        gate: Gate,
        clock: Clock,
        *,
        ended: Callable[[HostQueue, Entry, Outcome], None],
        following: Callable[[], Turn | None],
    ) -> None:
        self.fetcher = fetcher
        self.visitor = visitor
        self.gate = gate
        self.clock = clock
        self.ended = ended
        self.following = following

    async def run(self, queue: HostQueue, entry: Entry) -> Left | None:
        """Take this turn and those that follow, until one needs a coroutine or there is none."""
        return await _Lane(self).run(queue, entry)


class _Lane:
    """One worker's: what it has under way, and the future that ends it."""

    __slots__ = ("_entry", "_exchange", "_lanes", "_over", "_queue", "_started_s")

    _queue: HostQueue
    _entry: Entry
    _started_s: float

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes
        self._exchange: Exchange | None = None
        self._over: asyncio.Future[Left | None] = asyncio.get_running_loop().create_future()

    async def run(self, queue: HostQueue, entry: Entry) -> Left | None:
        self._begin(queue, entry)
        try:
            return await self._over
        finally:
            if self._exchange is not None:
                self._exchange.abandon()

    def _begin(self, queue: HostQueue, entry: Entry) -> None:
        """Fetch, where that can begin at once."""
        lanes, request = self._lanes, entry.request
        if lanes.gate.passes(queue, request.url):
            if request.callback is not None:  # a page of a crawl by links has none, and needs nothing
                lanes.visitor.prepare(request)
            self._queue, self._entry = queue, entry
            self._started_s = lanes.clock.monotonic()
            try:
                self._exchange = lanes.fetcher.begin(request, self._answered)
            except FetchError:
                # It would be raised again, where it is handled.
                self._exchange = None
            if self._exchange is not None:
                return
        self._over.set_result((queue, entry, None))

    def _answered(self, result: Response | FetchError | None) -> None:
        lanes, queue, entry = self._lanes, self._queue, self._entry
        self._exchange = None
        try:
            if result is None:
                self._over.set_result((queue, entry, None))
                return
            last_try = queue.pace.unreachable
            if isinstance(result, FetchError):
                latency_s = lanes.clock.monotonic() - self._started_s
                outcome = lanes.visitor.failed(entry.request, result, latency_s, last_try=last_try)
            else:
                outcome, rest = lanes.visitor.read(entry.request, result, last_try=last_try)
                if rest is not None:
                    self._over.set_result((queue, entry, (outcome, rest)))
                    return
            lanes.ended(queue, entry, outcome)
            turn = lanes.following()
            if turn is None:
                self._over.set_result(None)
            else:
                self._begin(*turn)
        except BaseException as error:
            # Whoever calls has other answers to tell of; the worker's task is where a fault ends the run.
            self._over.set_exception(error)
