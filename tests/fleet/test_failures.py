"""Pages that failed for good: kept with their reason, tried again on demand, and each of them once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from support.crawling import FastClock
from support.functions import Fleet
from support.mortal import Died, mortal
from support.web import Page, Web, star
from support.workers import at_work, nothing_waits, until, worker

from airless.core.clock import SystemClock
from airless.core.errors import ConfigError
from airless.core.message import Message
from airless.crawl import failed as kept
from airless.crawl.job import Job
from airless.crawl.ledger import Ledger
from airless.crawl.response import Response
from airless.crawl.settings import Http, Limits, Retry, Settings
from airless.crawl.spider import Spider
from airless.fleet.begin import begin
from airless.fleet.control import cancel, pause, resume
from airless.fleet.failures import failures, retry
from airless.fleet.follow import Follower
from airless.fleet.standing import standing_of
from airless.local.crawl.run import Control

SETTINGS = Settings(http=Http(allow_private=True), obey_robots=False, retry=Retry(base_s=0.0, max_attempts=2))
PAGES = star(30)
BROKEN = {"/0": 500, "/20": 500} | {f"/{n}": 404 for n in range(1, 20, 2)}


class Fallible(Spider):
    """A spider with a fault that can be mended."""

    broken = True

    async def parse(self, response: Response) -> AsyncIterator[Any]:
        if Fallible.broken:
            raise ValueError("not today")
        yield {"url": response.url}


@pytest.fixture
def web() -> Any:
    pages: dict[str, Page] = {**PAGES, **BROKEN}
    with Web(pages) as server:
        yield server


async def crawled(fleet: Fleet, web: Web, settings: Settings = SETTINGS, **changes: Any) -> None:
    job = Job("job", "support.crawling:LinkSpider", (web.url(),), settings, shards=4)
    await begin(fleet.engine(), replace(job, **changes), fleet.clock)
    await run(fleet)


async def run(fleet: Fleet) -> None:
    host = fleet.process()
    async with asyncio.timeout(40):
        await fleet.run(host)
    await host.aclose()


async def failed(fleet: Fleet) -> dict[str, str]:
    """The paths of what has failed, with the reasons."""
    found = [one async for one in failures(fleet.engine(), fleet.layout)]
    told = {"/" + one.request.url.rpartition("/")[2]: one.reason for one in found}
    assert len(told) == len(found) == fleet.counts().failed
    return told


def heal(web: Web) -> None:
    web.pages.update(PAGES)
    web.asked.clear()


async def test_what_failed_is_tried_again_when_the_site_has_healed(web: Web) -> None:
    fleet = Fleet(clock=FastClock())
    await crawled(fleet, web)
    before = await standing_of(fleet.engine(), "job", fleet.clock)
    assert (before.status, before.counts.failed) == ("finished", 12)
    assert await failed(fleet) == {path: f"http_{status}" for path, status in BROKEN.items()}
    heal(web)
    retried = await retry(fleet.engine(), "job", fleet.clock)
    assert (retried.pages, retried.standing.status) == ({"http_404": 10, "http_500": 2}, "running")
    await run(fleet)
    assert web.paths() == sorted(BROKEN)
    after = await standing_of(fleet.engine(), "job", fleet.clock)
    assert (after.status, after.counts.fetched, after.counts.failed) == ("finished", 31, 0)
    assert (after.counts.waiting, after.counts.discovered) == (0, before.counts.discovered)
    assert after.counts.failures == {}
    assert fleet.item_urls() == sorted(web.url(path) for path in PAGES)
    assert await failed(fleet) == {}
    assert (await retry(fleet.engine(), "job", fleet.clock)).pages == {}
    assert (await standing_of(fleet.engine(), "job", fleet.clock)).status == "finished"


async def test_what_fails_again_can_be_tried_once_more(web: Web) -> None:
    fleet = Fleet(clock=FastClock())
    await crawled(fleet, web)
    web.asked.clear()
    for _ in range(2):
        await retry(fleet.engine(), "job", fleet.clock)
        await run(fleet)
    # Two tries at what the server answered with a fault, each time.
    assert web.paths() == sorted(
        path for path, status in BROKEN.items() for _ in range(4 if status == 500 else 2)
    )
    assert await failed(fleet) == {path: f"http_{status}" for path, status in BROKEN.items()}
    assert fleet.counts().waiting == 0


async def test_what_failed_for_one_reason_alone_is_tried_again(web: Web) -> None:
    fleet = Fleet(clock=FastClock())
    await crawled(fleet, web)
    heal(web)
    assert (await retry(fleet.engine(), "job", fleet.clock, ["http_500"])).pages == {"http_500": 2}
    # Before anybody has heard of the first.
    assert (await retry(fleet.engine(), "job", fleet.clock, ["http_599"])).pages == {}
    await run(fleet)
    assert web.paths() == ["/0", "/20"]
    assert await failed(fleet) == {path: "http_404" for path, status in BROKEN.items() if status == 404}


async def test_who_calls_twice_at_once_has_each_page_tried_once(web: Web) -> None:
    fleet = Fleet(clock=FastClock())
    await crawled(fleet, web)
    heal(web)
    both = await asyncio.gather(*(retry(fleet.engine(), "job", fleet.clock) for _ in range(2)))
    assert [sum(one.pages.values()) for one in both] == [12, 12]
    await run(fleet)
    assert web.paths() == sorted(BROKEN)
    assert (await standing_of(fleet.engine(), "job", fleet.clock)).counts.fetched == 31


async def test_the_figures_of_a_worker_only_grow(web: Web) -> None:
    fleet = Fleet(clock=FastClock())
    job = Job("job", "support.crawling:LinkSpider", (web.url(),), SETTINGS, shards=4)
    await begin(fleet.engine(), job, fleet.clock)
    one = worker(fleet)
    async with at_work(one):
        await nothing_waits(fleet)
        await until(lambda: one.standing().done.pages["fetched", ""] == 19)
        assert one.standing().done.pages["failed", "http_404"] == 10
        heal(web)
        await retry(fleet.engine(), "job", fleet.clock)
        await until(lambda: one.standing().done.pages["fetched", ""] == 31)
    assert one.standing().done.pages["failed", "http_404"] == 10
    assert fleet.counts().failed == 0


async def test_a_spider_that_was_mended_gets_its_pages_again(web: Web) -> None:
    fleet = Fleet(clock=FastClock())
    Fallible.broken = True
    await crawled(fleet, web, spider=f"{__name__}:Fallible")
    assert await failed(fleet) == {"/": "spider_error"}
    Fallible.broken = False
    await retry(fleet.engine(), "job", fleet.clock)
    await run(fleet)
    assert fleet.item_urls() == [web.url()]
    counts = fleet.counts()
    assert (counts.seeds, counts.seeds_fetched, counts.failed) == (1, 1, 0)


async def test_many_failures_go_to_segments_which_are_gone_when_they_are_tried_again(
    monkeypatch: pytest.MonkeyPatch, web: Web
) -> None:
    monkeypatch.setattr(kept, "_TAIL_LIMIT", 200)
    monkeypatch.setattr(kept, "AT_A_CALL", 1)
    monkeypatch.setattr("airless.crawl.shards.AT_A_CALL", 1)
    monkeypatch.setattr("airless.fleet.failures.AT_A_CALL", 1)
    fleet = Fleet(clock=FastClock())
    web.pages["/"] = "".join(f'<a href="/{n}">x</a>' for n in range(12))
    for n in range(12):
        web.pages[f"/{n}"] = 404
        web.pages[f"/next{n}"] = f'<a href="/{12 + n}">x</a>'
        web.pages[f"/{12 + n}"] = 404
    await crawled(fleet, web)
    names = fleet_segments(fleet)
    assert names
    assert len(await failed(fleet)) == 12
    # What belongs to nobody is as if it weren't there.
    fleet.store.blobs["failed/job/00000/000000000099-deadbeef"] = b"of who lost a commit"
    heal(web)
    web.pages.update({f"/{n}": "" for n in range(12)})
    await retry(fleet.engine(), "job", fleet.clock)
    await run(fleet)
    assert web.paths() == sorted(f"/{n}" for n in range(12))
    assert fleet_segments(fleet) == []
    assert not [name for name in names if name in fleet.store.blobs]
    assert fleet.counts().waiting == 0


def fleet_segments(fleet: Fleet) -> list[str]:
    return [name for doc in fleet.documents() for name in doc["failed"][0]]


@pytest.mark.parametrize("writes", [0, 1, 2])
async def test_calls_of_who_died_before_they_were_out_are_sent_by_the_next(web: Web, writes: int) -> None:
    """The first write repeats the last seeds, the second decides, and the third would have been the calls'."""
    fleet = Fleet(clock=FastClock())
    await crawled(fleet, web)
    heal(web)
    with pytest.raises(Died):
        await retry(mortal(fleet.engine(), writes), "job", fleet.clock)
    standing = await standing_of(fleet.engine(), "job", fleet.clock)
    assert (standing.status, standing.left) == (("running", 1) if writes == 2 else ("finished", 0))
    await run(fleet)
    assert web.paths() == []
    await retry(fleet.engine(), "job", fleet.clock)
    await run(fleet)
    assert web.paths() == sorted(BROKEN)
    assert (await standing_of(fleet.engine(), "job", fleet.clock)).status == "finished"


async def test_a_shard_that_dies_over_a_call_does_it_once(web: Web) -> None:
    """Its commit was made, and its acknowledgement got lost: the call comes again."""
    fleet = Fleet(clock=FastClock())
    await crawled(fleet, web)
    heal(web)
    await retry(fleet.engine(), "job", fleet.clock)
    # The seeds of the last commit come once more with it, and are known.
    calls = await fleet.receive()
    for _ in range(2):
        host = fleet.process()
        await fleet.invoke(host, calls)
        await host.aclose()
    await run(fleet)
    assert web.paths() == sorted(BROKEN)
    counts = fleet.counts()
    assert (counts.fetched, counts.failed, counts.waiting) == (31, 0, 0)
    assert (await standing_of(fleet.engine(), "job", fleet.clock)).status == "finished"


async def test_what_is_tried_again_waits_while_the_crawl_is_paused(web: Web) -> None:
    fleet = Fleet(clock=FastClock())
    job = Job("job", "support.crawling:LinkSpider", (web.url(),), SETTINGS, shards=4)
    await begin(fleet.engine(), job, fleet.clock)
    host = fleet.process()
    while fleet.counts().failed < 12:
        await fleet.invoke(host, await fleet.receive())
    heal(web)
    await retry(fleet.engine(), "job", fleet.clock)
    await pause(fleet.engine(), "job", fleet.clock)
    await host.aclose()
    await run(fleet)
    assert web.paths() == []
    assert (await standing_of(fleet.engine(), "job", fleet.clock)).status == "paused"
    await resume(fleet.engine(), "job", fleet.clock)
    await run(fleet)
    assert web.paths() == sorted(BROKEN)


async def test_who_follows_a_crawl_hears_of_what_is_tried_again(web: Web) -> None:
    fleet = Fleet(clock=FastClock())
    await crawled(fleet, web)
    engine = fleet.engine()
    job = Job("job", "support.crawling:LinkSpider", (web.url(),), SETTINGS, shards=4)
    begun, record, ledger = await begin(engine, job, SystemClock())
    heal(web)
    await retry(fleet.engine(), "job", fleet.clock)
    follower = Follower(engine, begun, record, ledger, control=Control(), clock=SystemClock())
    async with fleet.at_work(), asyncio.timeout(30):
        result, _ = await follower.run()
    assert (result.status, result.counts.fetched, result.counts.failed) == ("finished", 31, 0)


async def test_the_end_that_somebody_saw_before_is_not_written_over_a_call(web: Web) -> None:
    fleet = Fleet(clock=FastClock())
    await crawled(fleet, web)
    engine = fleet.engine()
    ledger = Ledger(engine, "job")
    amend = Ledger.amend
    called: list[Any] = []

    async def late(self: Ledger, change: Any) -> Any:
        if not called:
            called.append(await retry(fleet.engine(), "job", fleet.clock))
        return await amend(self, change)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Ledger, "amend", late)
        standing = await standing_of(fleet.engine(), "job", fleet.clock)
    assert (standing.status, standing.left) == ("running", 1)
    record = await ledger.look()
    assert record is not None
    assert (record.status, record.counts) == ("running", None)


async def test_there_is_nothing_to_try_again_of_what_is_not_there(web: Web) -> None:
    fleet = Fleet(clock=FastClock())
    with pytest.raises(ConfigError, match="there is no job 'job'"):
        await retry(fleet.engine(), "job", fleet.clock)
    await crawled(fleet, web, replace(SETTINGS, limits=Limits()))
    job = Job("other", "support.crawling:LinkSpider", (web.url(),), SETTINGS, shards=4)
    await begin(fleet.engine(), job, fleet.clock)
    await cancel(fleet.engine(), "other", fleet.clock)
    with pytest.raises(ConfigError, match="was cancelled"):
        await retry(fleet.engine(), "other", fleet.clock)


async def test_a_call_that_makes_no_sense_is_laid_aside(web: Web) -> None:
    fleet = Fleet(clock=FastClock())
    await crawled(fleet, web)
    for id, data in enumerate([{kept.RETRY: "http_500", "shard": 0}, {kept.RETRY: [], "shard": 99}]):
        message = Message(fleet.layout.topic, data, id=f"odd{id}", ordering_key="0", weight=0)
        await fleet.engine().queue.publish_many([message])
    await run(fleet)
    assert sorted(name for name in fleet.store.blobs if name.startswith("dead/")) == [
        "dead/frontier/job/odd0",
        "dead/frontier/job/odd1",
    ]
    assert len(await failed(fleet)) == 12
