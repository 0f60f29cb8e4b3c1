"""How much memory does a worker need while millions of requests wait?

`airless worker` is two processes on a broker; then comes `airless crawl --detach` of a spider that starts from five
million URLs over 20,000 hosts of this machine, which answer after half a second. Workers take what they find from the
first message on; once all is published they go on for five minutes, in which they get to know most of it: `known` is
what the shards have taken in as seen. Peaks are the kernel's (VmHWM): of each process of the worker, of the one that
publishes, and of the broker, which keeps all that waits. A page links to ten others that wait already.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airless.core.ports import Engine
from airless.crawl.layout import Layout
from airless.crawl.ledger import Ledger
from airless.engines import open_engine
from airless.fleet.accounts import read_accounts
from benchmarks.backlog.pages import served
from benchmarks.backlog.spider import HOSTS, PORT, REQUESTS
from benchmarks.record import Table
from benchmarks.workers import at_work
from tests.support.brokers import BROKERS

MOST_MIB = 400
"""What a process of a worker may need, whatever waits."""
PROCESSES = 2
_JOB = "backlog"
_SPIDER = "benchmarks.backlog.spider:Backlog"
_ROOT = Path(__file__).resolve().parents[2]
_DELAY_S = 0.5
_LOOK_S, _TELL_S = 0.2, 5.0


@dataclass(frozen=True, slots=True)
class Size:
    """So many requests over so many hosts, and how long workers go on once all are published."""

    requests: int
    hosts: int
    go_on_s: float


FULL, QUICK = Size(5_000_000, 20_000, 300.0), Size(50_000, 2_000, 5.0)


def measure(*, quick: bool) -> Table:
    """A row a broker. Raises RuntimeError where a worker needed too much or died, or not all was published."""
    size = QUICK if quick else FULL
    rows = []
    with served(_DELAY_S) as port:
        for name in BROKERS:
            with tempfile.TemporaryDirectory() as folder:
                rows.append(once(name, size, port, Path(folder)))
    return Table(
        rows,
        libraries=("redis", "nats-py"),
        notes={"hosts": size.hosts, "most_mib": MOST_MIB, "processes": PROCESSES},
    )


def once(name: str, size: Size, port: int, folder: Path) -> dict[str, Any]:
    """The row of a broker, which is started in `folder`; the site is on `port`. Raises RuntimeError."""
    with BROKERS[name](folder) as broker, at_work(broker.url, PROCESSES, folder) as below:
        workers = [pid for pid in below if _crawls(pid)]
        watch = Watch(name, size, workers, broker.pid)
        environ = {**os.environ, REQUESTS: str(size.requests), HOSTS: str(size.hosts), PORT: str(port)}
        command = [sys.executable, "-m", "airless", "crawl", "-s", _SPIDER, "--engine", broker.url]
        command += ["--job", _JOB, "--detach", "--quiet"]
        with subprocess.Popen(command, cwd=_ROOT, env=environ, stdout=subprocess.DEVNULL) as publisher:
            try:
                return asyncio.run(watch.row(broker.url, publisher))
            finally:
                publisher.kill()


@dataclass(slots=True)
class Watch:
    """Looks at processes while they publish and work, and tells of it on standard error."""

    name: str
    size: Size
    workers: list[int]
    broker: int
    peaks: dict[int, int] = field(default_factory=dict)
    told_s: float = 0.0

    async def row(self, url: str, publisher: subprocess.Popen[bytes]) -> dict[str, Any]:
        layout = Layout(_JOB, 0)
        async with await open_engine(url) as engine:
            began_s = time.monotonic()
            while publisher.poll() is None:
                await self._look(engine, layout, publisher.pid)
            publish_s = time.monotonic() - began_s
            record = await Ledger(engine, _JOB).look()
            if publisher.returncode or record is None or record.seeded != self.size.requests:
                raise RuntimeError(f"{self.name}: the crawl was not begun, exit code {publisher.returncode}")
            depth = await engine.queue.depth(layout.topic)
            before = (await read_accounts(engine, layout)).counts.fetched
            began_s = time.monotonic()
            while time.monotonic() < began_s + self.size.go_on_s:
                await self._look(engine, layout)
            counts = (await read_accounts(engine, layout)).counts
            worked_s = time.monotonic() - began_s
        return {
            "engine": self.name,
            "requests": self.size.requests,
            "waiting": self.size.requests - counts.fetched,
            "known": counts.discovered,
            "messages": depth.messages,
            "publish_s": round(publish_s, 1),
            "published_per_s": round(self.size.requests / publish_s),
            "pages_per_s": round((counts.fetched - before) / worked_s),
            "worker_peak_mib": max(self.peaks[pid] for pid in self.workers),
            "publisher_peak_mib": self.peaks[publisher.pid],
            "broker_peak_mib": self.peaks[self.broker],
            "all_worker_peaks_mib": [self.peaks[pid] for pid in self.workers],
        }

    async def _look(self, engine: Engine, layout: Layout, *others: int) -> None:
        """Note the peaks, now and then tell them. Raises RuntimeError where a worker died or needs too much."""
        for pid in (*self.workers, self.broker, *others):
            peak = _peak_mib(pid)
            if peak is not None:
                self.peaks[pid] = peak
            elif pid in self.workers:
                raise RuntimeError(f"{self.name}: a process of the worker died")
        most = max(self.peaks[pid] for pid in self.workers)
        if most > MOST_MIB:
            raise RuntimeError(f"{self.name}: a worker needed {most} MiB, more than {MOST_MIB}")
        if time.monotonic() > self.told_s + _TELL_S:
            self.told_s = time.monotonic()
            record = await Ledger(engine, _JOB).look()
            seeded = 0 if record is None else record.seeded
            fetched = (await read_accounts(engine, layout)).counts.fetched
            print(
                f"{self.name}: {seeded:,} published, {fetched:,} fetched; peaks in MiB: "
                f"workers {[self.peaks[pid] for pid in self.workers]}, broker {self.peaks[self.broker]}",
                file=sys.stderr,
                flush=True,
            )
        await asyncio.sleep(_LOOK_S)


def _peak_mib(pid: int) -> int | None:
    """The most memory that a process has had; None where it is no more."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return None
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return -(-int(line.split()[1]) // 1024)
    return None  # it has ended, and nobody has asked for its exit code yet


def _crawls(pid: int) -> bool:
    """Whether a process below the worker's is one that works: Python's tracker of resources is there too."""
    return b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
