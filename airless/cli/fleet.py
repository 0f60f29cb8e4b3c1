"""``airless crawl --engine URL``: a crawl that others work on, begun and followed from here."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import click

from airless.cli.signals import on_stop
from airless.core.clock import SystemClock
from airless.core.errors import ConfigError
from airless.core.targets import load_target
from airless.crawl.job import Job, job_named
from airless.crawl.spider import Spider
from airless.deploy.sources import target_of
from airless.local.crawl import Plan, Result
from airless.local.crawl.run import Control

_HERE_ALONE = {
    "restart": "--restart begins a crawl of this machine anew; give this one another --job",
    "processes": "--processes is of this machine; there the engine's functions or workers do the work",
}


def job_of(plan: Plan, options: dict[str, Any]) -> Job:
    """The job that a command line with ``--engine`` means. Raises ConfigError for what is of this machine alone.

    Without ``--job`` each call is a crawl of its own.
    """
    for name, why in _HERE_ALONE.items():
        if options[name] not in {None, False, 1}:
            raise ConfigError(f"--{name.replace('_', '-')} can't be used with --engine: {why}")
    name = (
        plan.name if plan.job is not None else f"{plan.name}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}"
    )
    return Job(
        name=name,
        # By the name that it has in a package: a path of this machine says nothing to a function.
        spider=target_of(load_target(plan.spider, Spider)),
        seeds=plan.seeds,
        settings=plan.settings,
        allowed_domains=plan.allowed_domains,
    )


async def crawl_elsewhere(
    plan: Plan, job: Job, url: str, *, max_cost: float | None = None, quiet: bool
) -> Result:
    """Begin the job or take it up, follow it to its end, and write its items where the plan has an output.

    It stops when it has cost `max_cost` US dollars, as far as is known. Interrupted, it says how to come back, and the
    crawl goes on.
    """
    from airless.cli.progress import make_display
    from airless.cost.budget import CostBudget
    from airless.engines import open_engine
    from airless.fleet.begin import begin
    from airless.fleet.follow import Follower
    from airless.fleet.items import write_items

    display = make_display(job.settings.limits, quiet=quiet)
    control = Control(on_progress=display.update)
    with on_stop(control.interrupt):
        async with await open_engine(url) as engine:
            with display:
                display.say(f"The job is {job.name}.")
                job, record, ledger = await begin(
                    engine, job, SystemClock(), pages=plan.settings.limits.pages
                )
                follower = Follower(
                    engine,
                    job,
                    record,
                    ledger,
                    limits=plan.settings.limits,
                    control=control,
                    clock=SystemClock(),
                    budget=None if max_cost is None else CostBudget(max_cost),
                )
                result, accounts = await follower.run()
            if plan.output is not None and not control.interrupted:
                await write_items(engine, accounts.segments, plan.output)
                result.output = plan.output
            return result


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--engine", "url", required=True, metavar="URL", help="The engine that the crawl is on.")
@click.option("--job", required=True, metavar="NAME", help="The crawl's name: airless crawl told it.")
@click.option(
    "-o", "--output", required=True, metavar="PATH", help=".jsonl, .csv or .parquet; - is standard output."
)
def items(url: str, job: str, output: str) -> None:
    """Write a crawl's items into one file: those that are committed, while it runs or afterwards.

    \b
    Examples:
      airless items --engine 'aws://eu-west-1?bucket=my-crawls' --job weekly -o weekly.parquet
      airless items --engine 'aws://eu-west-1?bucket=my-crawls' --job weekly -o - | jq .title

    \b
    Exit codes: 0 written; 1 a fault; 2 wrong usage, or there is no such job.
    """
    number = asyncio.run(_items(url, job, output))
    click.echo(f"{number:,} items: {output}", err=True)


async def _items(url: str, job: str, output: str) -> int:
    from airless.engines import open_engine
    from airless.fleet.accounts import read_accounts
    from airless.fleet.items import write_items

    async with await open_engine(url) as engine:
        begun = await job_named(engine, job)
        if begun is None:
            raise ConfigError(f"there is no job {job!r} on {url}")
        accounts = await read_accounts(engine, begun.layout)
        await write_items(engine, accounts.segments, output)
        return accounts.counts.items
