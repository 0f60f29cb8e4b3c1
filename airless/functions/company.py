"""The crawlers of one batch: they keep each other company, and are stopped together."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from airless.core.clock import Clock
from airless.core.errors import Conflict, LeaseLost
from airless.crawl.counts import Counts
from airless.crawl.crawler import Crawler

logger = logging.getLogger("airless.crawl")

# How often a batch looks whether it is still worth its time.
_TOGETHER_S = 0.25


class Company:
    """The crawlers of one batch. While one of them works the others wait for nothing.

    Where time is billed they stop when that is no longer worth it. With `crowded` it isn't: whatever waits is handed
    back only where others wait for its place, which this says.
    """

    def __init__(
        self, clock: Clock, wait_at_most_s: float, *, crowded: Callable[[], bool] | None = None
    ) -> None:
        self._clock = clock
        self._wait_at_most_s = wait_at_most_s
        self._crowded = crowded
        self.crawlers: list[Crawler] = []
        self.faults: list[Exception] = []
        self._joined = 0
        self._counts = Counts()
        self._stopped = False

    def join(self, crawlers: Sequence[Crawler]) -> None:
        self.crawlers += crawlers
        self._joined += len(crawlers)
        for crawler in crawlers if self._stopped else ():
            crawler.stop()

    def stop(self) -> None:
        """Have all start nothing more, commit, and hand the rest back; those who join later too."""
        self._stopped = True
        for crawler in self.crawlers:
            crawler.stop()

    def cut_off(self) -> None:
        """Stop, and let go of what is under way."""
        self._stopped = True
        for crawler in self.crawlers:
            crawler.cut_off()

    async def keep_together(self) -> None:
        """Have all stop when waiting for the last of them has cost as much as to begin their rest anew.

        Until the invocation ends, the queue keeps back what it has for the shards that are through, and their part
        of the time is billed all the same.
        """
        idle_s = 0.0
        while self._crowded is None:
            await self._clock.sleep(_TOGETHER_S)
            if self.crawlers:
                idle_s += _TOGETHER_S * (1 - len(self.crawlers) / self._joined)
            if self.crawlers and idle_s > self._wait_at_most_s * len(self.crawlers):
                self.stop()
                return

    def waits(self) -> bool:
        """Nobody can start something within the time that is cheaper than to hand back what all have."""
        if self._crowded is not None:
            return self._crowded()
        waiting = [crawler for crawler in self.crawlers if not crawler.quiet]
        until_s = min((crawler.rests_until_s for crawler in waiting), default=math.inf)
        return until_s - self._clock.now() > self._wait_at_most_s * len(waiting)

    async def run(self, crawler: Crawler) -> None:
        try:
            await crawler.run()
        finally:
            self.crawlers.remove(crawler)
            self._counts.add(crawler.counted())
            crawler.let_go()

    def counted(self) -> Counts:
        """What they have done until now, durable or not."""
        counts = self._counts.copy()
        for crawler in self.crawlers:
            counts.add(crawler.counted())
        return counts

    async def guard(self, job: str, work: Coroutine[Any, Any, None]) -> None:
        """Have what fails fail alone."""
        try:
            await work
        except (Conflict, LeaseLost) as fault:
            logger.warning("a part of the crawl %r has gone to another process: %s", job, fault)
            self.faults.append(fault)
        except Exception as fault:
            logger.exception("a part of the crawl %r failed; its messages come again", job)
            self.faults.append(fault)
