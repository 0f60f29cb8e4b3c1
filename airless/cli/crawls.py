"""``airless crawls``: the crawls on an engine, as a table or as JSON."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

import click
import orjson

from airless.core.at_once import each
from airless.core.clock import SystemClock
from airless.core.errors import ConfigError
from airless.crawl.orders import CANCELLED, PAUSED
from airless.engines import OpenEngine, open_engine
from airless.fleet.standing import Standing, jobs, looked_at

ENGINE = click.option(
    "--engine",
    "url",
    required=True,
    envvar="AIRLESS_ENGINE",
    metavar="URL",
    help="The engine that the crawls are on.  [env: AIRLESS_ENGINE]",
)

_AT_ONCE = 4
_COLUMNS = ("NAME", "SPIDER", "STATUS", "PAGES", "ITEMS", "ERRORS", "WAITING", "BEGAN", "TOOK", "LAST")
_NUMBERS = frozenset({"PAGES", "ITEMS", "ERRORS", "WAITING"})
_UNDER_WAY = {PAUSED: "pausing", "limited": "stopping"}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@ENGINE
@click.option("--status", "statuses", multiple=True, metavar="STATUS", help="Only those. May be repeated.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, with all counters.")
def crawls(url: str, statuses: tuple[str, ...], as_json: bool) -> None:
    """List the crawls on an engine, the latest first, and how each stands:

    \b
      waiting    begun, and nobody has worked on it yet
      running    at work
      paused     stands still until airless resume (pausing: what is under way ends first)
      limited    stands still at a limit (stopping: what is under way ends first)
      cancelled  ended for good before its time
      finished   has nothing left to do

    WAITING are the URLs that were found and are not crawled yet, LAST is how long ago something was committed. To look
    reads the state of each crawl that has not ended, which clouds bill; those that have ended cost one read.

    \b
    Examples:
      airless crawls --engine redis://localhost
      airless crawls --engine redis://localhost --status running --json | jq .fetched
    """
    found = asyncio.run(_standings(url))
    found = [one for one in found if not statuses or one.status in statuses]
    if as_json:
        for one in found:
            click.echo(orjson.dumps(one.to_dict()))
        return
    if not found:
        click.echo("there are no crawls on this engine" if not statuses else "there are no such crawls")
        return
    for line in table(found, time.time()):
        click.echo(line)


def table(standings: Sequence[Standing], now_s: float) -> list[str]:
    """The lines of a table, its head first."""
    rows = [_COLUMNS, *(_row(one, now_s) for one in standings)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if name in _NUMBERS else cell.ljust(width)
            for name, cell, width in zip(_COLUMNS, row, widths, strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def status_of(one: Standing) -> str:
    """The status in a word, which says too that something is still under way."""
    status = one.status if one.still else _UNDER_WAY.get(one.status, one.status)
    return f"{status} ({one.reason})" if one.status == "limited" else status


def span(seconds: float) -> str:
    """A time in one or two units."""
    left = max(0, int(seconds))
    if left < 60:
        return f"{left} s"
    if left < 3600:
        return f"{left // 60} min"
    if left < 86_400:
        return f"{left // 3600} h {left % 3600 // 60} min"
    return f"{left // 86_400} d {left % 86_400 // 3600} h"


@asynccontextmanager
async def on(url: str) -> AsyncIterator[OpenEngine]:
    """The engine of a URL. Raises ConfigError for one on which nobody else can work."""
    engine = await open_engine(url)
    async with engine:
        if engine.atomic:
            raise ConfigError(
                f"the crawls on {url.partition(':')[0]} are this machine's own: the airless crawl that began one shows "
                "it, Ctrl-C stops it, and the same command goes on with it"
            )
        yield engine


async def _standings(url: str) -> list[Standing]:
    clock = SystemClock()
    async with on(url) as engine:
        names = [name async for name in jobs(engine)]
        look = partial(looked_at, engine, clock=clock)
        found = await each(look, names, at_once=_AT_ONCE)
    return sorted(found, key=lambda one: -one.started_s)


def _row(one: Standing, now_s: float) -> tuple[str, ...]:
    counts = one.counts
    began = time.strftime("%Y-%m-%d %H:%M", time.localtime(one.started_s)) if one.started_s else "-"
    end_s = one.ended_s or now_s
    return (
        one.job,
        one.spider or "-",
        status_of(one),
        f"{counts.fetched:,}",
        f"{counts.items:,}",
        f"{counts.failed:,}",
        f"{0 if one.status == CANCELLED else max(0, counts.waiting):,}",
        began,
        span(end_s - one.started_s) if one.started_s else "-",
        f"{span(now_s - one.last_s)} ago" if one.last_s else "-",
    )
