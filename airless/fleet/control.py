"""Pausing, resuming and cancelling a crawl that others work on. Whoever does it, and when: what comes out is the same.

Each looks how the crawl stands first, and changes its orders by compare-and-set: of two who do it at once one comes
second, and sees what the first one did.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from airless.core.clock import Clock
from airless.core.errors import ConfigError
from airless.core.ports import Engine
from airless.crawl.job import Job, job_named
from airless.crawl.ledger import FINISHED, Ledger, Record
from airless.crawl.orders import CANCELLED, MAX_TIME, PAUSED, Orders, drop, order, unpark
from airless.fleet.begin import limits_from_now, seeded
from airless.fleet.standing import Look, Standing, standing_of

_POLL_S = 0.5
_LONGEST_POLL_S = 5.0
_SLOWER = 1.2


async def pause(engine: Engine, name: str, clock: Clock) -> Standing:
    """Have a crawl stop until it is resumed: how it stands. One that has ended or stands still already does so.

    Raises ConfigError where there is none, or it was cancelled.
    """
    job = await _job(engine, name)
    before = await standing_of(engine, name, clock)
    if before.status == FINISHED:
        return before

    def pausing(standing: Orders) -> Orders | None:
        _not_cancelled(standing, name, "paused")
        standing = _as_begun(standing, job, clock)
        now_s = clock.now()
        if standing.reason(now_s) is not None:
            return None
        left_s = None if standing.until_s is None else standing.until_s - now_s
        return replace(standing, stop=PAUSED, until_s=None, left_s=left_s)

    await order(engine, job.layout, pausing)
    return await standing_of(engine, name, clock)


async def resume(
    engine: Engine, name: str, clock: Clock, *, pages: int | None = None, time_s: float | None = None
) -> Standing:
    """Have a crawl go on, with its limits or with new ones, of `pages` in all and of the time from now on.

    Where its beginning was cut off, the other seeds are published. Raises ConfigError where there is none, it was
    cancelled, stands at a limit that is not raised, or has seeds that only its spider knows, which isn't here.
    """
    job = await _job(engine, name)
    before = await standing_of(engine, name, clock)
    if before.status == FINISHED:
        return before
    if not before.seeded:
        _spider_is_here(job)

    def resuming(standing: Orders) -> Orders | None:
        _not_cancelled(standing, name, "resumed")
        standing = _as_begun(standing, job, clock)
        if standing.number and standing.reason(clock.now()) is None and pages is time_s is None:
            return None
        return _going_on(standing, name, before.counts.fetched, clock.now(), pages, time_s)

    await order(engine, job.layout, resuming)
    # Also where all seem to be published: the last of them may not have gone out.
    await seeded(engine, job, clock)
    await unpark(engine, job.layout)
    return await standing_of(engine, name, clock)


async def cancel(engine: Engine, name: str, clock: Clock) -> Standing:
    """End a crawl for good: what waits is dropped, what was crawled stays. One that has finished stays as it is.

    Raises ConfigError where there is none.
    """
    job = await _job(engine, name)
    before = await standing_of(engine, name, clock)
    if before.status == FINISHED:
        return before

    def cancelling(standing: Orders) -> Orders | None:
        return None if standing.stop == CANCELLED else replace(standing, stop=CANCELLED)

    await order(engine, job.layout, cancelling)
    await drop(engine, job.layout)

    def end(record: Record) -> None:
        # Whoever follows the crawl may have written it down already.
        if record.status != CANCELLED:
            record.status = record.reason = CANCELLED
            record.ended_at = clock.now()
        # Final where nobody worked on it any more.
        if record.counts is None and before.still:
            record.counts = before.counts.to_dict()

    await Ledger(engine, name).amend(end)
    return await standing_of(engine, name, clock)


async def still(
    engine: Engine, name: str, clock: Clock, tell: Callable[[Standing], None] = lambda standing: None
) -> Standing:
    """Wait until a crawl that has to stop stands still, or goes on again; `tell` hears how it stands meanwhile."""
    look = Look(engine, name, clock)
    poll_s = _POLL_S
    while True:
        standing = await look.look()
        tell(standing)
        if standing.still or not standing.reason or standing.reason == CANCELLED:
            return standing
        await clock.sleep(poll_s)
        poll_s = min(_LONGEST_POLL_S, poll_s * _SLOWER)


def _going_on(
    standing: Orders, name: str, fetched: int, now_s: float, pages: int | None, time_s: float | None
) -> Orders:
    """Orders to go on, where the limits leave something to do. Raises ConfigError."""
    most = pages or standing.most_pages
    if most is not None and fetched >= most:
        raise ConfigError(
            f"{name!r} has {fetched:,} pages, and its limit is {most:,}: give a higher --max-pages"
        )
    until_s = standing.until_s
    if time_s is not None:
        until_s = now_s + time_s
    elif standing.stop == PAUSED and standing.left_s is not None:
        until_s = now_s + standing.left_s
    elif standing.reason(now_s) == MAX_TIME:
        raise ConfigError(f"the time of {name!r} is over: give it more with --max-time")
    elif standing.stop == "max_cost" and pages is None:
        raise ConfigError(
            f"the money of {name!r} is spent: give the airless crawl that began it once more, with --job and a "
            "higher --max-cost, or a limit of another kind here"
        )
    return replace(
        standing,
        stop=None,
        pages=None if most is None else most - fetched,
        most_pages=most,
        until_s=until_s,
        left_s=None,
    )


def _as_begun(standing: Orders, job: Job, clock: Clock) -> Orders:
    """The orders that stand; those of its settings where who began it died before he gave any."""
    if standing.number:
        return standing
    return limits_from_now(clock, job.settings.limits.pages, job.settings.limits.time_s)


def _spider_is_here(job: Job) -> None:
    """Raises ConfigError where it isn't."""
    try:
        job.make_spider()
    except ConfigError as error:
        raise ConfigError(
            f"the beginning of {job.name!r} was cut off, and only its spider knows its other seeds: have it go on "
            f"where that is ({error})"
        ) from error


def _not_cancelled(standing: Orders, name: str, done: str) -> None:
    if standing.stop == CANCELLED:
        raise ConfigError(
            f"{name!r} was cancelled, and can't be {done}: airless items has what it found, and a new crawl takes "
            "another --job"
        )


async def _job(engine: Engine, name: str) -> Job:
    job = await job_named(engine, name)
    if job is None:
        raise ConfigError(f"there is no job {name!r} on this engine: airless crawls lists those that are")
    return job
