"""``airless retry``: what a crawl has given up comes back."""

from __future__ import annotations

import asyncio
import os

import click

from airless.cli.crawls import ENGINE, on
from airless.cli.redrive import brought_back, keeping
from airless.core.config import Config
from airless.core.errors import ConfigError
from airless.crawl.job import job_named
from airless.crawl.orders import CANCELLED, orders_of


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@ENGINE
@click.argument("job")
def retry(url: str, job: str) -> None:
    """Bring back what the crawl JOB has given up: the messages of which its workers died, time after time.

    They wait among the dead letters of the crawl's topic, and as long as they do the crawl doesn't finish. Mend what
    the workers died of, then bring them back; their tries count from the start. To look at them first:
    airless redrive frontier/JOB --list. JOB may be any other topic too, as for airless redrive.

    Pages that failed (an error of the server, a host that is gone) were tried as often as the crawl's settings say.
    They are counted by reason, and not kept: crawl them with a new crawl that starts from them.

    \b
    Examples:
      airless retry --engine redis://localhost weekly
      airless retry --engine 'aws://eu-west-1?bucket=my-crawls' weekly

    \b
    Exit codes: 0 done, also where nothing was given up; 1 a fault; 2 wrong usage, or the crawl was cancelled.
    """
    topic, count = asyncio.run(_retry(url, job))
    click.echo(brought_back(count, topic))


async def _retry(url: str, job: str) -> tuple[str, int]:
    async with on(url) as engine:
        known = await job_named(engine, job)
        if known is None:
            topic = Config.from_env(os.environ).topic(job)
            count = await keeping(engine.queue, url).redrive(topic)
            if not count:
                raise ConfigError(
                    f"there is no job {job!r} on this engine (airless crawls lists those that are), and nothing was "
                    f"given up on the topic {topic}"
                )
            return topic, count
        if (await orders_of(engine, known.layout)).stop == CANCELLED:
            raise ConfigError(f"{job!r} was cancelled: what would come back would be dropped")
        return known.layout.topic, await keeping(engine.queue, url).redrive(known.layout.topic)
