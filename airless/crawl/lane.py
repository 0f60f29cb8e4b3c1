"""Lanes: turns one after the other without a coroutine, as long as nothing but answers is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from airless.core.clock import Clock
from airless.crawl.errors import FetchError
from airless.crawl.fetch import Exchange, QuickFetcher, Result
from airless.crawl.gate import Gate
from airless.crawl.held import Entry
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
        # Bound once, not once a page.
        self._told = self._answered

    async def run(self, queue: HostQueue, entry: Entry) -> Left | None:
        """Take this turn and those that follow, until one needs a coroutine or there is none."""
        lane = _Lane()
        self._begin(lane, queue, entry)
        try:
            return await lane.over
        finally:
            if lane.exchange is not None:
                lane.exchange.abandon()

    def _begin(self, lane: _Lane, queue: HostQueue, entry: Entry) -> None:
        """Fetch, where that can begin at once."""
        request = entry.request
        if self.gate.passes(queue, request.url):
            if request.callback is not None:  # a page of a crawl by links has none, and needs nothing
                self.visitor.prepare(request)
            lane.queue, lane.entry = queue, entry
            lane.started_s = self.clock.monotonic()
            try:
                lane.exchange = self.fetcher.begin(request, lane, self._told)
            except FetchError:
                # It would be raised again, where it is handled.
                lane.exchange = None
            if lane.exchange is not None:
                return
        lane.over.set_result((queue, entry, None))

    def _answered(self, answers: Sequence[tuple[_Lane, Result]]) -> None:
        """Take pages that came together through each stage together: its code is in the processor's caches then."""
        ended = []
        for lane, result in answers:
            lane.exchange = None
            try:
                outcome = self._read(lane, result)
            except BaseException as error:
                # The others have to be told of their answers; the worker's task is where a fault ends the run.
                lane.over.set_exception(error)
                continue
            if outcome is not None:
                ended.append((lane, outcome))
        going_on = []
        for lane, outcome in ended:
            try:
                self.ended(lane.queue, lane.entry, outcome)
            except BaseException as error:
                lane.over.set_exception(error)
            else:
                going_on.append(lane)
        for lane in going_on:
            try:
                turn = self.following()
                if turn is None:
                    lane.over.set_result(None)
                else:
                    self._begin(lane, *turn)
            except BaseException as error:
                lane.over.set_exception(error)

    def _read(self, lane: _Lane, result: Result) -> Outcome | None:
        """What came of a fetch; None where that is left to the worker."""
        queue, entry = lane.queue, lane.entry
        if result is None:
            lane.over.set_result((queue, entry, None))
            return None
        last_try = queue.pace.unreachable
        if isinstance(result, FetchError):
            latency_s = self.clock.monotonic() - lane.started_s
            return self.visitor.failed(entry.request, result, latency_s, last_try=last_try)
        outcome, rest = self.visitor.read(entry.request, result, last_try=last_try)
        if rest is not None:
            lane.over.set_result((queue, entry, (outcome, rest)))
            return None
        return outcome


class _Lane:
    """One worker's: what it has under way, and the future that ends it."""

    __slots__ = ("entry", "exchange", "over", "queue", "started_s")

    queue: HostQueue
    entry: Entry
    started_s: float

    def __init__(self) -> None:
        self.exchange: Exchange | None = None
        self.over: asyncio.Future[Left | None] = asyncio.get_running_loop().create_future()
