"""``airless crawl --engine URL``: a crawl that others work on, begun and followed from here; and its items."""

from __future__ import annotations

import asyncio
import shlex
import time
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import click

from airless.cli.crawls import ENGINE, on
from airless.cli.signals import on_stop
from airless.cli.unanswered import told_of_nobody, told_of_silence
from airless.core.clock import SystemClock
from airless.core.errors import ConfigError
from airless.core.ports import Engine
from airless.core.targets import load_target
from airless.crawl.job import Job, job_named
from airless.crawl.ledger import RUNNING, Ledger, Record
from airless.crawl.orders import PAUSED
from airless.crawl.settings import Settings
from airless.crawl.spider import Spider
from airless.deploy.sources import target_of
from airless.local.crawl import Plan, Result
from airless.local.crawl.run import Control, Progress

_HERE_ALONE = {
    "restart": "it begins a crawl of this machine anew; give this one another --job",
    "processes": "it is of this machine; there the engine's functions or workers do the work",
    "state_dir": "the engine keeps what this crawl has to remember",
}
_UNASKED = {"restart": False, "processes": 1, "state_dir": Path(".airless")}
_WITH_FOLLOWERS = {
    "output": "items are there as the crawl finds them; write them with airless items, whenever you like",
    "stats_path": "the accounts are known at the end; airless crawls --json has them at any time",
    "max_cost": "what a crawl costs is added up by whoever follows it; limit it with --max-pages or --max-time, or "
    "follow it",
}
_NAMES = {"state_dir": "--state", "stats_path": "--stats"}


def job_of(plan: Plan, options: dict[str, Any]) -> Job:
    """The job that a command line with ``--engine`` means. Raises ConfigError for what is of this machine alone.

    Without ``--job`` each call is a crawl of its own.
    """
    for name, why in _HERE_ALONE.items():
        if options[name] != _UNASKED[name]:
            raise ConfigError(f"{_option(name)} can't be used with --engine: {why}")
    for name, why in _WITH_FOLLOWERS.items():
        if options["detach"] and options[name] is not None:
            raise ConfigError(f"{_option(name)} can't be used with --detach: {why}")
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


def crawl_elsewhere(plan: Plan, options: dict[str, Any], *, again: str, quiet: bool) -> Result:
    """Begin or take up a crawl, and follow it; where it goes on or stands still, say how to come back (`again`)."""
    job, url = job_of(plan, options), options["engine_url"]
    result = asyncio.run(_follow(plan, job, url, max_cost=options["max_cost"], quiet=quiet))
    if result.status == RUNNING:
        click.echo(f"The crawl goes on without this command.\n{ways(job.name, url, follow=again)}", err=True)
    elif result.status == PAUSED:
        click.echo(ways(job.name, url, resume=True), err=True)
    return result


def detach(plan: Plan, options: dict[str, Any], *, again: str, quiet: bool) -> None:
    """Begin a crawl and leave it: its name on standard output, and how to come back to it."""
    job, url = job_of(plan, options), options["engine_url"]
    asyncio.run(_begin_and_leave(plan, job, url, quiet=quiet))
    click.echo(job.name)
    if not quiet:
        click.echo(ways(job.name, url, follow=again), err=True)


async def _follow(plan: Plan, job: Job, url: str, *, max_cost: float | None, quiet: bool) -> Result:
    """Begin the job or take it up, follow it to its end, and write its items where the plan has an output.

    It stops when it has cost `max_cost` US dollars, as far as is known. Interrupted, it says how to come back, and the
    crawl goes on.
    """
    from airless.cli.progress import make_display
    from airless.cost.budget import CostBudget
    from airless.fleet.follow import Follower
    from airless.fleet.items import write_items

    display = make_display(job.settings.limits, quiet=quiet)
    nobody = told_of_nobody(url, display.say)

    def show(progress: Progress) -> None:
        display.update(progress)
        nobody(progress)

    control = Control(on_progress=show)
    with on_stop(control.interrupt):
        async with on(url) as engine:
            with display:
                display.say(f"The job is {job.name}.")
                with told_of_silence(url, display.say):
                    await job_named(engine, job.name)
                begun, record, ledger = await _begin(plan, job, engine)
                for name in _other_settings(job, begun):
                    display.say(f"{job.name} was begun with other {name}, which it keeps.")
                follower = Follower(
                    engine,
                    begun,
                    record,
                    ledger,
                    control=control,
                    clock=SystemClock(),
                    budget=None if max_cost is None else CostBudget(max_cost),
                )
                result, accounts = await follower.run()
            if plan.output is not None and not control.interrupted:
                await write_items(engine, accounts.segments, plan.output)
                result.output = plan.output
            return result


async def _begin_and_leave(plan: Plan, job: Job, url: str, *, quiet: bool) -> None:
    """Begin the job, or have it go on, and leave it to the engine's functions or workers."""
    async with on(url) as engine:
        with told_of_silence(url, lambda text: None if quiet else click.echo(text, err=True)):
            await job_named(engine, job.name)
        begun, _, _ = await _begin(plan, job, engine)
    for name in _other_settings(job, begun):
        click.echo(f"{job.name} was begun with other {name}, which it keeps.", err=True)


def ways(job: str, url: str, *, follow: str | None = None, resume: bool = False) -> str:
    """What can be done about a crawl that others work on, each with its command."""
    there = shlex.join(["--engine", url])
    name = shlex.quote(job)
    lines = []
    if follow is not None:
        words = follow if "--job" in shlex.split(follow) else f"{follow} --job {name}"
        lines.append(f"  follow it:     {words}")
    if resume:
        lines.append(f"  go on with it: airless resume {there} {name}")
    lines.append(f"  see it:        airless crawls {there}")
    lines.append(f"  get its items: airless items {there} --job {name} -o items.jsonl")
    if not resume:
        lines.append(f"  stop it:       airless pause {there} {name}")
    return "\n".join(lines)


def _option(name: str) -> str:
    return _NAMES.get(name, f"--{name.replace('_', '-')}")


async def _begin(plan: Plan, job: Job, engine: Engine) -> tuple[Job, Record, Ledger]:
    from airless.fleet.begin import begin

    limits = plan.settings.limits
    return await begin(engine, job, SystemClock(), pages=limits.pages, time_s=limits.time_s)


def _other_settings(asked: Job, begun: Job) -> list[str]:
    """The parts of the settings in which a job that was begun before is not as it is asked for now."""

    def comparable(job: Job) -> Settings:
        return replace(job.settings, limits=replace(job.settings.limits, pages=None, time_s=None))

    wanted, kept = comparable(asked), comparable(begun)
    other = [part.name for part in fields(Settings) if getattr(wanted, part.name) != getattr(kept, part.name)]
    if set(asked.allowed_domains) != set(begun.allowed_domains):
        other.append("allowed_domains")
    return [f"settings ({name})" for name in other]


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@ENGINE
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
    from airless.fleet.accounts import read_accounts
    from airless.fleet.items import write_items

    async with on(url) as engine:
        begun = await job_named(engine, job)
        if begun is None:
            raise ConfigError(f"there is no job {job!r} on {url}")
        accounts = await read_accounts(engine, begun.layout)
        await write_items(engine, accounts.segments, output)
        return accounts.counts.items
