"""Following a crawl that functions work on: to its end, to a limit, and on from there."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from support.functions import Fleet
from support.web import Web

from airless.core.clock import SystemClock
from airless.core.errors import ConfigError
from airless.cost.budget import CostBudget
from airless.cost.usage import Usage
from airless.crawl.job import Job
from airless.crawl.settings import Http, Limits, Settings
from airless.fleet.begin import begin
from airless.fleet.follow import Follower
from airless.fleet.items import write_items
from airless.functions.crawl import Terms
from airless.local.crawl.run import Control

PAGES = 120


@pytest.fixture
def web() -> Any:
    pages = {
        f"/{n}": "".join(f'<a href="/{m}">x</a>' for m in (n * 2 + 1, n * 2 + 2) if m < PAGES)
        for n in range(PAGES)
    }
    with Web({path: f"<title>{path}</title>{links}" for path, links in pages.items()}) as server:
        yield server


def job(web: Web) -> Job:
    http = Http(allow_private=True)
    settings = replace(Settings(), http=http, obey_robots=False)
    return Job("job", "support.crawling:LinkSpider", (web.url("/0"),), settings, shards=4)


async def followed(fleet: Fleet, job: Job, limits: Limits = Limits(), **options: Any) -> Any:  # noqa: B008
    engine = fleet.engine()
    async with asyncio.timeout(40):
        begun, record, ledger = await begin(engine, job, SystemClock(), pages=limits.pages)
        follower = Follower(
            engine,
            begun,
            record,
            ledger,
            control=Control(),
            clock=SystemClock(),
            **options,
        )
        return await follower.run()


async def test_a_crawl_is_followed_to_its_end_and_its_items_are_written(web: Web, tmp_path: Path) -> None:
    fleet = Fleet()
    async with fleet.at_work():
        result, accounts = await followed(fleet, job(web))
    assert (result.status, result.waiting, result.adds_up, result.counts.fetched) == (
        "finished",
        0,
        True,
        PAGES,
    )
    await write_items(fleet.engine(), accounts.segments, str(tmp_path / "items.jsonl"))
    lines = (tmp_path / "items.jsonl").read_bytes().splitlines()
    assert sorted(orjson.loads(line)["url"] for line in lines) == sorted(
        web.url(f"/{n}") for n in range(PAGES)
    )
    again, _ = await followed(fleet, job(web))
    assert (again.status, again.counts.fetched) == ("finished", PAGES)


async def test_a_crawl_stands_still_at_its_page_limit_and_goes_on_with_a_higher_one(web: Web) -> None:
    fleet = Fleet(terms=Terms(commit_s=0.1))
    async with fleet.at_work():
        result, _ = await followed(fleet, job(web), Limits(pages=30))
        assert (result.status, result.reason, result.counts.fetched) == ("limited", "max_pages", 30)
        assert result.waiting > 0
        assert (await fleet.depth()).messages == 0
        result, _ = await followed(fleet, job(web), Limits(pages=50))
        assert (result.status, result.counts.fetched) == ("limited", 50)
        result, accounts = await followed(fleet, job(web))
    assert (result.status, result.counts.fetched, accounts.counts.items) == ("finished", PAGES, PAGES)
    assert fleet.item_urls() == sorted(web.url(f"/{n}") for n in range(PAGES))


async def test_a_crawl_stops_when_its_money_is_spent(web: Web) -> None:
    web.delay_s = 0.1
    fleet = Fleet(terms=Terms(commit_s=0.1))
    engine = fleet.engine()
    engine.usage = Usage()
    engine.usage.ask("s3.PutObject", times=1_000)
    fleet.engine = lambda: engine  # type: ignore[method-assign]
    async with fleet.at_work():
        result, _ = await followed(fleet, job(web), budget=CostBudget(0.001))
    assert (result.status, result.reason) == ("limited", "max_cost")
    assert result.counts.fetched < PAGES


async def test_a_name_that_is_another_crawls_is_refused(web: Web) -> None:
    fleet = Fleet()
    await begin(fleet.engine(), job(web), SystemClock())
    with pytest.raises(ConfigError, match="another --job"):
        await begin(fleet.engine(), replace(job(web), seeds=(web.url("/7"),)), SystemClock())


async def test_a_crawl_goes_on_when_nobody_follows_it(web: Web) -> None:
    fleet = Fleet()
    control = Control()
    engine = fleet.engine()
    begun, record, ledger = await begin(engine, job(web), SystemClock())
    follower = Follower(engine, begun, record, ledger, control=control, clock=SystemClock())
    following = asyncio.create_task(follower.run())
    await asyncio.sleep(0.1)
    control.interrupt()
    result, _ = await following
    assert result.status == "running"
    async with fleet.at_work():
        result, _ = await followed(fleet, job(web))
    assert (result.status, result.counts.fetched) == ("finished", PAGES)
