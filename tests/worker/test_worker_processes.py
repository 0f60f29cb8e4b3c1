"""``airless worker`` with real processes on a real broker: whatever dies or is drained, every page comes once."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import time
from pathlib import Path

from support.site import Site, links_of
from support.valkey import Valkey
from support.worker_command import WorkerCommand, crawl_to_its_end, job_of, nothing_on, worker_command

from airless.core.clock import SystemClock
from airless.core.message import Message
from airless.core.ports import DeadLetters
from airless.crawl.job import Job
from airless.crawl.settings import Pace, Settings
from airless.engines import open_engine
from airless.fleet.accounts import read_accounts
from airless.fleet.begin import begin
from airless.fleet.items import write_items

KEEPING = "worker.operators_on_workers:Keeping"
DYING = "worker.operators_on_workers:Dying"
QUICK = Settings(obey_robots=False, pace=Pace(per_host=8))
PAGES = 300


async def test_a_worker_does_what_is_asked_of_the_broker_and_ends_when_it_is_told_to(
    engine_url: str, tmp_path: Path
) -> None:
    with Site(100) as site, worker_command(tmp_path, engine_url, "-n", 2) as worker:
        worker.wait_for("2 processes serve crawls")
        job = job_of("plain", site.url, settings=QUICK)
        result, urls = await crawl_to_its_end(engine_url, job, tmp_path / "items.jsonl")
        assert urls == sorted(site.urls())
        assert (result.status, result.adds_up, result.waiting) == ("finished", True, 0)
        assert max(site.asked.values()) == 1
        assert worker.end() == 0
    assert "Traceback" not in worker.said()


async def test_every_page_comes_once_while_processes_are_killed(engine_url: str, tmp_path: Path) -> None:
    rng = random.Random(4)
    kills = 0

    async def kill(worker: WorkerCommand) -> None:
        nonlocal kills
        while True:
            await asyncio.sleep(3.0)
            if children := worker.children():
                os.kill(rng.choice(children), signal.SIGKILL)
                kills += 1

    with (
        Site(PAGES, delay_s=0.3) as site,
        worker_command(tmp_path, engine_url, "-n", 3, "--lease", 2) as worker,
    ):
        killing = asyncio.create_task(kill(worker))
        job = job_of("killed", site.url, settings=QUICK)
        async with asyncio.timeout(180):
            result, urls = await crawl_to_its_end(engine_url, job, tmp_path / "items.jsonl")
        killing.cancel()
        assert urls == sorted(site.urls())
        assert (result.status, result.adds_up, result.waiting) == ("finished", True, 0)
    assert kills > 2


async def test_a_page_of_which_processes_die_holds_up_no_other(engine_url: str, tmp_path: Path) -> None:
    with Site(40) as site, worker_command(tmp_path, engine_url, "-n", 4, "--lease", 1):
        async with await open_engine(engine_url) as engine:
            job = Job("dying", DYING, (site.url,), QUICK)
            job, _, _ = await begin(engine, job, SystemClock())
            # All but the page, and but those that it alone links to.
            reached = {0}
            while more := {n for at in reached - {13} for n in links_of(at, 40)} - reached:
                reached |= more
            async with asyncio.timeout(120):
                while True:
                    accounts = await read_accounts(engine, job.layout)
                    if accounts.counts.fetched == len(reached) - 1:
                        break
                    await asyncio.sleep(0.1)
            await write_items(engine, accounts.segments, str(tmp_path / "items.jsonl"))
        items = [json.loads(line)["url"] for line in (tmp_path / "items.jsonl").read_text().splitlines()]
        assert sorted(items) == sorted(f"{site.origin}/p/{n}.html" for n in reached - {13})
        assert (accounts.counts.failed, accounts.counts.waiting) == (0, 1)
        assert site.asked["/p/13.html"] >= 3


async def test_a_worker_drained_in_mid_crawl_hands_back_what_it_has_and_another_goes_on_at_once(
    engine_url: str, tmp_path: Path
) -> None:
    with Site(PAGES, delay_s=0.1) as site:
        job = job_of("drained", site.url, settings=QUICK)
        crawl = asyncio.create_task(crawl_to_its_end(engine_url, job, tmp_path / "items.jsonl"))
        with worker_command(tmp_path, engine_url, "-n", 2) as first:
            await asyncio.to_thread(first.wait_until, lambda: len(site.asked) > 60)
            assert await asyncio.to_thread(first.end) == 0
        async with await open_engine(engine_url) as engine:
            depth = await engine.queue.depth(job.layout.topic)
            assert depth.leased == 0
            assert depth.messages > 0
        assert len(site.asked) < PAGES
        # With leases of half a minute: nothing that was handed back is waited for.
        with worker_command(tmp_path, engine_url, "-n", 2):
            async with asyncio.timeout(25):
                result, urls = await crawl
        assert urls == sorted(site.urls())
        assert result.adds_up
        assert max(site.asked.values()) == 1


async def test_an_operator_serves_its_topic_and_a_message_that_is_poison_is_kept_apart(
    engine_url: str, tmp_path: Path
) -> None:
    async with await open_engine(engine_url) as engine:
        messages = [Message("orders", {"n": n, "fail": n == 3}, id=f"m{n}") for n in range(20)]
        await engine.queue.publish_many(messages)
        with worker_command(tmp_path, engine_url, f"orders={KEEPING}", "-n", 2, "--no-crawls") as worker:
            await nothing_on(engine, "orders")
            await nothing_on(engine, "error")
            kept = [name async for name in engine.objects.list("kept/")]
            assert len(kept) == 19
            assert isinstance(engine.queue, DeadLetters)
            letters = await engine.queue.letters("orders", limit=10)
            assert [letter.id for letter in letters] == ["m3"]
            assert letters[0].error.startswith("poison")
            assert worker.end(signal.SIGINT) == 0


async def test_a_process_that_dies_of_a_message_is_replaced_and_the_others_are_not_held_up(
    engine_url: str, tmp_path: Path
) -> None:
    async with await open_engine(engine_url) as engine:
        with worker_command(
            tmp_path, engine_url, f"orders={KEEPING}", "-n", 1, "--no-crawls", "--lease", 4
        ) as worker:
            await engine.queue.publish_many([Message("orders", {"die": True}, id="killer")])
            await asyncio.to_thread(worker.wait_for, "process 0 died")
            await engine.queue.publish_many([Message("orders", {"n": 1}, id="other")])
            async with asyncio.timeout(30):
                while await engine.objects.get("kept/other") is None:  # noqa: ASYNC110 - it is elsewhere
                    await asyncio.sleep(0.05)


async def test_a_process_that_grows_too_large_is_drained_and_replaced(
    engine_url: str, tmp_path: Path
) -> None:
    with worker_command(tmp_path, engine_url, "-n", 1, "--max-memory", "20MiB") as worker:
        first = worker.children
        await asyncio.to_thread(worker.wait_until, lambda: bool(first()))
        before = worker.children()
        await asyncio.to_thread(worker.wait_for, "MiB in memory: it is drained")
        await asyncio.to_thread(
            worker.wait_until, lambda: bool(worker.children()) and worker.children() != before
        )
        assert await asyncio.to_thread(worker.end) == 0


def test_a_second_signal_ends_a_worker_at_once(engine_url: str, tmp_path: Path) -> None:
    with Site(50, delay_s=20.0) as site, worker_command(tmp_path, engine_url, "-n", 1) as worker:
        job = job_of("twice", site.url, settings=QUICK)
        asyncio.run(_begin(engine_url, job))
        worker.wait_until(lambda: len(site.asked) > 0)
        worker.process.send_signal(signal.SIGTERM)
        worker.wait_for("draining")
        began = time.monotonic()
        assert worker.end() == 130
        assert time.monotonic() - began < 5.0


def test_what_cannot_be_served_is_told_of_at_once(engine_url: str, tmp_path: Path) -> None:
    for words in (["nowhere:Nobody"], ["--no-crawls"], ["--http", "nonsense"], ["--max-memory", "much"]):
        with worker_command(tmp_path, engine_url, *words) as worker:
            assert worker.process.wait(20) == 2
            assert "Traceback" not in worker.said()
    with worker_command(tmp_path, "sqlite:///x.db", "-n", 1) as worker:
        assert worker.process.wait(20) == 2
        assert "broker" in worker.said()


async def _begin(url: str, job: Job) -> None:
    async with await open_engine(url) as engine:
        await begin(engine, job, SystemClock())


async def test_a_broker_that_dies_and_comes_back_is_waited_for_and_no_page_is_lost(tmp_path: Path) -> None:
    with (
        Valkey(tmp_path) as server,
        Site(PAGES, delay_s=0.1) as site,
        worker_command(tmp_path, server.url, "-n", 2, "--lease", 3) as worker,
    ):
        job = job_of("restarted", site.url, settings=QUICK)
        crawl = asyncio.create_task(crawl_to_its_end(server.url, job, tmp_path / "items.jsonl"))
        for pages in (40, 120):
            await asyncio.to_thread(worker.wait_until, lambda most=pages: len(site.asked) > most)
            server.kill()
            await asyncio.sleep(1.0)
            server.start()
        async with asyncio.timeout(60):
            result, urls = await crawl
        assert urls == sorted(site.urls())
        assert (result.status, result.adds_up, result.waiting) == ("finished", True, 0)
        assert await asyncio.to_thread(worker.end) == 0


def test_a_worker_without_its_broker_says_so_and_serves_as_soon_as_there_is_one(tmp_path: Path) -> None:
    with Valkey(tmp_path) as server:
        server.kill()
        with worker_command(tmp_path, f"{server.url}?timeout=2", "-n", 2) as worker:
            worker.wait_for("WARNING.*doesn't answer, and is waited for")
            assert "processes serve" not in worker.said()
            server.start()
            worker.wait_for("2 processes serve crawls", longest_s=60.0)
            assert worker.end() == 0
