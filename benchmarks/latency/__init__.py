"""How near does a crawl on one core come to the ideal, when the web is slow?

The server answers a request after a latency and costs next to nothing meanwhile: `fixed` is 300 ms over 200
hosts, `long_tailed` 50 to 2,000 ms, log-uniformly by URL, over 1,000. With 1,000 connections nobody gets more
than 1,000 pages in the mean latency: that is the ideal. Pages are of 2 to 5 KB with 15 links, or of 28 to
32 KB with 70. `airless crawl` starts from ten front pages, asks each host for its robots file and has to find
every page by links, each once; the bare loop knows all addresses, and shows what server and machine allow.

`of_ideal` is of the whole run, from the process's start to its exit; `middle_of_ideal` leaves out the first
and the last quarter of the pages, and can be a little over 1 where answers come in waves. Where `core_share`
is near 1, CPU is the limit and not the waiting. Run it on an idle machine: `load` tells if it wasn't.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path

from benchmarks.cache import cache_folder
from benchmarks.crawl.compiled import compile_python
from benchmarks.record import Table

from . import run
from .web import Latency, Web

_FIXED = Latency(0.3, 0.3)
_LONG_TAILED = Latency(0.05, 2.0)
CASES = {
    "fixed_small": Web(40_000, 200, _FIXED, 2_000, 5_000, links=15),
    "long_tailed_small": Web(40_000, 1_000, _LONG_TAILED, 2_000, 5_000, links=15),
    "fixed_large": Web(40_000, 200, _FIXED, 28_000, 32_000, links=70),
    "long_tailed_large": Web(40_000, 1_000, _LONG_TAILED, 28_000, 32_000, links=70),
}
LIMITS = run.Limits(connections=1_000, per_host=50)
QUICK = ("fixed_small",)
QUICK_LIMITS = run.Limits(connections=200, per_host=50)


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this benchmark alone."""
    parser.add_argument("--only", nargs="+", choices=CASES, metavar="CASE", help=", ".join(CASES))


def measure(*, quick: bool, only: list[str] | None = None) -> Table:
    """A row a case and contender. Raises SystemExit where there is no second core."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise SystemExit("This takes two cores: one for the server, one for the contender.")
    cache = cache_folder()
    compile_python(Path(sys.executable), cache, ours=True)
    webs = {case: CASES[case] for case in only or (QUICK if quick else CASES)}
    if quick:
        webs = {case: replace(web, pages=2_500, hosts=web.hosts // 5) for case, web in webs.items()}
    return compared(webs, QUICK_LIMITS if quick else LIMITS, (cores[0], cores[1]), cache)


def compared(webs: dict[str, Web], limits: run.Limits, cores: tuple[int, int], cache: Path) -> Table:
    """Every contender on every web, on the second of the cores."""
    rows = [
        {"case": case, **run.once(name, web, limits, cores, cache)}
        for case, web in webs.items()
        for name in run.CONTENDERS
    ]
    notes = {"connections": limits.connections, "per_host": limits.per_host}
    return Table(rows, libraries=("httptools", "orjson", "selectolax"), notes=notes)
