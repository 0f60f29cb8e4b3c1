"""A run goes from its lock to its accounts: interrupted anywhere, it is taken up by the next."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from filelock import FileLock
from support.site import Site
from support.web import Web, chain, linking, star

from airless.core.errors import ConfigError, EngineError, Locked, OutputError
from airless.core.ports import StateWrite
from airless.crawl.ledger import Ledger
from airless.crawl.settings import Limits, Pace, Settings
from airless.engines import open_engine
from airless.local.crawl import Plan, Result, run
from airless.local.crawl.files import process_lock
from airless.local.crawl.run import Control, Progress

SETTINGS = Settings(obey_robots=False)

COUNTING = """
from airless import Request, Spider

class Counting(Spider):
    told = []

    async def parse(self, response):
        yield {"url": response.url}
        yield response.follow_all()

    async def closed(self, reason):
        type(self).told.append(reason)
"""


@pytest.fixture
def site() -> Iterator[Site]:
    with Site(60, delay_s=0.01) as site:
        yield site


def plan(tmp_path: Path, *seeds: str, **options: Any) -> Plan:
    made = Plan(
        seeds=seeds,
        settings=SETTINGS,
        state_dir=tmp_path / "state",
        output=str(tmp_path / "pages.jsonl"),
        job="job",
    )
    return replace(made, **options)


def items(tmp_path: Path) -> list[str]:
    return sorted(orjson.loads(line)["url"] for line in (tmp_path / "pages.jsonl").read_bytes().splitlines())


def limited(**limits: Any) -> Settings:
    return replace(SETTINGS, limits=Limits(**limits))


async def test_a_run_ends_finished_with_accounts_that_add_up(tmp_path: Path, site: Site) -> None:
    seen: list[Progress] = []
    result = await run(plan(tmp_path, site.url), Control(seen.append))
    assert (result.status, result.reason, result.waiting) == ("finished", "finished", 0)
    assert result.adds_up
    assert not result.already
    assert result.counts.fetched == result.counts.items == result.counts.discovered == 60
    assert result.seconds == result.total_seconds > 0
    assert items(tmp_path) == sorted(site.urls())
    fetched = [progress.counts.fetched for progress in seen]
    assert fetched == sorted(fetched)
    assert 0 < max(progress.in_flight for progress in seen) <= SETTINGS.pace.per_host
    assert seen[-1].hosts == 1


async def test_a_run_that_is_interrupted_is_resumed_by_the_next(tmp_path: Path, site: Site) -> None:
    def stop_soon(progress: Progress) -> None:
        if progress.counts.fetched >= 10:
            control.interrupt()

    control = Control(stop_soon)
    first = await run(plan(tmp_path, site.url), control)
    assert control.interrupted
    assert (first.status, first.reason) == ("interrupted", "interrupted")
    assert 10 <= first.counts.fetched < 60
    assert first.waiting > 0
    resumed: list[str] = []
    control = Control()
    control.resumed = lambda record: resumed.append(record.status)
    second = await run(plan(tmp_path, site.url), control)
    assert resumed == ["interrupted"]
    assert second.before.fetched == first.counts.fetched
    assert second.counts.fetched == 60
    assert second.total_seconds > second.seconds
    assert items(tmp_path) == sorted(site.urls())
    assert set(site.asked.values()) == {1}


async def test_a_run_that_is_interrupted_before_it_begins_fetches_nothing(tmp_path: Path, site: Site) -> None:
    control = Control()
    control.interrupt("told to")
    control.interrupt("told again")
    result = await run(plan(tmp_path, site.url), control)
    assert (result.status, result.reason) == ("interrupted", "told to")
    assert not site.asked
    assert (await run(plan(tmp_path, site.url))).counts.fetched == 60


async def test_a_run_that_is_cancelled_leaves_a_job_that_goes_on(tmp_path: Path) -> None:
    with Web(star(30)) as web_:
        web_.delay_s = 0.2
        running = asyncio.create_task(run(plan(tmp_path, web_.url())))
        await asyncio.to_thread(web_.wait_for, 9)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        web_.delay_s = 0
        result = await run(plan(tmp_path, web_.url()))
    assert result.counts.fetched == result.counts.items == 31
    assert len(set(items(tmp_path))) == len(items(tmp_path)) == 31


async def test_a_limit_of_pages_holds_over_runs(tmp_path: Path, site: Site) -> None:
    for pages, fetched, already in ((20, 20, False), (20, 20, True), (10, 20, True), (25, 25, False)):
        result = await run(plan(tmp_path, site.url, settings=limited(pages=pages)))
        assert (result.counts.fetched, result.status, result.already) == (fetched, "limited", already)
        assert result.waiting > 0
        assert len(items(tmp_path)) == fetched
    result = await run(plan(tmp_path, site.url))
    assert (result.status, result.counts.fetched) == ("finished", 60)


async def test_a_limit_of_time_holds_for_each_run(tmp_path: Path, site: Site) -> None:
    site.delay_s = 0.1
    settings = replace(limited(time_s=0.4), pace=Pace(per_host=1))
    first = await run(plan(tmp_path, site.url, settings=settings))
    second = await run(plan(tmp_path, site.url, settings=settings))
    assert (first.status, first.reason) == (second.status, second.reason) == ("limited", "max_time")
    assert 0 < first.counts.fetched < second.counts.fetched < 60
    assert min(first.seconds, second.seconds) >= 0.4


async def test_a_finished_job_with_a_name_does_nothing(tmp_path: Path, site: Site) -> None:
    await run(plan(tmp_path, site.url))
    (tmp_path / "pages.jsonl").unlink()
    again = await run(plan(tmp_path, site.url))
    assert again.already
    assert again.status == "finished"
    assert again.counts.fetched == 60
    assert not (tmp_path / "pages.jsonl").exists()
    assert site.asked.total() == 60
    await run(plan(tmp_path, site.url, restart=True))
    assert site.asked.total() == 120
    assert items(tmp_path) == sorted(site.urls())


async def test_a_finished_job_without_a_name_is_begun_anew(tmp_path: Path, site: Site) -> None:
    unnamed = plan(tmp_path, site.url, job=None)
    for times in (1, 2):
        result = await run(unnamed)
        assert not result.already
        assert result.counts.fetched == 60
        assert site.asked.total() == times * 60
        assert items(tmp_path) == sorted(site.urls())


async def test_items_of_a_job_without_an_output_go_to_one_that_is_named_later(
    tmp_path: Path, site: Site
) -> None:
    silent = plan(tmp_path, site.url, output=None)
    result = await run(silent)
    assert result.output is None
    assert result.counts.items == 60
    assert (await run(plan(tmp_path, site.url))).already
    assert items(tmp_path) == sorted(site.urls())
    assert (await run(silent)).already


async def test_an_interrupted_job_without_an_output_may_be_given_one(tmp_path: Path, site: Site) -> None:
    await run(plan(tmp_path, site.url, output=None, settings=limited(pages=15)))
    await run(plan(tmp_path, site.url))
    assert items(tmp_path) == sorted(site.urls())


async def test_a_job_is_one_runs_at_a_time(tmp_path: Path) -> None:
    with Web(chain(3), delay_s=0.2) as web_:
        first = asyncio.create_task(run(plan(tmp_path, web_.url("/0"))))
        await asyncio.to_thread(web_.wait_for, 1)
        with pytest.raises(Locked, match="'job'"):
            await run(plan(tmp_path, web_.url("/0")))
        other = await run(plan(tmp_path, web_.url("/0"), job="other", output=None))
        assert other.counts.fetched == 3
        assert (await first).counts.fetched == 3


async def test_a_run_waits_for_the_processes_that_an_earlier_one_left_behind(
    tmp_path: Path, site: Site
) -> None:
    mine = plan(tmp_path, site.url)
    mine.state_dir.mkdir()
    left = FileLock(process_lock(mine, 0), thread_local=False)
    left.acquire()
    timer = threading.Timer(0.3, left.release)
    timer.start()
    result = await run(mine)
    timer.join()
    assert result.counts.fetched == 60
    assert result.seconds < 30


async def test_a_job_belongs_to_its_spider_and_its_seeds(tmp_path: Path, site: Site) -> None:
    spider = tmp_path / "counting.py"
    spider.write_text(COUNTING)
    await run(plan(tmp_path, site.url, settings=limited(pages=5)))
    asked = site.asked.total()
    with pytest.raises(ConfigError, match=r"belongs to the spider crawlers\.site:SiteSpider"):
        await run(plan(tmp_path, site.url, spider=str(spider)))
    with pytest.raises(ConfigError, match="was begun from"):
        await run(plan(tmp_path, "http://127.0.0.1:1/"))
    with pytest.raises(ConfigError, match="was begun from"):
        await run(plan(tmp_path, site.url, "http://127.0.0.1:1/"))
    assert site.asked.total() == asked


@pytest.mark.parametrize("ending", ["finished", "max_pages", "interrupted"])
async def test_the_spider_is_told_once_why_its_crawl_ended(tmp_path: Path, site: Site, ending: str) -> None:
    spider = tmp_path / f"counting_{ending}.py"
    spider.write_text(COUNTING)
    settings = limited(pages=5) if ending == "max_pages" else SETTINGS
    control = Control()
    if ending == "interrupted":
        control.interrupt()
    made = plan(tmp_path, site.url, spider=str(spider), settings=settings)
    result = await run(made, control)
    assert result.reason == ending
    assert type(made.make_spider()).told == [ending]  # type: ignore[attr-defined]


async def test_an_output_that_fails_stops_the_run_and_loses_nothing(tmp_path: Path, site: Site) -> None:
    output = tmp_path / "pages.jsonl"
    site.delay_s = 0.1

    def remove_it(progress: Progress) -> None:
        if output.exists() and output.stat().st_size:
            output.rename(tmp_path / "aside")

    with pytest.raises(OutputError, match="removed or replaced"):
        await run(plan(tmp_path, site.url), Control(remove_it))
    with pytest.raises(OutputError, match="it is gone"):
        await run(plan(tmp_path, site.url))
    (tmp_path / "aside").rename(output)
    site.delay_s = 0
    result = await run(plan(tmp_path, site.url))
    assert result.counts.items == 60
    assert items(tmp_path) == sorted(site.urls())


async def test_an_output_that_can_not_be_is_told_before_there_is_a_job(tmp_path: Path, site: Site) -> None:
    with pytest.raises(ConfigError, match="unknown"):
        await run(plan(tmp_path, site.url, output=str(tmp_path / "pages.txt")))
    async with await open_engine(plan(tmp_path, site.url).engine_url) as engine:
        assert await Ledger(engine, "job").load() is None
    assert not site.asked


async def test_state_that_is_damaged_is_told(tmp_path: Path, site: Site) -> None:
    made = plan(tmp_path, site.url)
    await run(replace(made, settings=limited(pages=5)))
    async with await open_engine(made.engine_url) as engine:
        key = await anext(engine.state.list("crawl/job/shard/"))
        stored = await engine.state.load(key)
        assert stored is not None
        await engine.state.commit(StateWrite(key, b"junk", stored.version))
    with pytest.raises(EngineError, match="--restart begins anew"):
        await run(made)
    assert (await run(replace(made, restart=True))).counts.fetched == 60


async def test_accounts_that_do_not_add_up_are_told(
    tmp_path: Path, site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    made = plan(tmp_path, site.url)
    await run(replace(made, settings=limited(pages=5)))
    async with await open_engine(made.engine_url) as engine:
        key = await anext(engine.state.list("crawl/job/shard/"))
        stored = await engine.state.load(key)
        assert stored is not None
        document = orjson.loads(stored.data)
        document["counts"]["discovered"] += 3
        await engine.state.commit(StateWrite(key, orjson.dumps(document), stored.version))
    result = await run(made)
    assert not result.adds_up
    assert "the accounts don't add up" in caplog.text


async def test_hosts_of_seeds_are_looked_up_once_and_a_private_one_stays_allowed(tmp_path: Path) -> None:
    pages = {"/": linking("/a"), "/a": linking()}
    with Web(pages) as web_:
        settings = replace(
            limited(pages=1), http=replace(SETTINGS.http, resolve={"inside.test": "127.0.0.1"})
        )
        made = plan(tmp_path, web_.url("/", "inside.test"), settings=settings)
        first: Result = await run(made)
        assert first.counts.fetched == 1
        rest = await run(replace(made, settings=replace(settings, limits=Limits())))
        assert rest.counts.fetched == 2
