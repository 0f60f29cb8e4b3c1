"""What does the engine itself cost a page?

The crawler of `airless crawl` and its site spider, over pages of the generated site that are in memory already:
no network, no output file. Each crawl is in processes of its own, the engines in turn so that a busy moment
hits them alike; medians. Every crawl has to fetch each page once. What an engine costs is what each round's
crawl takes beside the crawl of that round on the memory engine, which can't be shared by processes and so has no
second row. "sqlite apart" is two crawls of the whole site that share nothing but the machine: what two processes
can come to on it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from operator import sub, truediv
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.cache import cache_folder
from benchmarks.crawl.pages import Site
from benchmarks.crawl.store import bind
from benchmarks.null_crawl import Part, Took, crawl, together
from benchmarks.record import Table

PORT = 8080
APART = "sqlite apart"
Case = tuple[str, int]
CASES: tuple[Case, ...] = (("memory", 1), ("sqlite", 1), ("sqlite", 2), (APART, 2))


def measure(*, quick: bool) -> Table:
    site = Site(2_000 if quick else 20_000, PORT)
    file = bind(site, cache_folder())
    runs = 1 if quick else 11
    taken: dict[Case, list[Took]] = {case: [] for case in CASES}
    for _ in range(runs):
        for case in CASES:
            taken[case].append(once(*case, site, file))
    pace = {case: [took.pages / took.wall_s for took in crawls] for case, crawls in taken.items()}
    cpu = {case: [took.cpu_s / took.pages * 1e6 for took in crawls] for case, crawls in taken.items()}
    rows: list[dict[str, Any]] = [
        {
            "engine": name,
            "processes": processes,
            "pages_per_s": round(median(pace[name, processes]), 1),
            "to_memory": round(_beside(truediv, pace, (name, processes)), 3),
            "to_sqlite": round(_beside(truediv, pace, (name, processes), ("sqlite", 1)), 3),
            "cpu_us_a_page": round(median(cpu[name, processes]), 1),
            "over_memory_us_a_page": round(_beside(sub, cpu, (name, processes)), 1),
            "all_pages_per_s": [round(each, 1) for each in pace[name, processes]],
        }
        for name, processes in CASES
    ]
    return Table(rows, libraries=("orjson", "selectolax"), notes={"pages": site.pages, "runs": runs})


def _beside(
    compare: Callable[[float, float], float],
    figures: dict[Case, list[float]],
    case: Case,
    other: Case = CASES[0],
) -> float:
    """The median of what a case comes to beside another of the same round."""
    return median(map(compare, figures[case], figures[other]))


def once(name: str, processes: int, site: Site, file: Path) -> Took:
    """One case: the bound site crawled from an engine that is new. Raises RuntimeError where it isn't all of it."""
    wanted = site.pages
    with tempfile.TemporaryDirectory() as folder:
        if name == APART:
            wanted *= processes
            urls = [f"sqlite:///{folder}/{number}.db" for number in range(processes)]
            took = together([Part(0, 1, url, site.seeds, file) for url in urls])
        else:
            url = "memory://" if name == "memory" else f"sqlite:///{folder}/crawl.db"
            took = crawl(url, processes, site.seeds, file)
    if took.pages != wanted:
        raise RuntimeError(f"{name}, {processes} processes: {took.pages} pages fetched of {wanted}")
    return took
