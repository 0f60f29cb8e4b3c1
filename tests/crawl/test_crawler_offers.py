"""What is offered to a shard: it decides what is new, and works on that in the message that brought it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from support.crawling import Crawl
from support.pages import Page, Pages

from airless.core.ports import Commit, Delivery
from airless.crawl.inbox import BatchInbox
from airless.crawl.intake import APART_AFTER
from airless.crawl.outgoing import BATCH_REQUESTS
from airless.crawl.records import progress_of, read_document
from airless.crawl.request import Request
from airless.crawl.settings import Pace, Settings

ONE_BY_ONE = Settings(obey_robots=False, pace=Pace(concurrency=1, adaptive=False))


def numbered(*numbers: int) -> list[str]:
    return [f"http://a.test/{number}" for number in numbers]


def leaves(latency_s: float = 0.0) -> Pages:
    return Pages(lambda request: Page(latency_s=latency_s))


async def cut_short(crawl: Crawl, fetched: int) -> list[Delivery]:
    """Work on all that is there until so many pages are fetched; what is handed back, leased again."""
    crawler = crawl.crawler(inbox=BatchInbox(await crawl.batch()))
    await crawl.run(crawler, until=lambda: crawler.counted().fetched >= fetched)
    return await crawl.batch()


async def work_on(crawl: Crawl, batch: Iterable[Delivery]) -> None:
    await crawl.run(crawl.crawler(inbox=BatchInbox(list(batch))))


def progress(crawl: Crawl) -> dict[str, Any]:
    """Of the messages in flight, as the states have it."""
    return {
        id: each
        for key, (_, data) in crawl.store.states.items()
        if key.startswith(crawl.layout.shard_prefix)
        for id, each in progress_of(read_document(data)).items()
    }


async def test_what_is_new_of_an_offer_is_worked_on_at_once() -> None:
    crawl = Crawl(leaves())
    await crawl.seed(*numbered(1, 2, 3))
    await crawl.invoke()
    await crawl.seed(*numbered(4, 2, 5, 3, 6))
    await crawl.invoke()
    assert (await crawl.engine.queue.depth(crawl.layout.topic)).messages == 0
    assert crawl.item_urls() == numbered(1, 2, 3, 4, 5, 6)
    assert sorted(crawl.fetcher.urls()) == numbered(1, 2, 3, 4, 5, 6)
    counts = await crawl.counts()
    assert (counts.discovered, counts.fetched, counts.waiting, counts.seeds) == (6, 6, 0, 6)
    assert progress(crawl) == {}


async def test_an_offer_of_which_all_is_known_ends_at_once() -> None:
    crawl = Crawl(leaves())
    for _ in range(2):
        await crawl.seed(*numbered(1, 2))
        await crawl.invoke()
    assert (await crawl.engine.queue.depth(crawl.layout.topic)).messages == 0
    assert len(crawl.fetcher.asked) == 2
    assert (await crawl.counts()).discovered == 2


@pytest.mark.parametrize("at_hand", [True, False], ids=["its shard at hand", "its shard to be read"])
async def test_an_offer_that_was_cut_short_goes_on_where_it_was(at_hand: bool) -> None:
    crawl = Crawl(leaves(latency_s=0.05), settings=ONE_BY_ONE)
    await crawl.seed(*numbered(1, 3))
    await crawl.invoke()
    await crawl.seed(*numbered(1, 2, 3, 4, 5, 6))
    batch = await cut_short(crawl, 1)
    counts = await crawl.counts()  # what is left weighs nothing in the queue, and waits
    done = counts.fetched
    assert 3 <= done < 6
    assert (counts.discovered, counts.waiting) == (6, 6 - done)
    (begun,) = progress(crawl).values()
    assert (begun.total, begun.done.bit_count(), begun.admitted) == (6, done, True)
    assert [delivery.attempt for delivery in batch] == [0]
    if at_hand:
        # Another offer has the shard read before, and knows all of this one's links.
        await crawl.seed(*numbered(1, 3))
        batch = [*await crawl.batch(), *batch]
    await work_on(crawl, batch)
    assert sorted(crawl.fetcher.urls()) == numbered(1, 2, 3, 4, 5, 6)
    assert (await crawl.counts()).fetched == 6
    assert progress(crawl) == {}


async def test_an_offer_whose_consumer_died_goes_on_where_it_was_committed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    crawl = Crawl(leaves(latency_s=0.05), settings=ONE_BY_ONE)
    await crawl.seed(*numbered(1, 2, 3, 4, 5, 6, 7, 8))
    batch = await crawl.batch()
    engine, committed = crawl.open(), asyncio.Event()
    commits = engine.commit

    async def commit(commit: Commit) -> tuple[str, ...]:
        versions = await commits(commit)
        committed.set()
        return versions

    monkeypatch.setattr(engine, "commit", commit)
    task = asyncio.create_task(crawl.crawler(engine, inbox=BatchInbox(batch)).run())
    await committed.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await engine.aclose()
    (before,) = progress(crawl).values()
    assert (before.total, before.admitted) == (8, True)
    await crawl.counts()
    asked = len(crawl.fetcher.asked)
    await work_on(crawl, [replace(delivery, attempt=1) for delivery in batch])
    assert crawl.item_urls() == numbered(1, 2, 3, 4, 5, 6, 7, 8)
    assert len(crawl.fetcher.asked) == asked + 8 - before.done.bit_count()
    assert (await crawl.counts()).fetched == 8


async def test_an_offer_whose_consumer_died_before_a_commit_is_begun_by_nobody_at_once() -> None:
    """Whatever killed it may be in there: it is published once more, and counts its own tries."""
    crawl = Crawl(leaves())
    await crawl.seed(*numbered(1, 2))
    await work_on(crawl, [replace(delivery, attempt=1) for delivery in await crawl.batch()])
    assert crawl.fetcher.asked == []
    depth = await crawl.engine.queue.depth(crawl.layout.topic)
    assert (depth.messages, depth.weight) == (1, 2)
    await crawl.run()
    assert crawl.item_urls() == numbered(1, 2)


async def test_what_is_left_of_an_offer_is_taken_apart_where_consumers_die_of_it() -> None:
    crawl = Crawl(leaves(latency_s=0.05), settings=ONE_BY_ONE)
    await crawl.seed(*numbered(1, 2, 3, 4, 5))
    batch = await cut_short(crawl, 2)
    left = (await crawl.counts()).waiting
    await work_on(crawl, [replace(delivery, attempt=APART_AFTER) for delivery in batch])
    depth = await crawl.engine.queue.depth(crawl.layout.topic)
    assert (depth.messages, depth.weight) == (left, left)
    await crawl.counts()
    await crawl.run()
    assert crawl.item_urls() == numbered(1, 2, 3, 4, 5)
    assert len(crawl.fetcher.asked) == 5


async def test_an_offer_of_several_priorities_is_published_by_priority() -> None:
    crawl = Crawl(leaves())
    first, second = (Request(url, priority=n) for n, url in enumerate(numbered(1, 2)))
    await crawl.seed(first, second)
    await crawl.invoke()
    assert crawl.fetcher.asked == []
    depth = await crawl.engine.queue.depth(crawl.layout.topic)
    assert (depth.messages, depth.weight) == (2, 2)
    await crawl.run()
    assert crawl.item_urls() == numbered(1, 2)


async def test_an_offer_of_more_than_a_message_s_worth_is_published_in_parts() -> None:
    crawl = Crawl(leaves())
    urls = numbered(*range(BATCH_REQUESTS + 1))
    await crawl.seed(*urls)
    await crawl.invoke()
    assert crawl.fetcher.asked == []
    depth = await crawl.engine.queue.depth(crawl.layout.topic)
    assert (depth.messages, depth.weight) == (2, BATCH_REQUESTS + 1)
    await crawl.run()
    assert crawl.item_urls() == sorted(urls)
