"""Beginning a crawl that others work on: what it is goes into the engine, then its seeds are published."""

from __future__ import annotations

from dataclasses import replace

from airless.core.clock import Clock
from airless.core.errors import ConfigError, Conflict
from airless.core.ports import Engine, StateWrite
from airless.crawl.discovery import Discovery
from airless.crawl.http import private_seed_hosts, system_lookup
from airless.crawl.job import Job, job_named
from airless.crawl.orders import order, unpark
from airless.crawl.urls import host_of, seed
from airless.fleet.accounts import read_accounts
from airless.local.crawl.ledger import Ledger, Record
from airless.local.crawl.seeding import Seeding


async def begin(
    engine: Engine, job: Job, clock: Clock, *, pages: int | None = None
) -> tuple[Job, Record, Ledger]:
    """Begin the job, or take up the one of that name: the job as it was begun, its record, and who keeps that.

    A beginning that was cut off is finished, and a crawl that stands still goes on, to so many `pages` in all. Raises
    ConfigError where the name is another crawl's.
    """
    ledger = Ledger(engine, job.name)
    spider = job.make_spider()
    hosts = {host_of(seed(url)) for url in spider.start_urls}
    private = await private_seed_hosts(hosts, system_lookup(job.settings.http.resolve))
    job = await _recorded(engine, replace(job, private_hosts=frozenset(private)))
    record = await ledger.load()
    if record is None:
        record = Record(
            spider=job.spider,
            shards=job.shards,
            spread=job.spread,
            started_at=clock.now(),
            private_hosts=sorted(job.private_hosts),
            seeds=list(job.seeds),
        )
        await ledger.save(record)
    fetched = (await read_accounts(engine, job.layout)).counts.fetched
    await order(engine, job.layout, None, None if pages is None else max(0, pages - fetched))
    spider = job.make_spider()
    discovery = Discovery(job.settings, job.scope(spider), job.layout, lambda index: None)
    seeding = Seeding(engine, job.layout, discovery, ledger, spider, sitemaps=job.settings.sitemaps)
    await seeding.run(record)
    await unpark(engine, job.layout)
    return job, record, ledger


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
