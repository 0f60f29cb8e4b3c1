"""Lanes: turns one after the other without a coroutine, as long as nothing but answers is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from airless.core.clock import Clock
from airless.crawl.errors import FetchError
from airless.crawl.fetch import Exchange, QuickFetcher, Result
from airless.crawl.gate import Gate
from airless.crawl.held import Entry
from airless.crawl.response import Response
from airless.crawl.schedule import HostQueue, Turn
from airless.crawl.visit import Outcome, Rest, Visitor

Ended = tuple[HostQueue, Entry, Outcome]
"""A turn and what came of it."""

Left = tuple[HostQueue, Entry, tuple[Outcome, Rest] | None]
"""A turn that is left to a coroutine: to be taken from its beginning, or only its callback to be awaited."""


class Lanes:
    """What all lanes share. `ended` is told of turns and their outcomes, `following` gives so many of the next."""

    def __init__(
        self,
        fetcher: QuickFetcher,
        visitor: Visitor,
        gate: Gate,
        clock: Clock,
        *,
        ended: Callable[[Sequence[Ended]], None],
        following: Callable[[int], Sequence[Turn]],
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
        self._begin([(lane, (queue, entry))])
        try:
            return await lane.over
        finally:
            if lane.exchange is not None:
                lane.exchange.abandon()

    def _begin(self, turns: Iterable[tuple[_Lane, Turn]]) -> None:
        """Fetch, where that can begin at once."""
        asked = []
        gate, now, started_s = self.gate, self.clock.now(), self.clock.monotonic()
        for lane, turn in turns:
            lane.turn = queue, entry = turn
            lane.started_s = started_s
            request = entry.request
            if gate.passes(queue, request.url, now):
                if request.callback is not None:  # a page of a crawl by links has none, and needs nothing
                    self.visitor.prepare(request)
                asked.append((request, lane))
            else:
                lane.over.set_result((*turn, None))
        if not asked:
            return
        for (_, lane), exchange in zip(asked, self.fetcher.begin(asked, self._told), strict=True):
            lane.exchange = exchange
            if exchange is None:
                lane.over.set_result((*lane.turn, None))

    def _answered(self, answers: list[tuple[_Lane, Result]]) -> None:
        """Take pages that came together through each stage together: its code is in the processor's caches then."""
        told = [lane for lane, _ in answers]
        try:
            self.visitor.look_ahead(page for _, page in answers if isinstance(page, Response))
            lanes: list[_Lane] = []
            ended: list[Ended] = []
            result: Result = None
            answers.reverse()
            while answers:
                # None is kept for the others: its tree may be many times as large as it is.
                lane, result = answers.pop()
                lane.exchange = None
                if lane.over.done():
                    # Its worker was cancelled just now.
                    continue
                outcome = self._read(lane, result)
                if outcome is not None:
                    lanes.append(lane)
                    ended.append((*lane.turn, outcome))
            if isinstance(result, Response):
                self.visitor.looked_at(result)
            del result
            self.ended(ended)
            turns = self.following(len(lanes))
            for lane in lanes[len(turns) :]:
                lane.over.set_result(None)
            self._begin(zip(lanes, turns, strict=False))
        except BaseException as error:
            # Whoever calls has others to tell; a worker's task is where a fault ends the run, and so all lanes.
            for lane in told:
                if not lane.over.done():
                    lane.over.set_exception(error)
                    return
            raise

    def _read(self, lane: _Lane, result: Result) -> Outcome | None:
        """What came of a fetch; None where that is left to the worker."""
        queue, entry = lane.turn
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

    __slots__ = ("exchange", "over", "started_s", "turn")

    turn: Turn
    started_s: float

    def __init__(self) -> None:
        self.exchange: Exchange | None = None
        self.over: asyncio.Future[Left | None] = asyncio.get_running_loop().create_future()
