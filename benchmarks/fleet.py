"""What do two workers on a broker bring, beside one process on this machine?

The site of the `crawl` benchmark, served by nginx on the first core, crawled by `airless crawl` in one process with
SQLite, and by the two processes of an `airless worker` on a broker: by a spider that takes each page's title and its
links, by one that takes five fields by CSS selectors, and by one that takes four of each of its dozen sections besides.
The first two also where the site's hosts don't link to each other, as those of most lists of seeds don't. All but nginx
may use every core. The engines take turns, after a round that doesn't count; medians. Timed is from the first seed's
publication, or the local run's own beginning, to the end of the last page; workers are up by then. Each crawl has to
give each page once, with all that is on it. CPU time is told a page: of the processes that crawl (of local ones with
their start), the broker and the site. What the machine allows is told by two local crawls at once that share nothing
but the machine, with half of the hosts each: `to_apart` is the share of that.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from airless.core.clock import SystemClock
from airless.crawl.job import Job
from airless.crawl.settings import Http, Pace, Settings
from airless.engines import open_engine
from airless.fleet.accounts import read_accounts
from airless.fleet.begin import begin
from airless.fleet.items import write_items
from airless.local.crawl.plan import SITE_SPIDER
from benchmarks.cache import cache_folder
from benchmarks.crawl.course import PORT, Course, Variant
from benchmarks.crawl.nginx import Server
from benchmarks.crawl.verdict import verify
from benchmarks.record import Table
from benchmarks.workers import at_work, below
from tests.support.brokers import BROKERS

LOCAL = "sqlite"
APART = "sqlite, apart"
CASES = ((LOCAL, 1), (APART, 2), *((name, 2) for name in BROKERS))
SPIDERS = {
    "links": SITE_SPIDER,
    "fields": "benchmarks.crawl.contenders.airless_fields:FieldsSpider",
    "sections": "benchmarks.crawl.contenders.airless_sections:SectionsSpider",
}
# Who crawls what: `strangers` don't link to each other.
CRAWLS = (
    ("links", "linked"),
    ("fields", "linked"),
    ("sections", "linked"),
    ("links", "strangers"),
    ("fields", "strangers"),
)
_CONCURRENCY, _PER_HOST = 64, 32
_LOOK_S, _CLOSE_LOOK_S = 0.5, 0.02
_LIMIT_S = 300.0
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Took:
    """A crawl: seconds, and CPU seconds of those who crawl, of the broker and of the site's server."""

    wall_s: float
    client_s: float
    broker_s: float
    site_s: float


def measure(*, quick: bool) -> Table:
    """A row a spider, kind of hosts and engine. Raises RuntimeError where a crawl gave anything but each page once."""
    # A crawl's beginning and its last pages, which one process has alone, take the same half second of any length.
    # The machine gives up to a third more or less from one crawl to the next: medians of five differed by a quarter.
    pages, runs = (2_000, 1) if quick else (40_000, 9)
    cache = cache_folder()
    rows: list[dict[str, Any]] = []
    for what, hosts in CRAWLS:
        spider = SPIDERS[what]
        course = Variant(pages, fields=what != "links", strangers=hosts == "strangers").course(cache)
        server = Server(course.root, cache / "nginx-fleet", course.hosts, PORT, min(os.sched_getaffinity(0)))
        taken: dict[tuple[str, int], list[Took]] = {case: [] for case in CASES}
        with server.serving():
            pid = int((server.run / "nginx.pid").read_text())
            for number in range(runs if quick else runs + 1):
                for name, processes in CASES:
                    before_s = _cpu_s(below(pid))
                    with tempfile.TemporaryDirectory() as folder:
                        took = _once(name, processes, spider, course, Path(folder))
                    took = replace(took, site_s=_cpu_s(below(pid)) - before_s)
                    if quick or number:
                        taken[name, processes].append(took)
                    print(
                        f"{what}, {hosts}, {name}: {pages / took.wall_s:,.0f} pages/s",
                        file=sys.stderr,
                        flush=True,
                    )
        rows += [{"takes": what, "hosts": hosts, **row} for row in _rows(pages, taken)]
    return Table(rows, libraries=("redis", "nats-py"), notes={"pages": pages, "runs": runs})


def _rows(pages: int, taken: Mapping[tuple[str, int], Sequence[Took]]) -> list[dict[str, Any]]:
    local, apart = taken[LOCAL, 1], taken[APART, 2]
    rows = []
    for (name, processes), crawls in taken.items():
        rows.append(
            {
                "engine": name,
                "processes": processes,
                "pages_per_s": round(median(pages / took.wall_s for took in crawls), 1),
                "to_local": _times(crawls, local),
                "to_apart": _times(crawls, apart),
                "client_us_a_page": round(median(took.client_s for took in crawls) / pages * 1e6, 1),
                "broker_us_a_page": round(median(took.broker_s for took in crawls) / pages * 1e6, 1),
                "site_us_a_page": round(median(took.site_s for took in crawls) / pages * 1e6, 1),
                "all_pages_per_s": [round(pages / took.wall_s, 1) for took in crawls],
            }
        )
    return rows


def _times(crawls: Sequence[Took], others: Sequence[Took]) -> float:
    """As fast as the others of the same round: the median of the rounds."""
    return round(median(other.wall_s / took.wall_s for took, other in zip(crawls, others, strict=True)), 3)


def _once(name: str, processes: int, spider: str, course: Course, folder: Path) -> Took:
    output = folder / "items.jsonl"
    if name in {LOCAL, APART}:
        took = _locally(spider, course, processes, folder, output)
    else:
        took = asyncio.run(_on_broker(name, processes, spider, course, folder, output))
    verdict = verify(output, course.titles, course.fields)
    if not verdict.right:
        raise RuntimeError(f"{name}: {verdict.example}")
    return took


def _locally(spider: str, course: Course, processes: int, folder: Path, output: Path) -> Took:
    """One crawl, or several at once that share nothing but the machine: each has its part of the hosts."""
    before_s, crawls = _children_s(), []
    for number in range(processes):
        state = folder / str(number)
        state.mkdir()
        words = ["--spider", spider, "-o", str(state / "items.jsonl"), "--state", str(state), "-q"]
        words += ["--stats", str(state / "stats.json"), "--concurrency", str(_CONCURRENCY)]
        words += ["--per-host", str(_PER_HOST), "--allow-private"]
        for host in course.hosts:
            words += ["--resolve", f"{host}=127.0.0.1"]
        seeds = course.seeds[number::processes]
        crawls.append((state, subprocess.Popen([sys.executable, "-m", "airless", "crawl", *seeds, *words])))
    wall_s = 0.0
    with output.open("wb") as items:
        for state, crawl in crawls:
            if crawl.wait(_LIMIT_S):
                raise RuntimeError(f"a crawl ended with {crawl.returncode}")
            wall_s = max(wall_s, json.loads((state / "stats.json").read_text())["seconds"])
            items.write((state / "items.jsonl").read_bytes())
    return Took(wall_s, _children_s() - before_s, 0.0, 0.0)


async def _on_broker(
    name: str, processes: int, spider: str, course: Course, folder: Path, output: Path
) -> Took:
    http = Http(resolve=dict.fromkeys(course.hosts, "127.0.0.1"), allow_private=True)
    pace = Pace(concurrency=_CONCURRENCY, per_host=_PER_HOST)
    job = Job("fleet", spider, course.seeds, Settings(pace=pace, http=http))
    with ExitStack() as ending:
        server = ending.enter_context(BROKERS[name](folder))
        children = ending.enter_context(at_work(server.url, processes, folder))
        client_s, broker_s = _cpu_s(children), _cpu_s([server.pid])
        async with asyncio.timeout(_LIMIT_S), await open_engine(server.url) as engine:
            began_s = time.monotonic()
            job, _, _ = await begin(engine, job, SystemClock())
            fetched, pages = 0, len(course.titles)
            while fetched < pages:
                # To look costs both the broker and the processor something: often only where the end is near.
                left_s = (time.monotonic() - began_s) * (pages - fetched) / max(1, fetched)
                await asyncio.sleep(min(_LOOK_S, max(_CLOSE_LOOK_S, left_s / 4)))
                accounts = await read_accounts(engine, job.layout)
                fetched = accounts.counts.fetched
            wall_s = time.monotonic() - began_s
            took = Took(wall_s, _cpu_s(children) - client_s, _cpu_s([server.pid]) - broker_s, 0.0)
            await write_items(engine, accounts.segments, str(output))
    return took


def _cpu_s(pids: Sequence[int]) -> float:
    """What these processes have computed, by the kernel's account of them."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks * _TICK_S


def _children_s() -> float:
    times = os.times()
    return times.children_user + times.children_system
