"""Beginnings that were cut off, at any moment: they go on, and each seed is fetched once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.functions import Fleet
from support.mortal import Died, mortal
from support.web import Web, linking

from airless.core.errors import ConfigError
from airless.crawl import seeding
from airless.crawl.job import Job
from airless.crawl.orders import orders_of
from airless.crawl.request import Request
from airless.crawl.response import Response
from airless.crawl.settings import Http, Limits, Settings
from airless.crawl.spider import Spider
from airless.fleet.begin import begin, seeded
from airless.fleet.control import pause, resume
from airless.fleet.failures import retry
from airless.fleet.standing import standing_of

SEEDS = 50
SETTINGS = Settings(http=Http(allow_private=True), obey_robots=False, limits=Limits(pages=1_000))


class Many(Spider):
    """Starts with many pages of one host."""

    origin = ""
    allowed_domains = ("*",)

    async def start(self) -> AsyncIterator[Request]:
        for number in range(SEEDS):
            yield Request(f"{Many.origin}/{number}")

    async def parse(self, response: Response) -> AsyncIterator[Any]:
        yield {"url": response.url}


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seeding, "_FIRST_BATCH", 20)
    monkeypatch.setattr(seeding, "_LARGEST_BATCH", 20)


@pytest.fixture
def web() -> Any:
    with Web({f"/{n}": linking() for n in range(SEEDS)}) as server:
        Many.origin = server.url("")
        yield server


def job() -> Job:
    return Job("job", f"{__name__}:Many", (), SETTINGS, private_hosts=frozenset({"127.0.0.1"}), shards=4)


async def cut_off(fleet: Fleet, writes: int) -> bool:
    """Begin it on an engine that dies after so many writes; whether it died."""
    try:
        await begin(mortal(fleet.engine(), writes), job(), fleet.clock, pages=1_000)
    except Died:
        return True
    return False


async def crawled(fleet: Fleet) -> None:
    host = fleet.process()
    async with asyncio.timeout(30):
        await fleet.run(host)
    await host.aclose()


async def check(fleet: Fleet, web: Web) -> None:
    await crawled(fleet)
    assert web.paths() == sorted(f"/{n}" for n in range(SEEDS))
    standing = await standing_of(fleet.engine(), "job", fleet.clock)
    assert (standing.status, standing.seeded, standing.counts.fetched) == ("finished", True, SEEDS)
    assert fleet.counts().seeds == SEEDS


@pytest.mark.parametrize("again", ["resume", "begin", "pause, then resume"])
async def test_a_beginning_that_was_cut_off_anywhere_goes_on(web: Web, again: str) -> None:
    writes = 1  # before the first of them there is no crawl
    while await cut_off(fleet := Fleet(), writes):
        web.asked.clear()
        if writes > 3:
            # Somebody works on what is out already.
            await crawled(fleet)
            assert (await standing_of(fleet.engine(), "job", fleet.clock)).status != "finished"
        if again == "begin":
            await begin(fleet.engine(), job(), fleet.clock, pages=1_000)
        else:
            if again != "resume":
                await pause(fleet.engine(), "job", fleet.clock)
            await resume(fleet.engine(), "job", fleet.clock)
        assert (await orders_of(fleet.engine(), fleet.layout)).most_pages == 1_000
        await check(fleet, web)
        writes += 1
    # The job, its record, its orders, and of each of three batches the record and the messages.
    assert writes == 9


async def test_several_who_begin_a_crawl_at_once_publish_each_seed_once(web: Web) -> None:
    fleet = Fleet()
    await asyncio.gather(*(begin(fleet.engine(), job(), fleet.clock) for _ in range(3)))
    await check(fleet, web)


async def test_what_is_published_already_is_not_published_again(web: Web) -> None:
    fleet = Fleet()
    await begin(fleet.engine(), job(), fleet.clock)
    await crawled(fleet)
    record, _ = await seeded(fleet.engine(), job(), fleet.clock)
    assert (record.seeded, record.all_seeded) == (SEEDS, True)
    await check(fleet, web)


async def test_only_its_spider_knows_the_other_seeds(web: Web) -> None:
    fleet = Fleet()
    assert await cut_off(fleet, 5)
    with pytest.raises(ConfigError, match="airless resume goes on with it"):
        await retry(fleet.engine(), "job", fleet.clock)
    key = fleet.layout.job_key
    version, data = fleet.store.states[key]
    fleet.store.states[key] = version, data.replace(b":Many", b":Gone")
    before = await orders_of(fleet.engine(), fleet.layout)
    with pytest.raises(ConfigError, match=r"only its spider knows .* no 'Gone'"):
        await resume(fleet.engine(), "job", fleet.clock)
    assert await orders_of(fleet.engine(), fleet.layout) == before
