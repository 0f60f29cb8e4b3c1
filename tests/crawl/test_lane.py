"""Turns that need no coroutine: the same crawl, whatever of it has to be waited for."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any, cast

import pytest
from support.crawling import Crawl
from support.pages import Pages, linking, redirect

from airless.core.clock import SystemClock
from airless.core.errors import ConfigError
from airless.core.ports import Delivery
from airless.crawl.errors import ConnectError, FetchError
from airless.crawl.fetch import Answered, Exchange, Result
from airless.crawl.held import Entry, Held
from airless.crawl.lane import Lanes
from airless.crawl.pace import HostPace
from airless.crawl.request import Follow, Request
from airless.crawl.response import Response
from airless.crawl.schedule import HostQueue
from airless.crawl.settings import Pace, Retry, Settings
from airless.crawl.spider import Spider
from airless.crawl.visit import Visitor

HERE = "http://a.test/"
SITE = {HERE: linking("/1", "/2", "/3"), **{f"{HERE}{n}": linking("/", f"/{n + 1}") for n in range(1, 9)}}


class QuickPages(Pages):
    """Pages that begin at once, but for those that are `stale` for once. `begun` has what was begun."""

    def __init__(self, answers: dict[str, Any], stale: set[str] | None = None) -> None:
        super().__init__(answers)
        self.stale = stale or set()
        self.begun: list[str] = []
        self.abandoned = 0
        self.groups: list[int] = []

    def begin(self, asked: Sequence[tuple[Request, Any]], answered: Answered) -> list[Exchange | None]:
        self.groups.append(len(asked))
        return [self.begin_one(request, whose, answered) for request, whose in asked]

    def begin_one(self, request: Request, whose: Any, answered: Answered) -> Exchange | None:
        if request.meta and request.meta.get("slow"):
            return None
        self.begun.append(request.url)
        return _Begun(self, request, lambda result: answered([(whose, result)]))


class _Begun:
    def __init__(self, pages: QuickPages, request: Request, answered: Callable[[Result], None]) -> None:
        self.pages = pages
        self.task = asyncio.get_running_loop().create_task(self.answer(request, answered))

    async def answer(self, request: Request, answered: Callable[[Result], None]) -> None:
        if request.url in self.pages.stale:
            self.pages.stale.remove(request.url)
            answered(None)
            return
        try:
            result: Result = await self.pages.fetch(request)
        except FetchError as error:
            result = error
        answered(result)

    def abandon(self) -> None:
        self.pages.abandoned += 1
        self.task.cancel()


class PlainSpider(Spider):
    def parse(self, response: Response) -> Iterator[dict[str, Any] | Follow]:
        yield {"url": response.url, "in_a_task": asyncio.current_task() is not None}
        yield response.follow_all()


class WaitingSpider(Spider):
    async def parse(self, response: Response) -> AsyncIterator[dict[str, Any] | Follow]:
        async with asyncio.timeout(10):
            await asyncio.sleep(0)
        yield {"url": response.url}
        yield response.follow_all()


@pytest.mark.parametrize("spider", [PlainSpider(), WaitingSpider()], ids=["plain", "waiting"])
async def test_every_page_is_crawled_once_whether_its_callback_waits_or_not(spider: Spider) -> None:
    pages = QuickPages(SITE)
    crawl = Crawl(pages, spider=spider)
    await crawl.seed(HERE)
    await crawl.run()
    counts = await crawl.counts()
    assert crawl.item_urls() == sorted(SITE)
    assert sorted(pages.begun) == sorted([*SITE, f"{HERE}9"])
    assert sorted(pages.urls()) == sorted(pages.begun)
    assert (counts.discovered, counts.fetched, counts.failed, counts.waiting) == (10, 9, 1, 0)
    assert 0 not in pages.groups


async def test_what_can_not_begin_at_once_is_fetched_by_a_coroutine() -> None:
    class Slow(PlainSpider):
        def parse(self, response: Response) -> Iterator[Any]:
            yield {"url": response.url}
            if response.url == HERE:
                yield Request(f"{HERE}1", meta={"slow": True})
                yield Request(f"{HERE}2", meta={"slow": True})

    pages = QuickPages({HERE: linking(), f"{HERE}1": linking(), f"{HERE}2": linking()})
    crawl = Crawl(pages, spider=Slow())
    await crawl.seed(HERE)
    await crawl.run()
    assert pages.begun == [HERE]
    assert crawl.item_urls() == [HERE, f"{HERE}1", f"{HERE}2"]


async def test_a_connection_that_was_closed_before_the_request_costs_no_try() -> None:
    pages = QuickPages(SITE, stale={HERE, f"{HERE}3"})
    crawl = Crawl(pages, spider=PlainSpider())
    await crawl.seed(HERE)
    await crawl.run()
    counts = await crawl.counts()
    assert (counts.fetched, counts.retries, counts.waiting) == (9, 0, 0)
    assert len(pages.urls()) == 10


async def test_errors_are_tried_again_and_redirects_followed() -> None:
    fault = ConnectError("refused")
    pages = QuickPages({HERE: [fault, linking("/r")], f"{HERE}r": redirect("/to"), f"{HERE}to": linking()})
    settings = Settings(obey_robots=False, retry=Retry(base_s=0.01))
    crawl = Crawl(pages, spider=PlainSpider(), settings=settings)
    await crawl.seed(HERE)
    await crawl.run()
    counts = await crawl.counts()
    assert (counts.fetched, counts.retries, counts.redirects, counts.waiting) == (2, 1, 1, 0)
    assert crawl.item_urls() == [HERE, f"{HERE}to"]


async def test_a_fault_of_the_crawl_ends_it() -> None:
    class Lost(Spider):
        def parse(self, response: Response) -> Iterator[Request]:
            yield Request(f"{HERE}1", callback="nowhere")

    pages = QuickPages(SITE)
    crawl = Crawl(pages, spider=Lost())
    await crawl.seed(HERE)
    with pytest.raises(ConfigError, match="nowhere"):
        await crawl.run()


async def test_what_is_under_way_is_given_up_with_the_crawl() -> None:
    pages = QuickPages({HERE: linking(latency_s=60)})
    crawl = Crawl(pages, spider=PlainSpider())
    await crawl.seed(HERE)
    running = asyncio.create_task(crawl.crawler().run())
    await pages.until_asked(1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert pages.abandoned == 1


async def test_a_worker_that_is_cancelled_when_its_answer_has_come_has_nothing_to_give_up() -> None:
    class Begun:
        abandoned = False

        def abandon(self) -> None:
            self.abandoned = True

    class Fetcher(QuickPages):
        asked: Sequence[tuple[Request, Any]]
        answered: Answered

        def begin(self, asked: Sequence[tuple[Request, Any]], answered: Answered) -> list[Exchange | None]:
            self.asked, self.answered = asked, answered
            return [begun for _ in asked]

    class Gate:
        def passes(self, queue: HostQueue, url: str, now: float) -> bool:
            return True

    begun, fetcher, told = Begun(), Fetcher({}), []
    visitor = Visitor(PlainSpider(), Settings(), fetcher, SystemClock(), random.Random(1))
    lanes = Lanes(
        fetcher,
        visitor,
        cast(Any, Gate()),
        SystemClock(),
        ended=told.extend,
        following=lambda number: [],
    )
    request = Request(HERE)
    held = Held(Delivery("frontier/job", b"", "1", "r"), "1", 0, 1)
    queue = HostQueue("a.test", HostPace(Pace(), random.Random(1)))
    worker = asyncio.create_task(lanes.run(queue, Entry(request, held, 0)))
    await asyncio.sleep(0)
    # The connection is somebody else's already when the worker learns that it is cancelled.
    worker.cancel()
    [(_, whose)] = fetcher.asked
    fetcher.answered([(whose, Response.from_bytes(HERE, b""))])
    with pytest.raises(asyncio.CancelledError):
        await worker
    assert not begun.abandoned
    assert told == []
