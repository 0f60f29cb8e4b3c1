"""Crawls that a message calls for: begun once by each, with what the message says."""

from __future__ import annotations

from typing import Any

import pytest
from support.functions import Fleet
from support.web import Web, star

from airless.core.clock import SystemClock
from airless.core.errors import ConfigError
from airless.core.message import Message
from airless.core.ports import Delivery, Settlement
from airless.crawl.job import job_named
from airless.crawl.topics import FRONTIER
from airless.fleet.begin import begin_called, called

SPIDER = "support.crawling:LinkSpider"


def call(id: str = "weekly-2026-11-22T06:00:00Z", **data: Any) -> Message:
    return Message(FRONTIER, {"spider": SPIDER, **data}, id=id)


async def delivered(fleet: Fleet, message: Message) -> Delivery:
    queue = fleet.engine().queue
    await queue.publish_many([message])
    (delivery,) = await queue.receive(FRONTIER, limit=10, lease_s=60)
    return delivery


async def test_a_call_begins_a_crawl_that_goes_on_by_itself() -> None:
    pages = star(20)
    with Web(pages) as web:
        fleet = Fleet()
        host = fleet.process()
        called_for = await delivered(fleet, call(job="job", seeds=[web.url()]))
        ends = await fleet.invoke(host, [called_for])
        assert (ends.faults, ends.ended) == ([], {called_for.receipt: Settlement.done(called_for)})
        await fleet.run(host)
        await host.aclose()
        assert fleet.item_urls() == sorted(web.url(path) for path in pages)


async def test_a_call_that_comes_twice_begins_one_crawl() -> None:
    with Web() as web:
        fleet = Fleet()
        message = call(seeds=[web.url()])
        names = [(await begin_called(fleet.engine(), message, SystemClock())).name for _ in range(2)]
        assert names == ["weekly-2026-11-22T060000Z"] * 2
        job = await job_named(fleet.engine(), names[0])
        assert job is not None
        assert job.seeds == (web.url(),)


async def test_a_limit_on_pages_is_the_crawls() -> None:
    pages = star(20)
    with Web(pages) as web:
        fleet = Fleet()
        host = fleet.process()
        await fleet.invoke(host, [await delivered(fleet, call(job="job", seeds=[web.url()], max_pages=5))])
        await fleet.run(host)
        await host.aclose()
        assert fleet.counts().fetched == 5


@pytest.mark.parametrize(
    ("data", "what"),
    [
        ({}, "names no start_urls"),
        ({"seeds": ["not a URL"]}, "not a URL"),
        ({"seeds": [1]}, "'seeds'"),
        ({"seeds": "http://one.test/"}, "'seeds'"),
        ({"pages": 5}, "has no 'pages'"),
        ({"seeds": ["http://one.test/"], "max_pages": 0}, "at least 1"),
        ({"seeds": ["http://one.test/"], "job": "/"}, "no crawl can be named '/'"),
        ({"spider": ""}, "names its spider"),
        ({"spider": "support.crawling:Nothing"}, "Nothing"),
    ],
)
def test_a_call_that_says_nothing_sensible_is_refused(data: dict[str, Any], what: str) -> None:
    message = call(**data)
    with pytest.raises(ConfigError, match=what):
        called(message.data, message.id)


async def test_a_call_that_can_t_be_followed_has_no_end_and_the_others_do() -> None:
    with Web() as web:
        fleet = Fleet()
        good = await delivered(fleet, call("good", seeds=[web.url()]))
        bad = await delivered(fleet, call("bad"))
        broken = Delivery(FRONTIER, b"no JSON", "broken", "receipt broken")
        ends = await fleet.invoke(fleet.process(), [bad, broken, good])
        assert list(ends.ended) == [good.receipt]
        assert len(ends.faults) == 2
