"""Crawls that are paused, resumed and cancelled, by whomever and whenever: every page once, and nothing lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from support.functions import Fleet
from support.web import Web, star

from airless.core.errors import ConfigError
from airless.core.ports import Delivery, Depth
from airless.crawl.job import Job
from airless.crawl.orders import order, orders_of, parked
from airless.crawl.settings import Http, Settings
from airless.fleet.begin import begin, begin_called
from airless.fleet.control import cancel, pause, resume, still
from airless.fleet.standing import Standing, jobs, standing_of
from airless.functions.crawl import Terms

PAGES = 80
QUICKLY = Terms(commit_s=0.1, rarest_commit_s=0.2, look_s=0.05)


@pytest.fixture
def web() -> Any:
    pages = {
        f"/{n}": "".join(f'<a href="/{m}">x</a>' for m in (n * 2 + 1, n * 2 + 2) if m < PAGES)
        for n in range(PAGES)
    }
    with Web(dict(pages), delay_s=0.02) as server:
        yield server


def job(web: Web, path: str = "/0", **settings: Any) -> Job:
    made = replace(Settings(), http=Http(allow_private=True), obey_robots=False, **settings)
    return Job("job", "support.crawling:LinkSpider", (web.url(path),), made, shards=4)


async def until(fleet: Fleet, wanted: Callable[[Standing], bool]) -> Standing:
    async with asyncio.timeout(40):
        while True:
            standing = await standing_of(fleet.engine(), "job", fleet.clock)
            if wanted(standing):
                return standing
            await asyncio.sleep(0.02)


async def depth_is(fleet: Fleet, wanted: Callable[[Depth], bool]) -> None:
    async with asyncio.timeout(20):
        while True:
            if wanted(await fleet.depth()):
                return
            await asyncio.sleep(0.02)


def finished(standing: Standing) -> bool:
    return standing.status == "finished"


def every_page_once(fleet: Fleet, web: Web) -> bool:
    return fleet.item_urls() == sorted(web.url(f"/{n}") for n in range(PAGES)) and web.paths() == sorted(
        f"/{n}" for n in range(PAGES)
    )


async def test_a_paused_crawl_stands_still_costs_nothing_and_goes_on_to_its_end(web: Web) -> None:
    fleet = Fleet(terms=QUICKLY)
    await begin(fleet.engine(), job(web), fleet.clock)
    assert (await standing_of(fleet.engine(), "job", fleet.clock)).status == "waiting"
    async with fleet.at_work(2):
        await until(fleet, lambda standing: standing.counts.fetched > 10)
        await pause(fleet.engine(), "job", fleet.clock)
        async with asyncio.timeout(20):
            paused = await still(fleet.engine(), "job", fleet.clock)
        assert (paused.status, paused.still, paused.parked) == ("paused", True, paused.left)
        assert 0 < paused.counts.fetched < PAGES
        asked = len(web.requests())
        assert (await fleet.depth()).messages == 0
        await asyncio.sleep(0.3)
        assert len(web.requests()) == asked
        going_on = await resume(fleet.engine(), "job", fleet.clock)
        assert going_on.status == "running"
        await until(fleet, finished)
    assert every_page_once(fleet, web)
    assert await parked(fleet.engine(), fleet.layout) == 0


async def test_what_waits_for_its_time_is_laid_aside_when_that_has_come(web: Web) -> None:
    web.pages["/0"] = 503
    fleet = Fleet(terms=QUICKLY)
    retried = job(web, retry=replace(Settings().retry, base_s=3.0, cap_s=3.0, max_attempts=99))
    await begin(fleet.engine(), retried, fleet.clock)
    async with fleet.at_work():
        await asyncio.to_thread(web.wait_for, 1)
        await depth_is(fleet, lambda depth: depth.delayed == 1)
        pausing = await pause(fleet.engine(), "job", fleet.clock)
        assert (pausing.status, pausing.still, pausing.left) == ("paused", False, 1)
        async with asyncio.timeout(20):
            paused = await still(fleet.engine(), "job", fleet.clock)
        assert (paused.parked, (await fleet.depth()).messages) == (1, 0)
        web.pages["/0"] = ""
        await resume(fleet.engine(), "job", fleet.clock)
        await until(fleet, finished)
    assert fleet.item_urls() == [web.url("/0")]


async def test_a_cancelled_crawl_keeps_its_items_and_nothing_else(web: Web) -> None:
    fleet = Fleet(terms=QUICKLY)
    await begin(fleet.engine(), job(web), fleet.clock)
    async with fleet.at_work(2):
        await until(fleet, lambda standing: standing.counts.fetched > 10)
        assert (await cancel(fleet.engine(), "job", fleet.clock)).status == "cancelled"
        await depth_is(fleet, lambda depth: not depth.messages)
    fetched = fleet.counts().fetched
    assert 10 < fetched == len(fleet.item_urls()) < PAGES
    assert await parked(fleet.engine(), fleet.layout) == 0
    assert (await cancel(fleet.engine(), "job", fleet.clock)).counts.fetched == fetched
    for change in (pause, resume):
        with pytest.raises(ConfigError, match="was cancelled"):
            await change(fleet.engine(), "job", fleet.clock)
    with pytest.raises(ConfigError, match="was cancelled"):
        await begin(fleet.engine(), job(web), fleet.clock)


async def test_the_accounts_of_a_cancelled_crawl_are_final_when_nobody_can_work_on_it(web: Web) -> None:
    fleet = Fleet(terms=QUICKLY)
    await begin(fleet.engine(), job(web), fleet.clock)
    async with fleet.at_work():
        await until(fleet, lambda standing: standing.counts.fetched > 5)
        await pause(fleet.engine(), "job", fleet.clock)
        await still(fleet.engine(), "job", fleet.clock)
    cancelled = await cancel(fleet.engine(), "job", fleet.clock)
    assert (cancelled.status, cancelled.still) == ("cancelled", True)
    fleet.loads.clear()
    assert (await standing_of(fleet.engine(), "job", fleet.clock)).counts.fetched == cancelled.counts.fetched
    assert not [key for key in fleet.loads if "/shard/" in key]


@pytest.mark.parametrize("change", [pause, resume, cancel])
async def test_a_crawl_that_has_finished_is_what_it_was(
    web: Web, change: Callable[..., Awaitable[Standing]]
) -> None:
    fleet = Fleet(terms=QUICKLY)
    await begin(fleet.engine(), job(web, "/70"), fleet.clock)
    async with fleet.at_work():
        await depth_is(fleet, lambda depth: not depth.messages and fleet.counts().fetched > 0)
        # Nobody has looked since, so that nobody has found out.
        assert (await change(fleet.engine(), "job", fleet.clock)).status == "finished"
    assert (await orders_of(fleet.engine(), fleet.layout)).stop is None


async def test_a_pause_that_comes_while_it_finishes_leaves_it_finished_or_paused(web: Web) -> None:
    fleet = Fleet(terms=QUICKLY)
    await begin(fleet.engine(), job(web), fleet.clock)
    async with fleet.at_work(2):
        await until(fleet, lambda standing: standing.counts.fetched > PAGES - 12)
        await pause(fleet.engine(), "job", fleet.clock)
        async with asyncio.timeout(20):
            standing = await still(fleet.engine(), "job", fleet.clock)
        assert standing.status in {"paused", "finished"}
        await resume(fleet.engine(), "job", fleet.clock)
        await until(fleet, finished)
    assert every_page_once(fleet, web)


async def test_many_who_pause_and_resume_it_all_the_time_lose_nothing(web: Web) -> None:
    fleet = Fleet(terms=QUICKLY)
    await begin(fleet.engine(), job(web), fleet.clock)

    async def meddle(seed: int) -> None:
        for turn in range(12):
            await (pause if (turn + seed) % 2 else resume)(fleet.engine(), "job", fleet.clock)
            await asyncio.sleep(0.03 * (1 + (7 * turn + 3 * seed) % 5))

    async with fleet.at_work(3), asyncio.timeout(60):
        await asyncio.gather(*(meddle(seed) for seed in range(3)))
        await resume(fleet.engine(), "job", fleet.clock)
        await until(fleet, finished)
    # Doubles may be laid aside yet, where the last page came before the last order.
    assert every_page_once(fleet, web)


@pytest.mark.parametrize("change", [resume, cancel])
async def test_what_is_parked_while_the_order_changes_is_worked_on_or_dropped(
    web: Web, change: Callable[..., Awaitable[Standing]]
) -> None:
    """Who looked at the orders just before they changed parks just after."""
    fleet = Fleet(terms=QUICKLY)
    await begin(fleet.engine(), job(web), fleet.clock)
    await pause(fleet.engine(), "job", fleet.clock)
    host = fleet.process()
    engine = await host.engine()
    put = engine.objects.put

    async def late(name: str, data: bytes) -> None:
        if name.startswith("parked/"):
            await change(fleet.engine(), "job", fleet.clock)
        await put(name, data)

    engine.objects.put = late  # type: ignore[method-assign]
    deliveries: list[Delivery] = await fleet.receive()
    ends = await fleet.invoke(host, deliveries)
    engine.objects.put = put  # type: ignore[method-assign]
    assert set(ends.ended) == {delivery.receipt for delivery in deliveries}
    assert await parked(fleet.engine(), fleet.layout) == 0
    if change is resume:
        await fleet.run(host)
        assert every_page_once(fleet, web)
    else:
        assert web.requests() == []
    await host.aclose()


async def test_limits_are_kept_over_a_pause_and_can_be_raised(web: Web) -> None:
    fleet = Fleet(terms=QUICKLY)
    await begin(fleet.engine(), job(web), fleet.clock, pages=20)
    async with fleet.at_work():
        await until(fleet, lambda standing: standing.counts.fetched > 5)
        await pause(fleet.engine(), "job", fleet.clock)
        await still(fleet.engine(), "job", fleet.clock)
        await resume(fleet.engine(), "job", fleet.clock)
        limited = await until(fleet, lambda standing: standing.still)
        assert (limited.status, limited.reason, limited.counts.fetched) == ("limited", "max_pages", 20)
        # It stands still already.
        assert (await pause(fleet.engine(), "job", fleet.clock)).status == "limited"
        with pytest.raises(ConfigError, match="higher --max-pages"):
            await resume(fleet.engine(), "job", fleet.clock)
        await resume(fleet.engine(), "job", fleet.clock, pages=30)
        limited = await until(fleet, lambda standing: standing.still)
        assert limited.counts.fetched == 30
        await resume(fleet.engine(), "job", fleet.clock, pages=1_000)
        await until(fleet, finished)
    assert every_page_once(fleet, web)


async def test_workers_stop_at_the_deadline_though_nobody_follows(web: Web) -> None:
    web.delay_s = 0.2
    fleet = Fleet(terms=QUICKLY)
    await begin(fleet.engine(), job(web), fleet.clock, time_s=1.0)
    async with fleet.at_work():
        limited = await until(fleet, lambda standing: standing.still)
        assert (limited.status, limited.reason) == ("limited", "max_time")
        assert 0 < limited.counts.fetched < PAGES
        with pytest.raises(ConfigError, match="--max-time"):
            await resume(fleet.engine(), "job", fleet.clock)
        web.delay_s = 0.0
        await resume(fleet.engine(), "job", fleet.clock, time_s=60.0)
        await until(fleet, finished)
    assert every_page_once(fleet, web)


async def test_of_the_time_of_a_paused_crawl_is_left_what_was_left(web: Web) -> None:
    fleet = Fleet()
    await begin(fleet.engine(), job(web), fleet.clock, time_s=100.0)
    await pause(fleet.engine(), "job", fleet.clock)
    paused = await orders_of(fleet.engine(), fleet.layout)
    assert paused.until_s is None
    await order(fleet.engine(), fleet.layout, lambda standing: replace(standing, left_s=50.0))
    now_s = fleet.clock.now()
    await resume(fleet.engine(), "job", fleet.clock)
    resumed = await orders_of(fleet.engine(), fleet.layout)
    assert resumed.until_s == pytest.approx(now_s + 50, abs=5)
    assert resumed.left_s is None


async def test_a_double_of_a_call_resumes_nothing(web: Web) -> None:
    from airless.core.message import Message

    fleet = Fleet()
    call = Message(
        "frontier", {"spider": "support.crawling:LinkSpider", "seeds": [web.url("/0")], "job": "job"}
    )
    await begin_called(fleet.engine(), call, fleet.clock)
    await pause(fleet.engine(), "job", fleet.clock)
    await begin_called(fleet.engine(), call, fleet.clock)
    assert (await orders_of(fleet.engine(), fleet.layout)).stop == "paused"


async def test_crawls_are_found_by_name_and_nothing_else_is(web: Web) -> None:
    fleet = Fleet()
    assert [name async for name in jobs(fleet.engine())] == []
    await begin(fleet.engine(), job(web), fleet.clock)
    await begin(fleet.engine(), replace(job(web), name="another"), fleet.clock)
    assert [name async for name in jobs(fleet.engine())] == ["another", "job"]
    for change in (standing_of, pause, resume, cancel):
        with pytest.raises(ConfigError, match="there is no job 'nothing'"):
            await change(fleet.engine(), "nothing", fleet.clock)


async def test_the_end_of_a_crawl_that_nobody_followed_is_written_down_once(web: Web) -> None:
    pages = star(5)
    with Web(pages) as site:
        fleet = Fleet()
        await begin(fleet.engine(), job(site, "/"), fleet.clock)
        async with fleet.at_work():
            ended = await until(fleet, finished)
        assert (ended.counts.fetched, ended.left, ended.still) == (6, 0, True)
        assert ended.started_s <= ended.ended_s <= fleet.clock.now()
        fleet.loads.clear()
        again = await standing_of(fleet.engine(), "job", fleet.clock)
        assert again.to_dict() == ended.to_dict()
        assert fleet.loads == ["crawl/job/run"]
