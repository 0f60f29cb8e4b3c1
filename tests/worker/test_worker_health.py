"""What a worker tells of itself: health, readiness, figures, and log lines that machines read."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from prometheus_client.parser import text_string_to_metric_families
from support.site import Site
from support.valkey import Valkey
from support.web import Web, linking
from support.worker_command import WorkerCommand, crawl_to_its_end, job_of, nothing_on, worker_command

from airless.core.message import Message
from airless.crawl.settings import Settings
from airless.engines import open_engine

KEEPING = "worker.operators_on_workers:Keeping"
QUICK = Settings(obey_robots=False)


async def ask(worker: WorkerCommand, path: str) -> tuple[int, str]:
    """Status and text of a worker's answer."""
    port = (await asyncio.to_thread(worker.wait_for, r"health on port (\d+)"))[1]
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as answer:
        return answer.status, await answer.text()


async def until_status(worker: WorkerCommand, path: str, status: int, *, longest_s: float = 20.0) -> str:
    async with asyncio.timeout(longest_s):
        while True:
            found, text = await ask(worker, path)
            if found == status:
                return text
            await asyncio.sleep(0.1)


async def figures(worker: WorkerCommand) -> dict[tuple[str, ...], float]:
    """The samples of a scrape, by name and values of their labels, in the order of the labels' names."""
    status, text = await ask(worker, "/metrics")
    assert status == 200
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_a_worker_is_ready_when_all_its_processes_have_their_broker(
    engine_url: str, tmp_path: Path
) -> None:
    with worker_command(tmp_path, engine_url, "-n", 2, "--http", "127.0.0.1:0") as worker:
        assert (await ask(worker, "/healthz"))[0] == 200
        assert await until_status(worker, "/readyz", 200) == "ok"
        os.kill(worker.children()[0], signal.SIGKILL)
        assert "1 of 2 processes" in await until_status(worker, "/readyz", 503)
        await until_status(worker, "/readyz", 200)
        assert (await figures(worker))["airless_restarts_total", "died"] == 1


async def test_a_worker_without_its_broker_lives_but_is_not_ready_until_the_broker_is_there(
    tmp_path: Path,
) -> None:
    server = Valkey(tmp_path)
    with worker_command(tmp_path, f"{server.url}?timeout=1", "-n", 1, "--http", "127.0.0.1:0") as worker:
        await asyncio.to_thread(worker.wait_for, "the engine can't be had yet")
        assert (await ask(worker, "/healthz"))[0] == 200
        assert "no engine" in (await ask(worker, "/readyz"))[1]
        with server:
            await until_status(worker, "/readyz", 200)
            assert await asyncio.to_thread(worker.end) == 0


async def test_figures_of_all_processes_are_added_up(engine_url: str, tmp_path: Path) -> None:
    with (
        Site(60) as site,
        worker_command(tmp_path, engine_url, "-n", 2, "--http", "127.0.0.1:0") as worker,
    ):
        job = job_of("counted", site.url, settings=QUICK)
        await crawl_to_its_end(engine_url, job, tmp_path / "items.jsonl")
        await asyncio.sleep(1.0)  # a process tells of itself every half a second
        found = await figures(worker)
        assert found["airless_pages_total", "fetched", ""] == 60
        assert found["airless_items_total",] == 60
        assert found["airless_messages_total", "done", "frontier"] >= 2
        assert found["airless_processes",] == 2
        assert found["airless_queue_messages", "ready", "frontier"] == 0
        assert found["airless_memory_bytes", "0"] > 10 * 1024 * 1024


async def test_log_lines_are_objects_that_name_message_crawl_and_host(
    engine_url: str, tmp_path: Path
) -> None:
    words = [f"orders={KEEPING}", "-n", 1, "--log-format", "json"]
    with Web({"/": linking("/gone")}) as site, worker_command(tmp_path, engine_url, *words) as worker:
        async with await open_engine(engine_url) as engine:
            await engine.queue.publish_many([Message("orders", {"fail": True}, id="m1")])
            await nothing_on(engine, "orders")
        job = job_of("logged", site.url(), settings=QUICK)
        await crawl_to_its_end(engine_url, job, tmp_path / "items.jsonl")
        assert await asyncio.to_thread(worker.end) == 0
    lines: list[dict[str, Any]] = [orjson.loads(line) for line in worker.said().splitlines()]
    given_up = next(line for line in lines if "given up" in line["text"])
    assert (given_up["message_id"], given_up["topic"], given_up["level"]) == ("m1", "orders", "ERROR")
    failed = next(line for line in lines if "HTTP 404" in line["text"])
    assert (failed["run"], failed["host"]) == ("logged", f"127.0.0.1:{site.port}")
