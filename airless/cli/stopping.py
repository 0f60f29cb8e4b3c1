"""``airless pause``, ``resume`` and ``cancel``: crawls on an engine that are to stop, or to go on."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from functools import partial

import click

from airless.cli.crawls import ENGINE, on, status_of
from airless.core.clock import Clock, SystemClock
from airless.core.errors import ConfigError
from airless.core.ports import Engine
from airless.crawl.ledger import FINISHED, LIMITED
from airless.crawl.orders import CANCELLED, PAUSED
from airless.fleet import control
from airless.fleet.standing import Standing, standing_of

_HELP = {"help_option_names": ["-h", "--help"]}
_JOBS = click.argument("jobs", nargs=-1, required=True, metavar="JOB...")
_WAIT = click.option("--wait", is_flag=True, help="Return when they stand still.")

Change = Callable[[Engine, str, Clock], Awaitable[Standing]]


@click.command(context_settings=_HELP)
@ENGINE
@_JOBS
@_WAIT
def pause(url: str, jobs: tuple[str, ...], wait: bool) -> None:
    """Have crawls stop until they are resumed.

    Workers finish the pages under way, commit them, and lay aside in the object store what waits: a crawl that stands
    still keeps no queue busy and calls no function. Messages that were delayed are laid aside when their time comes.
    Nothing is lost, however long it stands.

    \b
    Examples:
      airless pause --engine redis://localhost weekly
      airless pause --engine redis://localhost weekly daily --wait && airless items …

    \b
    Exit codes: 0 ordered (or finished already); 1 a fault; 2 no such job, or cancelled.
    """
    _change(url, jobs, control.pause, wait=wait)


@click.command(context_settings=_HELP)
@ENGINE
@_JOBS
@click.option("--max-pages", type=click.IntRange(1), metavar="N", help="Stop after N pages in all.")
@click.option(
    "--max-time",
    type=click.FloatRange(0, min_open=True),
    metavar="SECONDS",
    help="Stop after this long from now.",
)
def resume(url: str, jobs: tuple[str, ...], max_pages: int | None, max_time: float | None) -> None:
    """Have crawls go on that were paused, or stand still at a limit; for the latter give a higher limit.

    What was laid aside is published again. Of a limit on time, what was left of it at the pause is left. Where whoever
    began the crawl died before all of its seeds were published, the others are; that needs the spider, here.

    \b
    Examples:
      airless resume --engine redis://localhost weekly
      airless resume --engine redis://localhost weekly --max-pages 20000

    \b
    Exit codes: 0 it goes on (or has finished); 1 a fault; 2 no such job, cancelled, or a limit that is not raised.
    """
    _change(url, jobs, partial(control.resume, pages=max_pages, time_s=max_time))


@click.command(context_settings=_HELP)
@ENGINE
@_JOBS
@click.option("-y", "--yes", is_flag=True, help="Don't ask.")
@_WAIT
def cancel(url: str, jobs: tuple[str, ...], yes: bool, wait: bool) -> None:
    """End crawls for good: what waits is dropped, what was crawled stays, for airless items.

    It can't be undone. With --wait they are paused first, and cancelled when the pages that were under way are
    committed.

    \b
    Examples:
      airless cancel --engine redis://localhost weekly
      airless cancel --engine redis://localhost weekly --yes --wait

    \b
    Exit codes: 0 cancelled (or finished already); 1 a fault, or not confirmed; 2 no such job.
    """
    if not yes:
        for job, standing in zip(jobs, asyncio.run(_looked_at(url, jobs)), strict=True):
            if standing.status in {FINISHED, CANCELLED}:
                continue
            waiting = max(0, standing.counts.waiting)
            click.confirm(
                f"{job} is {status_of(standing)}: {standing.counts.fetched:,} pages, {waiting:,} URLs wait. End it?",
                abort=True,
                err=True,
            )
    _change(url, jobs, _stopped_and_cancelled if wait else control.cancel)


async def _stopped_and_cancelled(engine: Engine, job: str, clock: Clock) -> Standing:
    """Cancel a crawl when the pages that were under way are committed."""
    standing = await standing_of(engine, job, clock)
    if standing.status != CANCELLED:
        standing = await control.pause(engine, job, clock)
    if not standing.still and standing.status != CANCELLED:
        await control.still(engine, job, clock, _Waiting().tell)
    return await control.cancel(engine, job, clock)


def _change(url: str, jobs: tuple[str, ...], change: Change, *, wait: bool = False) -> None:
    """Do it to each job; one that can't be changed keeps none of the others from it."""
    refused = asyncio.run(_changed(url, jobs, change, wait=wait))
    for error in refused:
        click.echo(f"Error: {error}", err=True)
    if refused:
        sys.exit(2)


async def _changed(url: str, jobs: tuple[str, ...], change: Change, *, wait: bool) -> list[ConfigError]:
    clock, refused = SystemClock(), list[ConfigError]()
    async with on(url) as engine:
        for job in dict.fromkeys(jobs):
            try:
                standing = await change(engine, job, clock)
            except ConfigError as error:
                refused.append(error)
                continue
            if wait and not standing.still:
                standing = await control.still(engine, job, clock, _Waiting().tell)
            click.echo(said(standing))
    return refused


async def _looked_at(url: str, jobs: tuple[str, ...]) -> list[Standing]:
    clock = SystemClock()
    async with on(url) as engine:
        return [await standing_of(engine, job, clock) for job in jobs]


def said(standing: Standing) -> str:
    """How a crawl stands, in a line."""
    counts, job = standing.counts, standing.job
    pages, waiting = f"{counts.fetched:,} pages", f"{max(0, counts.waiting):,} URLs wait"
    if standing.status == FINISHED:
        return f"{job} has finished: {pages}, {counts.items:,} items"
    if standing.status == CANCELLED:
        return f"{job} is cancelled: {pages}, {counts.items:,} items"
    if standing.status == PAUSED:
        how = "is paused" if standing.still else "pauses as soon as what is under way is done"
        return f"{job} {how}: {pages}, {waiting}"
    if standing.status == LIMITED:
        return f"{job} stands at its limit ({standing.reason}): {pages}, {waiting}"
    return f"{job} goes on: {pages}, {waiting}"


class _Waiting:
    """Tells of what is waited for, when that has changed."""

    def __init__(self) -> None:
        self._told = ""

    def tell(self, standing: Standing) -> None:
        pages, parked, out = standing.counts.fetched, standing.parked, max(0, standing.left - standing.parked)
        told = f"{standing.job}: {pages:,} pages, {parked:,} messages laid aside, {out:,} to come"
        if told != self._told and not standing.still:
            self._told = told
            click.echo(told, err=True)
