"""The crawlers of a run: in this process or in others, they do the same, and one that dies is replaced."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import pytest
from support.site import Site
from support.web import Web, linking

from airless.core.errors import AirlessError, ConfigError, EngineError, StorageFull
from airless.core.message import Message
from airless.crawl.layout import Layout
from airless.crawl.ledger import balance
from airless.crawl.outgoing import ADMIT
from airless.crawl.packing import pack
from airless.crawl.request import Request
from airless.crawl.settings import Settings
from airless.crawl.sites import host_key
from airless.crawl.urls import fingerprint
from airless.engines import OpenEngine, open_engine
from airless.local.crawl.crew import Crew, OneProcess
from airless.local.crawl.plan import Plan
from airless.local.crawl.processes import ManyProcesses
from airless.local.crawl.shared_budget import SharedBudget
from airless.local.crawl.worker import Assignment, Failure

LAYOUT = Layout("job", 8, 2)


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[OpenEngine]:
    async with await open_engine(f"sqlite:///{tmp_path}/job.db") as engine:
        yield engine


async def assignment(
    tmp_path: Path, engine: OpenEngine, url: str, processes: int, **options: object
) -> Assignment:
    plan = Plan(
        seeds=(url,), settings=Settings(obey_robots=False), state_dir=tmp_path, job="job", processes=processes
    )
    plan = replace(plan, **options)  # type: ignore[arg-type]
    request = Request(url)
    request.seed = True
    shard = LAYOUT.shard_of(host_key(url), fingerprint(url))
    data = {**pack([request]), "shard": shard, ADMIT: True}
    seed = Message(topic=LAYOUT.topic, data=data, ordering_key=str(shard), weight=0)
    await engine.queue.publish_many([seed])
    return Assignment(plan, LAYOUT, 0, processes, frozenset({"127.0.0.1"}), 30)


def crew_of(work: Assignment, engine: OpenEngine, pages: int | None = None) -> Crew:
    if work.processes > 1:
        return ManyProcesses(work, pages)
    return OneProcess(work, engine, work.plan.make_spider(), pages)


async def nothing_left(crew: Crew, engine: OpenEngine) -> bool:
    statuses = crew.statuses()
    quiet = bool(statuses) and all(status.quiet for status in statuses)
    return quiet and not (await engine.queue.depth(LAYOUT.topic)).messages


async def run(crew: Crew, engine: OpenEngine, until: Callable[[], bool] = lambda: False) -> None:
    """Run until nothing is left, the budget is spent, or `until`."""
    async with asyncio.timeout(40):
        running = asyncio.create_task(crew.run())
        starved = 0
        while not running.done():
            statuses = crew.statuses()
            starving = bool(statuses) and all(status.starved for status in statuses)
            starved = starved + 1 if starving and crew.budget_spent else 0
            if await nothing_left(crew, engine) or starved > 8 or until():
                crew.stop()
            await asyncio.wait([running], timeout=0.03)
        await running


@pytest.mark.parametrize("processes", [1, 2])
async def test_a_crew_crawls_everything_once(tmp_path: Path, engine: OpenEngine, processes: int) -> None:
    with Site(150) as site:
        work = await assignment(tmp_path, engine, site.url, processes)
        crew = crew_of(work, engine)
        assert crew.statuses() == []
        await run(crew, engine)
        assert len(site.asked) == 150
        assert set(site.asked.values()) == {1}
    accounts = await balance(engine, LAYOUT)
    assert accounts.adds_up
    assert accounts.counts.fetched == 150
    statuses = crew.statuses()
    assert len(statuses) == processes
    shards = Counter(index for status in statuses for index in status.shards)
    assert set(shards.values()) == {1}, "a shard is one process's"
    assert all(status.in_flight == 0 for status in statuses)


@pytest.mark.parametrize("processes", [1, 2])
async def test_a_crew_tells_when_it_has_become_quiet(
    tmp_path: Path, engine: OpenEngine, processes: int
) -> None:
    with Site(60) as site:
        crew = crew_of(await assignment(tmp_path, engine, site.url, processes), engine)
        async with asyncio.timeout(40):
            running = asyncio.create_task(crew.run())
            while not await nothing_left(crew, engine):
                await crew.quieted.wait()
                crew.quieted.clear()
            crew.stop()
            await running
        assert site.asked.total() == 60


@pytest.mark.parametrize("processes", [1, 2])
async def test_a_crew_shares_one_budget_exactly(tmp_path: Path, engine: OpenEngine, processes: int) -> None:
    with Site(300, delay_s=0.01) as site:
        work = await assignment(tmp_path, engine, site.url, processes)
        crew = crew_of(work, engine, 45)
        assert not crew.budget_spent
        await run(crew, engine)
        assert crew.budget_spent
        assert site.asked.total() == 45
    assert (await balance(engine, LAYOUT)).counts.fetched == 45


@pytest.mark.parametrize("processes", [1, 2])
async def test_a_crew_that_is_stopped_before_it_runs_fetches_nothing(
    tmp_path: Path, engine: OpenEngine, processes: int
) -> None:
    with Site(20) as site:
        crew = crew_of(await assignment(tmp_path, engine, site.url, processes), engine)
        crew.stop()
        async with asyncio.timeout(20):
            await crew.run()
        assert not site.asked
    assert (await engine.queue.depth(LAYOUT.topic)).messages == 1


async def test_a_process_that_dies_is_started_again_and_nothing_is_lost(
    tmp_path: Path, engine: OpenEngine, caplog: pytest.LogCaptureFixture
) -> None:
    with Site(200, delay_s=0.05) as site:
        crew = crew_of(await assignment(tmp_path, engine, site.url, 2), engine)
        killed: list[int] = []

        def kill_one_of_them() -> bool:
            if not killed and site.asked.total() > 40:
                children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
                workers = [
                    int(child)
                    for child in children
                    if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()
                ]
                killed.append(workers[0])
                os.kill(workers[0], signal.SIGKILL)
            return False

        await run(crew, engine, kill_one_of_them)
        assert len(site.asked) == 200
    assert killed
    assert "of the crawl died; starting it again (1)" in caplog.text
    accounts = await balance(engine, LAYOUT)
    assert accounts.adds_up
    assert accounts.counts.fetched == accounts.counts.items == 200


async def test_a_process_that_dies_again_and_again_ends_the_crawl(tmp_path: Path, engine: OpenEngine) -> None:
    spider = tmp_path / "deadly.py"
    spider.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    with Web({"/": linking()}) as web_:
        work = await assignment(tmp_path, engine, web_.url(), 2, spider=str(spider))
        crew = ManyProcesses(work, None)
        with pytest.raises(EngineError, match="died 6 times"):
            async with asyncio.timeout(60):
                await crew.run()
    assert not asyncio.all_tasks() - {asyncio.current_task()}


async def test_what_fails_in_a_process_is_raised_as_what_it_is(tmp_path: Path, engine: OpenEngine) -> None:
    with Web({"/": linking()}) as web_:
        work = await assignment(tmp_path, engine, web_.url(), 2, spider="no.such:Spider")
        with pytest.raises(ConfigError, match="there is no module 'no'"):
            async with asyncio.timeout(20):
                await ManyProcesses(work, None).run()


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("ConfigError", ConfigError),
        ("StorageFull", StorageFull),
        ("EngineError", EngineError),
        ("X", AirlessError),
    ],
)
def test_a_failure_comes_out_of_the_other_process_as_its_kind(kind: str, error: type[AirlessError]) -> None:
    made = Failure(kind, "what happened").error()
    assert type(made) is error
    assert str(made) == "what happened"


def test_a_shared_budget_gives_no_more_than_it_has() -> None:
    budget = SharedBudget(get_context("spawn"), 2)
    assert [budget.take() for _ in range(3)] == [True, True, False]
    assert budget.spent
    budget.give_back()
    assert not budget.spent
    assert budget.take()
