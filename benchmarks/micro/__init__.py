"""What does each stage of the hot path cost, beside other ways to do the same?

Pages of the generated site that `crawl` is measured on, about 30 KB and 71 links each. CPU time of this process
with all its threads, waits for the disk not included; a round takes all cases once, so that a busy moment hits
them alike; medians. A GET is what `fetch` measures, and takes nginx. `dedup` is in sets of a million URLs, with
--quick a hundred thousand. `resolve` of airless goes on until a link is deduplicated; most of the links of its
new pages are new too.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import ExitStack
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from airless.crawl.scan import spellings
from benchmarks import fetch
from benchmarks.crawl import peers
from benchmarks.micro import finding, keeping, reading
from benchmarks.micro.sample import Sample
from benchmarks.micro.timing import Case, measured, row
from benchmarks.record import Table

GET = "get"
STAGES: dict[str, Callable[[Sample, ExitStack], list[Case]]] = {
    "gunzip": reading.gunzip,
    "decode": reading.decode,
    "links": reading.links,
    "resolve": finding.resolving,
    "fingerprint": finding.fingerprinting,
    "dedup": finding.dedup,
    "pack": keeping.packing,
    "item": keeping.encoding,
    "commit": keeping.committing,
}
_LIBRARIES = ("aiohttp", "orjson", "selectolax", "url-py")


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this benchmark alone."""
    names = (GET, *STAGES)
    parser.add_argument("--only", nargs="+", choices=names, metavar="STAGE", help=", ".join(names))


def measure(*, quick: bool, only: list[str] | None = None) -> Table:
    """A row a candidate of each stage."""
    rounds = 5 if quick else 25
    sample = Sample.of(40, 100_000) if quick else Sample.of(200, 1_000_000)
    left_out: dict[str, str] = {}
    rows: list[dict[str, Any]] = []
    if only is None or GET in only:
        lacking = peers.missing_tools(tls=True)
        if lacking:
            left_out[GET] = f"it lacks {', '.join(lacking)}"
        else:
            rows += gets(fetch.measure(quick=quick))
    if spellings() is None:
        left_out["compiled"] = "airless._speed isn't installed, or turned off"
    with ExitStack() as stack:
        cases = [
            case
            for name, stage in STAGES.items()
            if only is None or name in only
            for case in stage(sample, stack)
        ]
        rows += measured(cases, rounds)
    inflaters = tuple(name for name in reading.INFLATERS if _installed(name))
    notes = {
        "rounds": rounds,
        "pages": len(sample),
        "page_bytes": sum(map(len, sample.bodies)) // len(sample),
        "known_urls": sample.known,
        "left_out": left_out,
    }
    return Table(rows, libraries=(*_LIBRARIES, *inflaters), notes=notes)


def gets(table: Table) -> list[dict[str, Any]]:
    """The rows of `fetch` as a stage."""
    return [
        row(GET, f"{each['contender']}, {each['answer']}", "page", each["median_us"], each["fastest_us"])
        for each in table.rows
    ]


def _installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True
