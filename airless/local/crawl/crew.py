"""The crawlers of a run, seen alike whether they are in this process or in others."""

from __future__ import annotations

import asyncio
from typing import Protocol

from airless.core.ports import Engine
from airless.crawl.budget import Budget, PageBudget, Unlimited
from airless.crawl.crawler import Crawler
from airless.crawl.spider import Spider
from airless.local.crawl.worker import Assignment, Status, make_crawler, status_of


class Crew(Protocol):
    """Crawlers at work. `quieted` is set where one of them has become quiet."""

    quieted: asyncio.Event

    def statuses(self) -> list[Status]:
        """What each has last said of itself."""
        ...

    @property
    def budget_spent(self) -> bool: ...

    def stop(self) -> None:
        """Drain: start nothing more, commit what is under way."""
        ...

    async def run(self) -> None:
        """Until all have ended. Raises what made one of them fail."""
        ...


class OneProcess:
    """The crawler in the main process, on its engine and its loop."""

    def __init__(self, work: Assignment, engine: Engine, spider: Spider, pages: int | None) -> None:
        self._work = work
        self._engine = engine
        self._spider = spider
        self._budget: Budget = Unlimited() if pages is None else PageBudget(pages)
        self._stopping = False
        self._crawler: Crawler | None = None
        self.quieted = asyncio.Event()

    def statuses(self) -> list[Status]:
        return [status_of(self._crawler)] if self._crawler is not None else []

    @property
    def budget_spent(self) -> bool:
        return self._budget.spent

    def stop(self) -> None:
        self._stopping = True
        if self._crawler is not None:
            self._crawler.stop()

    async def run(self) -> None:
        async with make_crawler(self._work, self._engine, self._spider, self._budget) as crawler:
            self._crawler = crawler
            crawler.on_quiet = self.quieted.set
            if not self._stopping:
                await crawler.run()
