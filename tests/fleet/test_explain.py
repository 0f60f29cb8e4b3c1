"""Why a page was fetched, skipped or still waits: what is told is true, and what can't be known is said to be so."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from aiohttp.web import Request, Response
from support.crawling import FastClock
from support.functions import Fleet
from support.web import Page, Web, linking, star
from support.workers import Broker

from airless.crawl.job import Job
from airless.crawl.settings import Dedup, Http, Limits, Pace, Settings
from airless.crawl.urls import canonical
from airless.fleet import traces
from airless.fleet.begin import begin
from airless.fleet.control import cancel, pause
from airless.fleet.explain import Case, Explained, explain
from airless.fleet.standing import standing_of
from airless.fleet.traces import _holds
from airless.functions.crawl import Terms

SETTINGS = Settings(http=Http(allow_private=True), dedup=Dedup(drop_parameters=("utm_*",)))
PAGES: dict[str, Page] = {
    "/": linking(
        "/a",
        "/b",
        "/private",
        "/gone",
        "http://elsewhere.test/",
        "/x/x/x/x/x/x/",
        "/a?utm_source=b",
        "/long?" + "x" * 3_000,
    ),
    "/a": linking("/deep"),
    "/b": linking(),
    "/deep": linking("/deeper"),
    "/deeper": linking(),
    "/private": linking(),
    "/robots.txt": b"User-agent: *\nDisallow: /private\n",
}


@pytest.fixture
def web() -> Any:
    with Web(PAGES) as server:
        yield server


async def begun(
    fleet: Fleet, web: Web, settings: Settings = SETTINGS, path: str = "/", domains: tuple[str, ...] = ()
) -> Job:
    seeds = (web.url(path),)
    job = Job("job", "support.crawling:LinkSpider", seeds, settings, domains, shards=4)
    return (await begin(fleet.engine(), job, fleet.clock))[0]


async def crawled(fleet: Fleet, web: Web, settings: Settings = SETTINGS) -> Job:
    job = await begun(fleet, web, settings)
    host = fleet.process()
    await fleet.run(host)
    await host.aclose()
    return job


async def asked(fleet: Fleet, job: Job, url: str, engine: Any = None, **changes: Any) -> Explained:
    standing = await standing_of(fleet.engine(), "job", fleet.clock)
    scope = job.scope(job.make_spider())
    case = Case(job.layout, job.settings, scope, job.seeds, job.private_hosts, standing.status)
    page = canonical(url)
    assert page is not None
    return await explain(engine or fleet.engine(), replace(case, **changes), page, fleet.clock)


async def test_of_a_crawl_that_has_finished_nearly_all_is_known(web: Web) -> None:
    fleet = Fleet()
    job = await crawled(fleet, web)
    fetched = await asked(fleet, job, web.url("/a#top"))
    assert (fetched.verdict, fetched.facts["item"]["url"]) == ("fetched", web.url("/a"))
    assert fetched.facts["robots"] == "allowed"
    assert fetched.facts["shard"] == job.layout.shard_of(f"127.0.0.1:{web.port}", 0)
    for path, verdict, why in [
        ("/a?utm_source=mail", "ended", "without giving an item"),
        ("/private", "skipped", "robots.txt forbids it"),
        ("/gone", "failed", "http_404; airless retry"),
        ("/x/x/x/x/x/x/", "skipped", "more often than 4 times; a page led to it"),
        ("/y/y/y/y/y/y/", "skipped", "more often than 4 times; no page has led to it"),
        ("/long?" + "x" * 3_000, "skipped", "longer than the 2,048 characters"),
        ("/q?" + "&".join(f"p{n}=" for n in range(60)), "skipped", "more than the 48 parameters"),
        ("/nothing", "not met", "no page of this crawl led to it"),
    ]:
        told = await asked(fleet, job, web.url(path))
        assert told.verdict == verdict, told
        assert why in told.why
    gone = (await asked(fleet, job, web.url("/gone"))).facts["failed"]
    assert (gone["reason"], gone["tries"], gone["referrer"]) == ("http_404", 1, web.url("/"))
    other = await asked(fleet, job, "http://elsewhere.test/", robots=False)
    assert (other.verdict, other.facts["scope"], other.facts["robots"]) == (
        "skipped",
        "outside",
        "not asked for",
    )
    assert "none of the crawl's (127.0.0.1); a page led to it" in other.why
    unknown = await asked(fleet, job, "http://elsewhere.test/", robots=False, scope=None)
    assert (unknown.verdict, unknown.facts["scope"]) == ("skipped", "not known")
    assert "refused where it was found" in unknown.why


async def test_the_limit_on_depth_is_told(web: Web) -> None:
    fleet = Fleet()
    job = await crawled(fleet, web, replace(SETTINGS, limits=Limits(depth=1), obey_robots=False))
    told = await asked(fleet, job, web.url("/deep"))
    assert (told.verdict, told.facts["robots"]) == ("skipped", "not heeded")
    assert "more than 1 links away" in told.why
    assert (await asked(fleet, job, web.url("/deeper"))).verdict == "not met"


async def test_what_waits_is_found_where_it_is_laid_aside() -> None:
    settings = replace(SETTINGS, pace=Pace(delay_s=30.0, jitter=0.0), obey_robots=False)
    with Web(star(3)) as web:
        fleet = Fleet(terms=Terms(wait_at_most_s=0.1, look_s=0.0))
        job = await begun(fleet, web, settings)
        seed = await asked(fleet, job, web.url("/"))
        assert (seed.verdict, seed.why) == ("waiting", "it is a seed, and its shard has not judged it yet")
        host = fleet.process()
        await fleet.invoke(host, await fleet.receive())
        assert (await asked(fleet, job, web.url("/"))).verdict == "fetched"
        waiting = await asked(fleet, job, web.url("/1"))
        assert (waiting.verdict, waiting.facts["in the queue"]) == ("waiting", True)
        assert "is in the queue" in waiting.why
        unmet = await asked(fleet, job, web.url("/unmet"))
        assert (unmet.verdict, unmet.facts["in the queue"]) == ("not met", False)
        # Not every queue can be searched.
        uncertain = await asked(fleet, job, web.url("/1"), Broker(fleet))
        assert (uncertain.verdict, uncertain.facts["in the queue"]) == ("uncertain", None)
        assert "one of 3 URLs of its shard that wait" in uncertain.why
        assert "This queue can't be searched" in uncertain.why
        assert (await asked(fleet, job, web.url("/unmet"), Broker(fleet))).verdict == "not met"
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(traces, "_MOST_MESSAGES", 0)
            assert (await asked(fleet, job, web.url("/1"))).verdict == "uncertain"
        await host.aclose()


async def test_what_has_ended_without_an_item_is_told_from_what_waits() -> None:
    settings = replace(SETTINGS, pace=Pace(delay_s=3.0, jitter=0.0), obey_robots=False)
    with Web({**star(4, "/there"), "/": moved_on}) as web:
        fleet = Fleet(terms=Terms(wait_at_most_s=0.1, look_s=0.0), clock=FastClock())
        job = await begun(fleet, web, settings)
        host = fleet.process()
        while fleet.counts().fetched < 1:
            await fleet.invoke(host, await fleet.receive())
            await asyncio.sleep(0.01)
        moved = await asked(fleet, job, web.url("/"))
        assert (moved.verdict, moved.facts["in the queue"]) == ("ended", False)
        assert "was a redirect" in moved.why
        assert (await asked(fleet, job, web.url("/1?utm_source=mail"))).verdict == "waiting"
        # Of a message that is in the queue some requests have ended.
        while fleet.counts().fetched < 2:
            await fleet.invoke(host, await fleet.receive())
            await asyncio.sleep(0.01)
        (doc,) = fleet.documents()
        assert doc["progress"]
        for n in range(1, 4):
            told = await asked(fleet, job, web.url(f"/{n}"))
            assert told.verdict == ("fetched" if web.url(f"/{n}") in fleet.item_urls() else "waiting")
            spelled = await asked(fleet, job, web.url(f"/{n}?utm_source=mail"))
            assert spelled.verdict == ("ended" if told.verdict == "fetched" else "waiting")
        await host.aclose()


def moved_on(request: Request) -> Response:
    return Response(status=302, headers={"Location": "/there"})


async def test_what_is_parked_or_dropped_is_told() -> None:
    with Web(star(3)) as web:
        fleet = Fleet(terms=Terms(look_s=0.0))
        job = await begun(fleet, web, replace(SETTINGS, obey_robots=False))
        host = fleet.process()
        await fleet.invoke(host, await fleet.receive())  # "/" is fetched, and its links are admitted
        await pause(fleet.engine(), "job", fleet.clock)
        await fleet.invoke(host, await fleet.receive())
        told = await asked(fleet, job, web.url("/1"))
        assert (told.verdict, told.why) == ("waiting", "it is laid aside, since the crawl is paused")
        assert (await asked(fleet, job, web.url("/unmet"))).verdict == "not met"
        await cancel(fleet.engine(), "job", fleet.clock)
        told = await asked(fleet, job, web.url("/1"))
        assert told.verdict == "uncertain"
        assert "was cancelled" in told.why
        await host.aclose()


async def test_a_seed_that_its_shard_has_not_seen_is_laid_aside() -> None:
    with Web(star(3)) as web:
        fleet = Fleet(terms=Terms(look_s=0.0))
        job = await begun(fleet, web, replace(SETTINGS, obey_robots=False))
        await pause(fleet.engine(), "job", fleet.clock)
        host = fleet.process()
        await fleet.invoke(host, await fleet.receive())
        told = await asked(fleet, job, web.url("/"))
        assert told.verdict == "waiting"
        assert "has not judged it yet: it is laid aside" in told.why
        await host.aclose()


async def test_what_was_sent_to_another_shard_is_told_before_that_has_judged_it() -> None:
    hosts = [f"h{n}.test" for n in range(6)]
    http = Http(allow_private=True, resolve=dict.fromkeys(hosts, "127.0.0.1"))
    with Web() as web:
        links = [web.url("/", host) for host in hosts]
        web.pages["/start"] = linking(*links)
        fleet = Fleet()
        job = await begun(fleet, web, replace(SETTINGS, obey_robots=False, http=http), "/start", ("*",))
        host = fleet.process()
        await fleet.invoke(host, await fleet.receive())
        told = {link: await asked(fleet, job, link) for link in links}
        home = (await asked(fleet, job, web.url("/start"))).facts["shard"]
        sent = [one for one in told.values() if one.facts["shard"] != home]
        assert sent
        for one in sent:
            assert (one.verdict, one.facts["met by shards"]) == ("waiting", [home])
            assert one.why == "a page led to it, and its shard has not judged it yet"
        await host.aclose()


def test_eight_bytes_of_two_neighbours_are_no_fingerprint() -> None:
    inside = bytes(range(1, 17))
    assert _holds(inside, inside[8:])
    assert not _holds(inside, inside[4:12])
    assert _holds(inside + inside[4:12], inside[4:12])


async def test_a_page_in_a_segment_of_fingerprints_is_found() -> None:
    pages = star(3_000)
    with Web(pages) as web:
        fleet = Fleet(shards=1)
        job = await begun(fleet, web, replace(SETTINGS, obey_robots=False))
        host = fleet.process()
        await fleet.invoke(host, await fleet.receive())
        (doc,) = fleet.documents()
        assert doc["segments"]
        await host.aclose()
        told = await asked(fleet, job, web.url("/17"))
        assert told.facts["seen"] is True
