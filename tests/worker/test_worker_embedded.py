"""A worker that brings its own broker: two commands, and a crawl is done."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
from pathlib import Path

import pytest
from support.nats_server import NatsServer
from support.site import Site
from support.worker_command import crawl_to_its_end, job_of, worker_command

from airless.crawl.settings import Settings

QUICK = Settings(obey_robots=False)


@pytest.fixture
def url(tmp_path: Path) -> str:
    """An address that is free. Skips where there is no server to start."""
    with NatsServer(tmp_path):
        pass
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"nats://127.0.0.1:{listener.getsockname()[1]}"


def server_of(folder: Path) -> int:
    return int((folder / "state" / "nats.pid").read_text())


async def test_a_worker_with_its_own_broker_crawls_and_leaves_nothing_running(
    url: str, tmp_path: Path
) -> None:
    words = ["--embedded", "--state-dir", "state", "-n", 1]
    with Site(40) as site, worker_command(tmp_path, url, *words) as worker:
        await asyncio.to_thread(worker.wait_for, "serve crawls")
        server = server_of(tmp_path)
        job = job_of("own", site.url, settings=QUICK)
        result, urls = await crawl_to_its_end(url, job, tmp_path / "items.jsonl")
        assert urls == sorted(site.urls())
        assert result.adds_up
        assert await asyncio.to_thread(worker.end) == 0
    assert not Path(f"/proc/{server}").exists()


async def test_a_broker_that_dies_or_is_left_behind_by_a_killed_worker_is_started_anew(
    url: str, tmp_path: Path
) -> None:
    words = ["--embedded", "--state-dir", "state", "-n", 1, "--lease", 3]
    with Site(200, delay_s=0.1) as site:
        with worker_command(tmp_path, url, *words) as first:
            await asyncio.to_thread(first.wait_for, "serve crawls")
            job = job_of("own", site.url, settings=QUICK)
            crawl = asyncio.create_task(crawl_to_its_end(url, job, tmp_path / "items.jsonl"))
            await asyncio.to_thread(first.wait_until, lambda: len(site.asked) > 40)
            os.kill(server_of(tmp_path), signal.SIGKILL)
            await asyncio.to_thread(first.wait_for, "is started again")
            await asyncio.to_thread(first.wait_until, lambda: len(site.asked) > 80)
            first.process.kill()
        with worker_command(tmp_path, url, *words) as second:
            async with asyncio.timeout(60):
                result, urls = await crawl
            assert urls == sorted(site.urls())
            assert result.adds_up
            assert await asyncio.to_thread(second.end) == 0


def test_an_address_that_is_taken_is_told_of(url: str, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with NatsServer(tmp_path / "other") as other:
        with worker_command(tmp_path, other.url, "--embedded", "--state-dir", "state") as worker:
            assert worker.process.wait(20) == 2
            assert re.search("is taken", worker.said())
