"""What is left when a crawler stops, fails or is cut off; the next one does nothing twice."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from support.crawling import Crawl
from support.pages import Page, Pages
from support.site import body_of

from airless.core.errors import Conflict, EngineError, LeaseLost
from airless.core.ports import Commit, Delivery
from airless.crawl.crawler import LEASE_S, Crawler
from airless.crawl.inbox import BatchInbox, QueueInbox
from airless.crawl.intake import APART_AFTER
from airless.crawl.request import Request
from airless.crawl.settings import Pace, Settings
from airless.crawl.stint import Stint
from airless.engines.memory import MemoryEngine

START = "http://a.test/p/0.html"
FEW = Settings(obey_robots=False, pace=Pace(concurrency=4, adaptive=False))


def site(pages: int, latency_s: float = 0.0) -> Pages:
    def answer(request: Request) -> Page:
        number = int(request.url.rpartition("/")[2].removesuffix(".html"))
        return Page(body_of(number, pages), latency_s=latency_s)

    return Pages(answer)


def urls_of(pages: int) -> list[str]:
    return sorted(f"http://a.test/p/{n}.html" for n in range(pages))


class Breaking:
    """An engine of which the `at`-th commit fails, before or after it was applied."""

    def __init__(self, engine: MemoryEngine, at: int, *, applied: bool) -> None:
        self.engine = engine
        self.queue, self.state, self.objects = engine.queue, engine.state, engine.objects
        self.atomic = engine.atomic
        self._left = at
        self._applied = applied

    async def commit(self, commit: Commit) -> tuple[str, ...]:
        self._left -= 1
        if self._left:
            return await self.engine.commit(commit)
        if self._applied:
            await self.engine.commit(commit)
        raise EngineError("the connection to the engine broke")

    async def aclose(self) -> None:
        await self.engine.aclose()


@pytest.mark.parametrize("applied", [False, True], ids=["lost", "applied but not confirmed"])
async def test_a_crash_at_any_commit_loses_and_doubles_nothing(applied: bool) -> None:
    crawl = Crawl(site(120, latency_s=0.001))
    await crawl.seed(START)
    crashes = 0
    while (await crawl.engine.queue.depth(crawl.layout.topic)).messages:
        engine = Breaking(crawl.open(), 1 + crashes % 3 if applied else 2 + crashes % 3, applied=applied)
        try:
            await crawl.run(crawl.crawler(engine))
        except EngineError:
            crashes += 1
        await engine.aclose()
    counts = await crawl.counts()
    assert crashes >= 3
    assert crawl.item_urls() == urls_of(120)
    assert (counts.fetched, counts.discovered, counts.waiting) == (120, 120, 0)


async def test_nothing_of_a_commit_that_failed_is_seen() -> None:
    crawl = Crawl(site(10))
    await crawl.seed(START)
    engine = Breaking(crawl.open(), 1, applied=False)
    with pytest.raises(EngineError, match="broke"):
        await crawl.run(crawl.crawler(engine))
    assert crawl.store.states == {}
    assert crawl.store.blobs == {}


async def test_a_crawler_that_failed_can_still_be_told_to_stop() -> None:
    crawl = Crawl(site(10), settings=replace(FEW, pace=Pace(delay_s=1.0, concurrency=4)))
    await crawl.seed(START)
    crawler = crawl.crawler(Breaking(crawl.open(), 2, applied=False))
    with pytest.raises(EngineError, match="broke"):
        await crawl.run(crawler)
    crawler.stop()
    asked = len(crawl.fetcher.asked)
    await asyncio.sleep(0.1)  # two seconds of the crawl's clock: a timer that was left would fetch now
    assert len(crawl.fetcher.asked) == asked


@pytest.mark.parametrize("steps", range(6))
async def test_a_crawler_can_be_told_to_stop_while_it_fails(steps: int) -> None:
    crawl = Crawl(site(40))
    await crawl.seed(START)
    loop = asyncio.get_running_loop()
    faults: list[BaseException] = []

    def stop(steps: int) -> None:
        if steps:
            loop.call_soon(stop, steps - 1)
            return
        try:
            crawler.stop()
        except BaseException as fault:
            faults.append(fault)

    class Failing(Breaking):
        async def commit(self, commit: Commit) -> tuple[str, ...]:
            stop(steps)
            return await super().commit(commit)

    crawler = crawl.crawler(Failing(crawl.open(), 1, applied=False))
    with pytest.raises(EngineError, match="broke"):
        await crawler.run()
    assert faults == []


async def test_a_crawler_that_is_cancelled_leaves_what_is_not_committed_to_the_next() -> None:
    crawl = Crawl(site(60, latency_s=0.005))
    await crawl.seed(START)
    engine = crawl.open()
    task = asyncio.create_task(crawl.crawler(engine).run())
    await crawl.fetcher.until_asked(20)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await engine.aclose()
    await crawl.counts()
    await crawl.run()
    assert crawl.item_urls() == urls_of(60)
    assert (await crawl.counts()).fetched == 60


async def test_two_crawlers_that_own_one_shard_do_not_both_commit() -> None:
    crawl = Crawl(site(30))
    await crawl.seed(START)
    (delivery,) = await crawl.batch()
    one = crawl.crawler(inbox=BatchInbox([delivery]))
    other = crawl.crawler(inbox=BatchInbox([delivery]))
    results = await asyncio.gather(one.run(), other.run(), return_exceptions=True)
    assert sorted(isinstance(result, (Conflict, LeaseLost)) for result in results) == [False, True]
    await crawl.run()
    assert crawl.item_urls() == urls_of(30)
    await crawl.counts()


async def test_a_crawler_that_is_stopped_finishes_what_is_under_way_and_hands_back_the_rest() -> None:
    crawl = Crawl(site(300, latency_s=0.01), settings=FEW)
    await crawl.seed(START)
    await crawl.run(until=lambda: len(crawl.fetcher.asked) > 20)
    counts = await crawl.counts()
    assert counts.fetched == len(crawl.items()) == len(crawl.fetcher.asked)
    assert counts.waiting > 0
    depth = await crawl.engine.queue.depth(crawl.layout.topic)
    assert depth.leased == 0
    crawl.fetcher.answers = site(300).answers
    await crawl.run()
    assert crawl.item_urls() == urls_of(300)
    assert len(crawl.fetcher.asked) == 300


def _asked(crawl: Crawl, number: int) -> bool:
    return len(crawl.fetcher.asked) >= number


async def test_a_crawl_that_is_stopped_again_and_again_asks_for_no_page_twice() -> None:
    crawl = Crawl(site(200, latency_s=0.002), settings=FEW)
    await crawl.seed(START)
    stops = 0
    while (await crawl.engine.queue.depth(crawl.layout.topic)).messages:
        limit = len(crawl.fetcher.asked) + 15
        engine = crawl.open()
        await crawl.run(crawl.crawler(engine), until=partial(_asked, crawl, limit))
        await engine.aclose()
        await crawl.counts()
        stops += 1
    assert stops > 5
    assert crawl.item_urls() == urls_of(200)
    assert len(crawl.fetcher.asked) == 200


async def test_a_crawler_that_is_stopped_before_it_began_does_nothing() -> None:
    crawl = Crawl(site(5))
    await crawl.seed(START)
    crawler = crawl.crawler()
    crawler.stop()
    await crawler.run()
    assert crawl.fetcher.asked == []
    assert (await crawl.engine.queue.depth(crawl.layout.topic)).ready == 1


class Slow(QueueInbox):
    """A queue that answers only after the crawler was told to stop."""

    def __init__(self, engine: MemoryEngine, topic: str) -> None:
        super().__init__(engine.queue, topic, LEASE_S)
        self.asked = asyncio.Event()
        self.answers = asyncio.Event()

    async def receive(self, limit: int, keys: Sequence[str] | None) -> list[Delivery]:
        deliveries = await super().receive(limit, keys)
        self.asked.set()
        await self.answers.wait()
        return deliveries


async def test_messages_that_arrive_after_the_stop_are_handed_back() -> None:
    crawl = Crawl(site(5))
    await crawl.seed(START)
    inbox = Slow(crawl.engine, crawl.layout.topic)
    crawler = crawl.crawler(inbox=inbox)
    task = asyncio.create_task(crawler.run())
    await inbox.asked.wait()
    crawler.stop()
    inbox.answers.set()
    await task
    assert crawl.fetcher.asked == []
    depth = await crawl.engine.queue.depth(crawl.layout.topic)
    assert (depth.ready, depth.leased) == (1, 0)
    (delivery,) = await crawl.batch()
    assert delivery.attempt == 0


async def test_stopping_while_hosts_wait_for_their_time_ends_at_once() -> None:
    settings = replace(FEW, pace=Pace(delay_s=100_000.0))
    crawl = Crawl(Pages(lambda request: Page()), settings=settings)
    await crawl.seed(*(f"http://a.test/{n}" for n in range(10)))
    await crawl.run(until=lambda: bool(crawl.fetcher.asked) and len(crawl.items()) == 1, limit_s=5)
    assert (await crawl.counts()).waiting == 9


# Near its deadline.


async def test_near_its_deadline_an_invocation_hands_back_the_rest_uncharged_with_its_progress() -> None:
    crawl = Crawl(Pages(lambda request: Page(latency_s=0.01)), settings=FEW)
    urls = sorted(f"http://a.test/{n}" for n in range(100))
    await crawl.seed(*urls)
    invocations = 0
    while (await crawl.engine.queue.depth(crawl.layout.topic)).messages:
        (delivery,) = await crawl.batch()
        assert delivery.attempt == 0
        crawler = crawl.crawler(inbox=BatchInbox([delivery]), stint=Stint(crawl.clock.now() + 1.5))
        await crawler.run()
        counts = await crawl.counts()
        assert counts.fetched == len(crawl.fetcher.asked)
        invocations += 1
    assert invocations > 1
    assert crawl.item_urls() == urls
    assert len(crawl.fetcher.asked) == 100


async def test_a_deadline_that_has_passed_starts_nothing() -> None:
    crawl = Crawl(site(5))
    await crawl.seed(START)
    await crawl.invoke(stint=Stint(crawl.clock.now() - 1))
    assert crawl.fetcher.asked == []
    assert (await crawl.engine.queue.depth(crawl.layout.topic)).ready == 1
    await crawl.counts()


# Several crawlers.


def _odd_and_even(crawl: Crawl, engines: Sequence[MemoryEngine]) -> list[Crawler]:
    def owner(part: int) -> Any:
        return lambda index: index % 2 == part

    return [crawl.crawler(engine, owns=owner(part)) for part, engine in enumerate(engines)]


async def test_two_crawlers_crawl_a_spread_host_exactly_once() -> None:
    crawl = Crawl(site(400, latency_s=0.001), shards=8, spread=2)
    await crawl.seed(START)
    engines = [crawl.open(), crawl.open()]
    crawlers = _odd_and_even(crawl, engines)
    await crawl.run(*crawlers)
    counts = await crawl.counts()
    assert crawl.item_urls() == urls_of(400)
    assert len(crawl.fetcher.asked) == 400
    assert (counts.discovered, counts.fetched) == (400, 400)
    shares = [sum(c.fetched for c in crawler.shard_counts().values()) for crawler in crawlers]
    assert min(shares) > 100


@pytest.mark.parametrize("spread", [2, 3])
async def test_two_crawlers_share_the_rate_of_a_spread_host(spread: int) -> None:
    settings = replace(FEW, pace=Pace(per_host=4, concurrency=16, adaptive=False))
    crawl = Crawl(site(200, latency_s=0.005), shards=8, spread=spread, settings=settings)
    await crawl.seed(START)
    await crawl.run(*_odd_and_even(crawl, [crawl.open(), crawl.open()]))
    assert crawl.item_urls() == urls_of(200)
    assert crawl.fetcher.most_at_once["a.test"] <= 4


async def test_what_two_crawlers_began_one_can_finish() -> None:
    crawl = Crawl(site(300, latency_s=0.002), shards=8, spread=2)
    await crawl.seed(START)
    engines = [crawl.open(), crawl.open()]
    await crawl.run(*_odd_and_even(crawl, engines), until=lambda: len(crawl.fetcher.asked) > 60)
    for engine in engines:
        await engine.aclose()
    await crawl.counts()
    await crawl.run()
    assert crawl.item_urls() == urls_of(300)
    assert len(crawl.fetcher.asked) == 300


async def test_one_of_two_crawlers_may_die_and_another_takes_its_shards() -> None:
    crawl = Crawl(site(300, latency_s=0.002), shards=8, spread=2)
    await crawl.seed(START)
    engines = [crawl.open(), crawl.open()]
    one, other = _odd_and_even(crawl, engines)
    dying = asyncio.create_task(other.run())
    going = asyncio.create_task(one.run())
    await crawl.fetcher.until_asked(80)
    dying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await dying
    await engines[1].aclose()
    heir = _odd_and_even(crawl, [engines[0], crawl.open()])[1]
    await crawl.run(heir, until=lambda: len(set(crawl.fetcher.urls())) == 300 and one.quiet and heir.quiet)
    one.stop()
    await going
    await crawl.run()
    assert crawl.item_urls() == urls_of(300)
    assert (await crawl.counts()).fetched == 300


async def _admit_only(crawl: Crawl) -> None:
    """Have what is offered published once more, as where a consumer of the offer died."""
    await crawl.run(crawl.crawler(inbox=BatchInbox([replace(one, attempt=1) for one in await crawl.batch()])))


async def test_a_message_of_which_consumers_died_time_after_time_is_tried_one_request_at_a_time() -> None:
    crawl = Crawl(site(40))
    await crawl.seed(*urls_of(40)[:10])
    await _admit_only(crawl)
    batch = [replace(delivery, attempt=APART_AFTER) for delivery in await crawl.batch()]
    assert len(batch) == 1
    crawler = crawl.crawler(inbox=BatchInbox(batch))
    await crawl.run(crawler)
    assert crawler.counted().fetched == 0
    singles = await crawl.engine.queue.depth(crawl.layout.topic)
    assert (singles.messages, singles.weight) == (10, 10)
    assert (await crawl.counts()).waiting == 10
    alone = [replace(delivery, attempt=APART_AFTER) for delivery in await crawl.batch(1)]
    await crawl.run(crawl.crawler(inbox=BatchInbox(alone)))
    assert (await crawl.counts()).fetched == 1
    await crawl.run()
    counts = await crawl.counts()
    assert crawl.item_urls() == urls_of(40)
    assert (counts.fetched, counts.discovered, counts.waiting) == (40, 40, 0)


async def test_what_has_ended_of_a_message_is_not_tried_again_when_it_is_taken_apart() -> None:
    crawl = Crawl(site(10, latency_s=1.0), settings=replace(FEW, pace=Pace(concurrency=2, adaptive=False)))
    await crawl.seed(*urls_of(10))
    await _admit_only(crawl)
    crawler = crawl.crawler(inbox=BatchInbox(await crawl.batch()))
    await crawl.run(crawler, until=lambda: crawler.counted().fetched >= 3)
    done = crawler.counted().fetched
    assert 3 <= done < 10
    batch = [replace(delivery, attempt=APART_AFTER) for delivery in await crawl.batch()]
    await crawl.run(crawl.crawler(inbox=BatchInbox(batch)))
    assert (await crawl.engine.queue.depth(crawl.layout.topic)).messages == 10 - done
    await crawl.run()
    assert crawl.item_urls() == urls_of(10)
