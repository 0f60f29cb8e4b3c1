"""``airless worker`` as it is run: a process of its own with others below it, on a real broker."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

from airless.core.clock import SystemClock
from airless.core.ports import Engine
from airless.crawl.job import Job
from airless.crawl.settings import Settings
from airless.engines import open_engine
from airless.fleet.begin import begin
from airless.fleet.follow import Follower
from airless.fleet.items import write_items
from airless.local.crawl.plan import SITE_SPIDER
from airless.local.crawl.run import Control, Result

_SOURCE = Path(__file__).resolve().parents[2]


class WorkerCommand:
    """A worker that was started; what it says is in `log`."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self.log = log

    def said(self) -> str:
        return self.log.read_text()

    def wait_for(self, words: str, *, longest_s: float = 20.0) -> re.Match[str]:
        """Until it has said something."""
        self.wait_until(lambda: re.search(words, self.said()) is not None, longest_s=longest_s)
        found = re.search(words, self.said())
        assert found is not None
        return found

    def wait_until(self, true: Callable[[], bool], *, longest_s: float = 20.0) -> None:
        end = time.monotonic() + longest_s
        while not true():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < end, self.said()
            time.sleep(0.02)

    def children(self) -> list[int]:
        """Its processes that work, by their ids."""
        pid = self.process.pid
        try:
            found = map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
            return [child for child in found if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]
        except OSError:
            return []

    def end(self, number: int = signal.SIGTERM, *, longest_s: float = 30.0) -> int:
        """Signal it, and wait for its exit code."""
        self.process.send_signal(number)
        return self.process.wait(longest_s)


@contextmanager
def worker_command(
    folder: Path, url: str, *words: object, environ: dict[str, str] | None = None
) -> Iterator[WorkerCommand]:
    """A worker on the engine; it is gone in the end, with all of its processes."""
    log = folder / f"worker-{time.monotonic_ns()}.log"
    path = os.pathsep.join([str(_SOURCE), str(_SOURCE / "tests")])
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "airless", "worker", "--engine", url, *map(str, words)],
            stdout=out,
            stderr=out,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", **(environ or {})},
        )
        command = WorkerCommand(process, log)
        try:
            yield command
        finally:
            children = command.children()
            if process.poll() is None:
                process.kill()
            process.wait()
            for child in children:
                if Path(f"/proc/{child}").exists():
                    os.kill(child, signal.SIGKILL)


def job_of(name: str, *seeds: str, settings: Settings) -> Job:
    """A crawl of whole sites."""
    return Job(name, SITE_SPIDER, seeds, settings)


async def crawl_to_its_end(url: str, job: Job, output: Path) -> tuple[Result, list[str]]:
    """Begin a crawl that workers do, follow it to its end; how it ended, and the URLs of its items."""
    async with await open_engine(url) as engine:
        job, record, ledger = await begin(engine, job, SystemClock())
        follower = Follower(engine, job, record, ledger, control=Control(), clock=SystemClock())
        result, accounts = await follower.run()
        await write_items(engine, accounts.segments, str(output))
    return result, _urls(output)


async def nothing_on(engine: Engine, topic: str, *, longest_s: float = 30.0) -> None:
    """Until nothing waits on a topic."""
    async with asyncio.timeout(longest_s):
        while (await engine.queue.depth(topic)).messages:  # noqa: ASYNC110 - it is elsewhere
            await asyncio.sleep(0.05)


def _urls(output: Path) -> list[str]:
    return sorted(orjson.loads(line)["url"] for line in output.read_bytes().splitlines())
