"""A crawl by workers that are killed now and then, on a broker that is killed as well."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from support.brokers import Broker
from support.many_hosts import ManyHosts

from airless.core.clock import SystemClock
from airless.engines import open_engine
from airless.fleet.begin import begin
from airless.fleet.follow import Follower
from airless.fleet.items import write_items
from airless.local.crawl.run import Control, Progress, Result

_REST_S = 1.0


@dataclass(slots=True)
class Fired:
    """How it went, and what befell whom."""

    result: Result
    kills: int
    broker_kills: int
    asked: int


class Fleet:
    """`number` workers of one process each, every one in a group of its own with what it starts."""

    def __init__(self, folder: Path, url: str, number: int, *, seed: int = 1) -> None:
        self._log = folder / "workers.log"
        self._command = [
            sys.executable,
            "-m",
            "airless",
            "worker",
            "--engine",
            url,
            "-n",
            "1",
            "--lease",
            "3",
        ]
        self._rng = random.Random(seed)
        self._all = [self._start() for _ in range(number)]
        self.kills = 0

    def kill_one(self) -> None:
        """Kill -9 one of them with its process; another begins."""
        at = self._rng.randrange(len(self._all))
        self._end(self._all[at])
        self._all[at] = self._start()
        self.kills += 1

    def close(self) -> None:
        for each in self._all:
            self._end(each)

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @staticmethod
    def _end(process: subprocess.Popen[bytes]) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


async def under_fire(
    server: Broker,
    site: ManyHosts,
    folder: Path,
    *,
    workers: int,
    delay_s: float,
    kill_every_s: float,
    broker_dies_at: Sequence[float],
) -> Fired:
    """Crawl a site while a worker is killed every so often, the broker when such shares of the pages were fetched.

    Fails unless every page is in the output once, and no host was asked ahead of its pace.
    """
    output = folder / "items.jsonl"
    latest: list[Progress] = []
    pages = site.hosts * site.each
    broker_kills = 0
    with site.serve() as served, contextlib.ExitStack() as ending:
        async with await open_engine(server.url) as engine:
            job = site.job("fire", served, delay_s)
            job, record, ledger = await begin(engine, job, SystemClock())
            fleet = Fleet(folder, server.url, workers)
            ending.callback(fleet.close)
            control = Control(on_progress=lambda progress: latest.append(progress))
            follower = Follower(engine, job, record, ledger, control=control, clock=SystemClock())
            following = asyncio.create_task(follower.run())
            while not following.done():
                await asyncio.wait([following], timeout=kill_every_s)
                fleet.kill_one()
                fetched = latest[-1].counts.fetched / pages if latest else 0.0
                if broker_kills < len(broker_dies_at) and fetched >= broker_dies_at[broker_kills]:
                    await asyncio.to_thread(server.kill)
                    await asyncio.sleep(_REST_S)
                    await asyncio.to_thread(server.start)
                    broker_kills += 1
            result, accounts = await following
            await write_items(engine, accounts.segments, str(output))
    site.check_items(output, served)
    site.check_pace(served, delay_s)
    return Fired(result, fleet.kills, broker_kills, len(served.requests()))
