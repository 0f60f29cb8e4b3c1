"""Beginning a crawl that others work on: what it is goes into the engine, then its seeds are published."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from airless.core.clock import Clock
from airless.core.errors import ConfigError, Conflict
from airless.core.message import Message
from airless.core.ports import Engine, StateWrite
from airless.core.targets import load_target
from airless.crawl.discovery import Discovery
from airless.crawl.http import private_seed_hosts, system_lookup
from airless.crawl.job import Job, job_named
from airless.crawl.ledger import Ledger, Record
from airless.crawl.orders import CANCELLED, Orders, order, unpark
from airless.crawl.seeding import Seeding
from airless.crawl.spider import Spider
from airless.crawl.urls import host_of, seed
from airless.fleet.accounts import read_accounts

_CALL = {"spider": str, "job": str, "seeds": list, "max_pages": int}
_OTHERS_S = 0.2
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+")


def called(data: Mapping[str, Any], id: str, spider: type[Spider] | None = None) -> Job:
    """The job that a message on the topic of crawls calls for; what a schedule sends is one.

    Its `data`: ``spider`` is a target, ``seeds`` start it elsewhere, ``max_pages`` limits it. Without ``job`` the
    message's `id` gives the name, so that each message is a crawl, and a double of it the same one. `spider` is the
    target's class where that is at hand. Raises ConfigError.
    """
    for name, value in data.items():
        kind = _CALL.get(name)
        if kind is None:
            raise ConfigError(f"a call for a crawl has no {name!r}: it has {', '.join(_CALL)}")
        if type(value) is not kind:
            raise ConfigError(f"{name!r} of a call for a crawl can't be {value!r}")
    target = data.get("spider")
    if not target:
        raise ConfigError('a call for a crawl names its spider: {"spider": "module:Class"}')
    spider = spider or load_target(target, Spider)
    settings = spider.settings
    pages = data.get("max_pages")
    if pages is not None:
        if pages < 1:
            raise ConfigError(f"max_pages must be at least 1, not {pages}")
        settings = replace(settings, limits=replace(settings.limits, pages=pages))
    name = _NOT_IN_NAMES.sub("", data.get("job", id)).lstrip(".")
    if not name:
        raise ConfigError(f"no crawl can be named {data.get('job', id)!r}")
    if not all(isinstance(url, str) for url in data.get("seeds", ())):
        raise ConfigError(f"'seeds' of a call for a crawl can't be {data['seeds']!r}")
    seeds = tuple(dict.fromkeys(seed(url) for url in data.get("seeds", ())))
    if not seeds and not spider.start_urls and spider.start is Spider.start:
        raise ConfigError(f"{target} names no start_urls: the call for it has to name seeds")
    return Job(name, target, seeds, settings)


async def begin_called(engine: Engine, message: Message, clock: Clock) -> Job:
    """Begin the crawl that a message calls for: the job. Raises ConfigError, and what `begin` raises.

    A double of the call finishes a beginning that was cut off, and changes nothing else: the crawl may have been
    paused in the meantime.
    """
    job = called(message.data, message.id)
    record = await Ledger(engine, job.name).look()
    if record is not None and (record.all_seeded or record.status == CANCELLED):
        return job
    limits = job.settings.limits
    return (await begin(engine, job, clock, pages=limits.pages, time_s=limits.time_s))[0]


async def begin(
    engine: Engine, job: Job, clock: Clock, *, pages: int | None = None, time_s: float | None = None
) -> tuple[Job, Record, Ledger]:
    """Begin the job, or take up the one of that name: the job as it was begun, its record, and who keeps that.

    A beginning that was cut off is finished, and a crawl that stands still goes on, to so many `pages` in all and for
    `time_s` from now on. Raises ConfigError where the name is another crawl's, or that of one that was cancelled.
    """
    spider = job.make_spider()
    hosts = {host_of(seed(url)) for url in spider.start_urls}
    private = await private_seed_hosts(hosts, system_lookup(job.settings.http.resolve))
    job = await _recorded(engine, replace(job, private_hosts=frozenset(private)))
    fetched = (await read_accounts(engine, job.layout)).counts.fetched

    def going_on(standing: Orders) -> Orders:
        if standing.stop == CANCELLED:
            raise ConfigError(f"the crawl {job.name!r} was cancelled: give this one another --job")
        return limits_from_now(clock, pages, time_s, fetched=fetched)

    await order(engine, job.layout, going_on)
    record, ledger = await seeded(engine, job, clock)
    await unpark(engine, job.layout)
    return job, record, ledger


def limits_from_now(clock: Clock, pages: int | None, time_s: float | None, *, fetched: int = 0) -> Orders:
    """Orders to work until there are so many `pages` in all, of which some were `fetched`, for `time_s` at most."""
    return Orders(
        pages=None if pages is None else max(0, pages - fetched),
        most_pages=pages,
        until_s=None if time_s is None else clock.now() + time_s,
    )


async def seeded(engine: Engine, job: Job, clock: Clock) -> tuple[Record, Ledger]:
    """Publish the seeds of a job that nobody has published yet: its record, in which all are, and who keeps that.

    Who publishes them says with each batch, in the same commit, how far he has come. So several can do it, at once or
    after one of them has died, and each seed goes out once. The spider has to give its seeds in the same order again.
    """
    while True:
        ledger = Ledger(engine, job.name)
        try:
            record = await ledger.load()
            if record is None:
                record = _first_record(job, clock)
                await ledger.save(record)
            if record.all_seeded:
                return record, ledger
            spider = job.make_spider()
            discovery = Discovery(job.settings, job.scope(spider), job.layout, lambda index: None)
            seeding = Seeding(engine, job.layout, discovery, ledger, spider, sitemaps=job.settings.sitemaps)
            await seeding.run(record)
        except Conflict:
            # Somebody else has come further.
            await clock.sleep(_OTHERS_S)
            continue
        return record, ledger


def _first_record(job: Job, clock: Clock) -> Record:
    return Record(
        spider=job.spider,
        shards=job.shards,
        spread=job.spread,
        started_at=clock.now(),
        private_hosts=sorted(job.private_hosts),
        seeds=list(job.seeds),
    )


async def _recorded(engine: Engine, job: Job) -> Job:
    """The job of this name, which is this one unless it was begun before."""
    earlier = await job_named(engine, job.name)
    if earlier is None:
        try:
            await engine.state.commit(StateWrite(job.layout.job_key, job.to_json(), None))
        except Conflict:  # somebody began it at this moment
            earlier = await job_named(engine, job.name)
    if earlier is None:
        return job
    if (earlier.spider, sorted(earlier.seeds)) != (job.spider, sorted(job.seeds)):
        of = ", ".join(earlier.seeds) or "the start of its spider"
        raise ConfigError(
            f"the job {job.name!r} on this engine is of the spider {earlier.spider} from {of}: "
            "give this crawl another --job"
        )
    return earlier
