"""Several processes on one file: nothing is lost or doubled, and the dead hold nothing."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
from collections import Counter
from pathlib import Path

import pytest

from airless.core.clock import ManualClock
from airless.core.message import Message
from airless.engines import open_engine
from airless.engines.sqlite import SqliteEngine

SCRIPT = Path(__file__).with_name("sqlite_process.py")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/airless.db"


async def start(role: str, url: str, number: int, count: int = 0) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        str(SCRIPT),
        role,
        url,
        str(number),
        str(count),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


async def holding(url: str, count: int) -> asyncio.subprocess.Process:
    """A process that holds leases on `count` messages."""
    process = await start("hold", url, 0, count)
    assert process.stdout is not None
    async with asyncio.timeout(30):
        assert await process.stdout.readline() == b"holding %d\n" % count
    return process


async def kill(process: asyncio.subprocess.Process) -> None:
    process.kill()
    await process.communicate()


async def test_processes_share_the_work_without_loss_or_double(url: str) -> None:
    processes = [await start("publish", url, n, 200) for n in range(2)]
    processes += [await start("work", url, n) for n in range(2)]
    async with asyncio.timeout(90):
        for process in processes:
            await process.communicate()
    assert [process.returncode for process in processes] == [0, 0, 0, 0]
    async with await open_engine(url) as engine:
        assert (await engine.queue.depth("in")).messages == 0
        assert (await engine.queue.depth("out")).messages == 400
        names = [name async for name in engine.objects.list("done/")]
    assert len(names) == 400
    assert set(Counter(name.split("/")[1] for name in names).values()) == {1}


async def test_who_is_killed_loses_its_leases_to_the_next_opener(url: str, tmp_path: Path) -> None:
    async with await open_engine(url) as engine:
        await engine.queue.publish_many([Message("in", {}, id=f"m{n}", ordering_key="k") for n in range(4)])
    process = await holding(url, 3)
    async with await open_engine(url) as engine:
        assert await engine.queue.receive("in", limit=9, lease_s=30) == []
    await kill(process)
    async with await open_engine(url) as engine:
        got = await engine.queue.receive("in", limit=9, lease_s=30)
        assert [(d.id, d.attempt) for d in got] == [("m0", 1), ("m1", 1), ("m2", 1), ("m3", 0)]
        assert len(list((tmp_path / "airless.db.consumers").iterdir())) == 1
    assert list((tmp_path / "airless.db.consumers").iterdir()) == []


async def test_who_is_killed_loses_its_leases_to_those_who_wait(url: str) -> None:
    async with await open_engine(url) as engine:
        await engine.queue.publish_many([Message("in", {}, id="m0", ordering_key="k")])
        process = await holding(url, 1)
        waiting = asyncio.create_task(engine.queue.receive("in", limit=9, lease_s=30, wait_s=60))
        await asyncio.sleep(0.2)
        assert not waiting.done()
        await kill(process)
        async with asyncio.timeout(30):
            (got,) = await waiting
        assert (got.id, got.attempt) == ("m0", 1)


async def test_leases_without_a_consumers_file_are_free(url: str, tmp_path: Path) -> None:
    async with await open_engine(url) as engine:
        await engine.queue.publish_many([Message("in", {})])
        await engine.queue.receive("in", limit=9, lease_s=3600)
        source = sqlite3.connect(tmp_path / "airless.db")
        copy = sqlite3.connect(tmp_path / "copy.db")
        source.backup(copy)
        source.close()
        copy.close()
    async with await open_engine(f"sqlite:///{tmp_path}/copy.db") as engine:
        assert len(await engine.queue.receive("in", limit=9, lease_s=30)) == 1


async def test_the_living_keep_their_leases_however_many_open(url: str) -> None:
    clock = ManualClock()
    async with await SqliteEngine.open(url, clock=clock) as engine:
        await engine.queue.publish_many([Message("in", {})])
        await engine.queue.receive("in", limit=1, lease_s=30)
        for _ in range(5):
            async with await SqliteEngine.open(url, clock=clock) as other:
                assert await other.queue.receive("in", limit=1, lease_s=30) == []


async def test_a_new_file_can_be_opened_by_many_at_once(url: str) -> None:
    engines = await asyncio.gather(*(open_engine(url) for _ in range(8)))
    await asyncio.gather(*(engine.queue.publish_many([Message("in", {})]) for engine in engines))
    assert (await engines[0].queue.depth("in")).ready == 8
    await asyncio.gather(*(engine.aclose() for engine in engines))
