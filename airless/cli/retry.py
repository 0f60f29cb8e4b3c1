"""``airless retry``: the pages of a crawl that failed, and what its workers died of, are tried again."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Collection, Mapping

import click
import orjson

from airless.cli.crawls import ENGINE, on
from airless.cli.redrive import brought_back, keeping
from airless.cli.stopping import said
from airless.core.clock import SystemClock
from airless.core.config import Config
from airless.core.errors import ConfigError
from airless.crawl.failed import Failure
from airless.crawl.job import job_named
from airless.engines import OpenEngine


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@ENGINE
@click.argument("job")
@click.option(
    "--reason", "reasons", multiple=True, metavar="REASON", help="Only pages that failed so. May be repeated."
)
@click.option("--list", "listed", is_flag=True, help="Only tell what has failed, and why; nothing is tried.")
@click.option("--json", "as_json", is_flag=True, help="With --list: one JSON object a line.")
def retry(url: str, job: str, reasons: tuple[str, ...], listed: bool, as_json: bool) -> None:
    """Try again what has failed of the crawl JOB: its pages, and messages of which its workers died.

    A page fails when it has been tried as often as the crawl's settings say, or at once where that can't help (404);
    airless crawls --json counts them by reason: http_500, timeout, spider_error… Mend what they failed of, then have
    them tried again, also when the crawl has finished. Each is asked for once more, with all of its tries, and what
    it leads to is crawled as well. What fails again can be tried again.

    Messages of which workers died time after time wait among the dead letters of the crawl's topic, and as long as they
    do the crawl doesn't finish; without --reason they are brought back, too. To look at them first:
    airless redrive frontier/JOB --list. JOB may be any other topic too, as for airless redrive.

    \b
    Examples:
      airless retry --engine redis://localhost weekly --list
      airless retry --engine redis://localhost weekly
      airless retry --engine redis://localhost weekly --reason http_503 --reason timeout

    \b
    Exit codes: 0 done, also where nothing has failed; 1 a fault; 2 wrong usage, or the crawl was cancelled.
    """
    if as_json and not listed:
        raise click.UsageError("--json goes with --list")
    if listed:
        asyncio.run(_list(url, job, reasons, as_json=as_json))
    else:
        click.echo("\n".join(asyncio.run(_retry(url, job, reasons))))


async def _retry(url: str, job: str, reasons: Collection[str]) -> list[str]:
    from airless.fleet.failures import retry as retry_failed

    async with on(url) as engine:
        if await job_named(engine, job) is None and not reasons:
            return [await _redriven(engine, url, job)]
        retried = await retry_failed(engine, job, SystemClock(), reasons)
    lines = []
    if retried.pages:
        lines.append(f"{_pages(sum(retried.pages.values()))} tried again: {_by_reason(retried.pages)}")
    if retried.messages:
        lines.append(brought_back(retried.messages, f"frontier/{job}"))
    if not lines:
        what = f"has failed for {' or '.join(reasons)}" if reasons else "has failed or was given up"
        return [f"nothing of {job} {what}"]
    return [*lines, said(retried.standing)]


async def _redriven(engine: OpenEngine, url: str, name: str) -> str:
    topic = Config.from_env(os.environ).topic(name)
    count = await keeping(engine.queue, url).redrive(topic)
    if not count:
        raise ConfigError(
            f"there is no job {name!r} on this engine (airless crawls lists those that are), and nothing was "
            f"given up on the topic {topic}"
        )
    return brought_back(count, topic)


async def _list(url: str, job: str, reasons: Collection[str], *, as_json: bool) -> None:
    from airless.fleet.failures import failures

    async with on(url) as engine:
        known = await job_named(engine, job)
        if known is None:
            raise ConfigError(f"there is no job {job!r} on this engine: airless crawls lists those that are")
        async for failure in failures(engine, known.layout):
            if not reasons or failure.reason in reasons:
                click.echo(
                    orjson.dumps(_fields(failure)) if as_json else f"{failure.reason}  {failure.request.url}"
                )


def _fields(failure: Failure) -> dict[str, object]:
    request = failure.request
    return {
        "url": request.url,
        "reason": failure.reason,
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(failure.at_s)),
        "tries": request.attempt + 1,
        "referrer": request.referrer,
    }


def _pages(count: int) -> str:
    return "1 page is" if count == 1 else f"{count:,} pages are"


def _by_reason(pages: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {reason}" for reason, count in pages.items())
