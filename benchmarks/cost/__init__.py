"""What does a crawl cost on AWS, ours against one message, one invocation, one page?

Both crawl the same web on emulated services: answers take 300 ms in the median, with a long tail. What is billed is
counted: every request as it goes out, in billed units, and each invocation's time, with its computing slowed to the
part of a processor that its memory buys. The naive way writes each link into a database on the condition that it
isn't there; it is generously billed (see `naive`) and, since each of its pages costs the same, may be stopped after
`--naive-pages`. Prices are of the table in `airless.cost.prices`, without free tiers and traffic out of the cloud;
what is stored is billed for a month.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import mean
from typing import Any

from airless.cost.bill import bill
from airless.cost.prices import AWS
from airless.cost.usage import Usage
from benchmarks.crawl.verdict import verify
from benchmarks.latency.serving import serving
from benchmarks.latency.web import Latency, Web
from benchmarks.record import Table, show
from tests.support.emulators import CREDENTIALS, ministack

from . import naive, ours
from .billing import a_million, say, tell

# The median is 300 ms, the mean 0.41 s, and one in a hundred takes 2 s.
LATENCY = Latency(0.03, 3.0, sigma=0.8)
WAYS = ("naive", "ours")
_LIMIT_S = 3_600.0


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this benchmark alone."""
    default = ours.Size()
    parser.add_argument("--only", choices=WAYS, help="one of the two")
    parser.add_argument("--pages", type=int, default=20_000, help="of the web; 20000")
    parser.add_argument("--hosts", type=int, default=4, help="of the web; 4")
    parser.add_argument("--naive-pages", type=int, default=1_000, help="the naive way stops there; 1000")
    parser.add_argument("--memory", type=int, default=default.memory_mb, help="of our function, in MB")
    parser.add_argument("--environments", type=int, default=default.environments, help="functions at once")
    parser.add_argument("--per-host", type=int, default=default.per_host, help="requests at once to a host")


def measure(
    *,
    quick: bool,
    only: str | None = None,
    pages: int = 20_000,
    hosts: int = 4,
    naive_pages: int = 1_000,
    memory: int = ours.Size().memory_mb,
    environments: int = ours.Size().environments,
    per_host: int = ours.Size().per_host,
) -> Table:
    """A row a way, and their bills line by line. The web is served on the first core."""
    web = Web(400 if quick else pages, hosts, LATENCY, 28_000, 32_000, links=70)
    size = ours.Size(memory_mb=memory, environments=environments, per_host=per_host)
    rows: list[dict[str, Any]] = []
    bills: dict[str, dict[str, float]] = {}
    for way in [only] if only else WAYS:
        row, bills[way] = once(way, web, size, most=60 if quick else naive_pages)
        rows.append(row)
        say(f"{way}: ${row['usd_a_million_pages']:,.3f} a million pages")
    if len(rows) == len(WAYS):
        rows[1]["cheaper"] = round(rows[0]["usd_a_million_pages"] / rows[1]["usd_a_million_pages"], 1)
    show(Table(tell(bills)))
    notes = {
        "pages": web.pages,
        "hosts": hosts,
        "links": web.links,
        "mean_latency_s": round(web.mean_latency_s(), 3),
        "per_host": per_host,
        "environments": environments,
        "prices": f"{AWS.region} {AWS.gathered}",
        "bills": bills,
    }
    return Table(rows, libraries=("aiobotocore", "botocore"), notes=notes)


def once(way: str, web: Web, size: ours.Size, *, most: int) -> tuple[dict[str, Any], dict[str, float]]:
    """A way's row and its bill, a million pages."""
    os.environ.update(CREDENTIALS)
    core = min(os.sched_getaffinity(0))
    with (
        tempfile.TemporaryDirectory() as folder,
        ministack(Path(folder) / "log") as endpoint,
        serving(web, core) as server,
    ):
        if way == "naive":
            return asyncio.run(_naive(server.web, endpoint, size.arch, most))
        output = Path(folder) / "out.jsonl"
        crawled = asyncio.run(ours.crawl(server.web, endpoint, size, output, limit_s=_LIMIT_S))
        return _judged(server.web, size, crawled, output)


async def _naive(web: Web, endpoint: str, arch: str, most: int) -> tuple[dict[str, Any], dict[str, float]]:
    async with naive.Naive(web, endpoint, arch=arch, at_once=64) as crawler:
        crawled = await crawler.crawl(most)
    expected = web.expected()
    right = all(expected.get(url) == title for url, title in crawled.titles.items())
    right = right and not crawled.repeated and len(crawled.titles) == min(most, web.pages)
    return _row("naive", naive.MEMORY_MB, len(crawled.titles), crawled.usage, right=right)


def _judged(
    web: Web, size: ours.Size, crawled: ours.Crawled, output: Path
) -> tuple[dict[str, Any], dict[str, float]]:
    crawled.usage.stored_bytes = output.stat().st_size
    verdict = verify(output, web.expected())
    row, billed = _row("ours", size.memory_mb, verdict.pages, crawled.usage, right=verdict.right)
    row |= {"seconds": round(crawled.seconds, 1), "faults": len(crawled.faults)}
    row["messages_a_batch"] = round(mean(crawled.batches), 2) if crawled.batches else 0.0
    row |= {f"{part}_usd": _part(usage, verdict.pages) for part, usage in crawled.parts.items()}
    if not verdict.right:
        say(f"WRONG: {verdict.example}")
    return row, billed


def _part(usage: Usage, pages: int) -> float:
    return a_million(bill(usage), pages)["all"]


def _row(
    way: str, memory_mb: int, pages: int, usage: Usage, *, right: bool
) -> tuple[dict[str, Any], dict[str, float]]:
    billed = a_million(bill(usage), pages)
    invocations = max(usage.invocations, 1)
    row = {
        "way": way,
        "usd_a_million_pages": billed["all"],
        "pages": pages,
        "memory_mb": memory_mb,
        "invocations": usage.invocations,
        "pages_an_invocation": round(pages / invocations, 1),
        "billed_ms_an_invocation": round(usage.billed_ms / invocations, 1),
        "gb_s_a_thousand_pages": round(sum(usage.gb_s.values()) / max(pages, 1) * 1e3, 3),
        "requests_a_thousand_pages": _a_thousand(usage.requests, pages),
        "right": right,
    }
    return row, billed


def _a_thousand(requests: Mapping[str, int], pages: int) -> float:
    return round(sum(requests.values()) / max(pages, 1) * 1e3, 1)
