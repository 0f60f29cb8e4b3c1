"""Crawls on workers: many shards at once in one process, and what is cut short goes on elsewhere."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp.web import Request, Response
from support.functions import Fleet
from support.web import Web, chain, linking, star
from support.workers import BrokerQueue, at_work, nothing_waits, until, worker

from airless.core.message import Message
from airless.core.ports import Delivery
from airless.crawl.orders import PAUSED, Orders, order, orders_of, parked, stop, unpark
from airless.crawl.settings import Http, Pace, Retry, Settings
from airless.functions.crawl import CrawlHost
from airless.worker.duty import Duty

QUICK = Settings(obey_robots=False)
HOSTS = [f"h{n}.test" for n in range(12)]
MANY_HOSTS = replace(QUICK, http=Http(resolve=dict.fromkeys(HOSTS, "127.0.0.1"), allow_private=True))


async def test_a_worker_brings_every_page_once() -> None:
    with Web({**star(60), **chain(6)}) as site:
        fleet = Fleet(QUICK)
        await fleet.begin(site.url())
        one = worker(fleet)
        async with at_work(one):
            await nothing_waits(fleet)
    assert fleet.item_urls() == sorted(site.url(path) for path in star(60))
    assert site.paths() == sorted(star(60))
    assert fleet.counts().waiting == 0
    done = one.standing().done
    assert done.pages["fetched", ""] == done.items == 61
    assert done.messages["frontier", "done"] >= 2


async def test_orders_are_looked_for_every_second(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[float] = []

    async def looked(*arguments: Any) -> Orders:
        looks.append(time.monotonic())
        return await orders_of(*arguments)

    monkeypatch.setattr("airless.functions.crawl.orders_of", looked)
    with Web({"/": linking()}, delay_s=2.0) as site:
        fleet = Fleet(QUICK, shards=1)
        await fleet.begin(site.url())
        async with at_work(worker(fleet)):
            await nothing_waits(fleet)
    assert 2 <= len(looks) <= looks[-1] - looks[0] + 2


async def test_a_page_that_fails_is_told_of_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    def elsewhere(request: Request) -> Response:
        return Response(status=302, headers={"Location": "/elsewhere"})

    with Web({"/gone": 404, "/broken": 500, "/round": elsewhere}) as site:
        urls = [site.url("/gone"), site.url("/broken"), site.url("/round"), "http://127.0.0.1:1/"]
        site.pages["/"] = linking(*urls)
        fleet = Fleet(replace(QUICK, retry=Retry(base_s=0.0, max_attempts=2), http=Http(max_redirects=0)))
        await fleet.begin(site.url())
        with caplog.at_level(logging.INFO):
            async with at_work(worker(fleet)):
                await nothing_waits(fleet)
    assert fleet.counts().failed == len(urls)
    told = [record.getMessage() for record in caplog.records]
    for url in urls:
        (line,) = [line for line in told if url in line]
        assert line.startswith(f"failed {url}: ")
        assert line.count(url) == 1


async def test_what_comes_for_a_shard_while_its_last_batch_is_closing_waits_for_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = CrawlHost.run

    async def closing_slowly(self: CrawlHost, *arguments: Any) -> list[Exception]:
        faults = await run(self, *arguments)
        await asyncio.sleep(0.05)
        return faults

    monkeypatch.setattr(CrawlHost, "run", closing_slowly)
    pages = chain(30)
    with Web(pages) as site:
        fleet = Fleet(QUICK, shards=1)
        await fleet.begin(site.url("/0"))
        one = worker(fleet)
        async with at_work(one):
            await nothing_waits(fleet)
    assert fleet.item_urls() == sorted(site.url(path) for path in pages)
    messages = one.standing().done.messages
    assert (messages["frontier", "done"], messages["frontier", "handed_back"]) == (30, 0)


async def test_workers_share_a_crawl_of_many_hosts_without_doing_a_page_twice() -> None:
    with Web(star(20), delay_s=0.02) as site:
        fleet = Fleet(MANY_HOSTS, shards=32)
        await fleet.begin(*(site.url("/", host) for host in HOSTS))
        workers = [worker(fleet) for _ in range(3)]
        async with at_work(*workers):
            await nothing_waits(fleet)
    assert fleet.item_urls() == sorted(site.url(path, host) for path in star(20) for host in HOSTS)
    assert len(site.requests()) == 21 * len(HOSTS)
    assert sum(one.standing().done.items for one in workers) == 21 * len(HOSTS)


async def test_all_crawlers_of_a_process_keep_to_its_number_of_requests() -> None:
    with Web(star(10), delay_s=0.02) as site:
        fleet = Fleet(MANY_HOSTS, shards=64)
        await fleet.begin(*(site.url("/", host) for host in HOSTS))
        async with at_work(worker(fleet, Duty("memory://", concurrency=6))):
            await nothing_waits(fleet)
        together = [asked.together for asked in site.requests()]
    assert len(together) == 11 * len(HOSTS)
    assert 4 <= max(together) <= 6


async def test_a_number_of_a_crawl_s_own_holds_for_all_its_shards_together() -> None:
    with Web(star(10), delay_s=0.02) as site:
        fleet = Fleet(replace(MANY_HOSTS, pace=Pace(concurrency=3)), shards=64)
        await fleet.begin(*(site.url("/", host) for host in HOSTS))
        async with at_work(worker(fleet)):
            await nothing_waits(fleet)
        assert max(asked.together for asked in site.requests()) == 3


async def test_a_worker_that_is_stopped_hands_back_what_it_has_and_another_ends_the_crawl() -> None:
    with Web(star(120), delay_s=0.05) as site:
        fleet = Fleet(replace(QUICK, pace=Pace(per_host=4)))
        await fleet.begin(site.url())
        async with at_work(worker(fleet)):
            await asyncio.to_thread(site.wait_for, 30)
        depth = await fleet.depth()
        assert depth.leased == 0
        assert depth.messages > 0
        assert all(entry.attempt == 0 for entry in fleet.store.topics[fleet.layout.topic].entries.values())
        before = len(site.requests())
        assert before < 121
        async with at_work(worker(fleet)):
            await nothing_waits(fleet)
    assert fleet.item_urls() == sorted(site.url(path) for path in star(120))
    assert len(site.requests()) == 121


async def test_what_takes_longer_than_the_grace_is_let_go_of_and_handed_back_uncharged() -> None:
    with Web({"/": linking()}, delay_s=30.0) as site:
        fleet = Fleet(QUICK)
        await fleet.begin(site.url())
        async with at_work(worker(fleet, Duty("memory://", grace_s=0.5))):
            await asyncio.to_thread(site.wait_for, 1)
        (entry,) = fleet.store.topics[fleet.layout.topic].entries.values()
        assert (entry.attempt, entry.leased) == (0, False)


async def test_leases_are_held_for_as_long_as_their_batch_is_under_way() -> None:
    with Web(star(4), delay_s=1.0) as site:
        fleet = Fleet(replace(QUICK, pace=Pace(per_host=1)))
        await fleet.begin(site.url())
        async with at_work(worker(fleet, Duty("memory://", lease_s=0.6)), worker(fleet)):
            await nothing_waits(fleet)
    assert len(site.requests()) == 5


async def test_a_batch_stops_where_its_leases_are_lost() -> None:
    with Web(star(40), delay_s=0.2) as site:
        fleet = Fleet(replace(QUICK, pace=Pace(per_host=1)), shards=1)
        await fleet.begin(site.url())
        async with at_work(worker(fleet, Duty("memory://", lease_s=0.6))):
            await asyncio.to_thread(site.wait_for, 3)
            topic = fleet.store.topics[fleet.layout.topic]
            for entry in [entry for entry in topic.entries.values() if entry.leased]:
                entry.receipt = "another's"
                topic.hold(entry, fleet.clock.now() + 60)
            await asyncio.sleep(2.0)
            asked = len(site.requests())
            assert asked < 10
            await asyncio.sleep(0.5)
            assert len(site.requests()) == asked


async def test_a_crawl_that_was_ordered_to_stop_is_parked_and_goes_on_later() -> None:
    with Web(star(5)) as site:
        fleet = Fleet(QUICK)
        await fleet.begin(site.url())
        engine = fleet.engine()
        await stop(engine, fleet.layout, PAUSED)
        async with at_work(worker(fleet)):
            await nothing_waits(fleet)
            assert site.requests() == []
            assert await parked(engine, fleet.layout) == 1
            await order(engine, fleet.layout, lambda standing: Orders())
            await unpark(engine, fleet.layout)
            await nothing_waits(fleet)
        assert site.paths() == sorted(star(5))


async def test_a_call_for_a_crawl_begins_it_and_one_that_says_nothing_is_given_up() -> None:
    with Web(star(5)) as site:
        fleet = Fleet(QUICK)
        calls = [
            Message(
                "frontier",
                {"spider": "support.crawling:LinkSpider", "job": "called", "seeds": [site.url()]},
                id="a",
            ),
            Message("frontier", {"nonsense": 1}, id="b"),
        ]
        await fleet.engine().queue.publish_many(calls)
        one = worker(fleet)
        async with at_work(one):
            await asyncio.to_thread(site.wait_for, 6)
            await until(lambda: not fleet.store.topics["frontier"].entries)
        assert one.standing().done.messages["frontier", "dead"] == 1


async def test_a_shard_that_fails_again_and_again_holds_up_no_other_and_is_charged() -> None:
    with Web({"/": linking()}) as site:
        fleet = Fleet(MANY_HOSTS, shards=64)
        await fleet.begin(*(site.url("/", host) for host in HOSTS))
        entries = fleet.store.topics[fleet.layout.topic].entries
        bad = next(entry.key for entry in entries.values())
        fleet.store.states[fleet.layout.shard_key(int(bad or ""))] = (1, b"damaged")
        async with at_work(worker(fleet)):
            await until(lambda: {entry.key for entry in entries.values()} == {bad})
            await until(lambda: all(entry.attempt > 1 for entry in entries.values()))


async def test_messages_that_kill_whoever_takes_them_are_given_up_unread() -> None:
    with Web({"/": linking()}) as site:
        fleet = Fleet(QUICK)
        await fleet.begin(site.url())
        topic = fleet.store.topics[fleet.layout.topic]
        for entry in topic.entries.values():
            entry.attempt = 20
        one = worker(fleet)
        async with at_work(one):
            await nothing_waits(fleet)
        assert site.requests() == []
        assert one.standing().done.messages == {("frontier", "dead"): 1}


async def test_who_works_on_a_shard_goes_on_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = chain(30)
    with Web(pages) as site:
        fleet = Fleet(QUICK, shards=1)
        await fleet.begin(site.url("/0"))
        one = worker(fleet)
        looks: list[list[str] | None] = []
        receive = BrokerQueue.receive

        async def once_for_all(self: BrokerQueue, topic: str, **how: Any) -> list[Delivery]:
            if looks and "keys" not in how:
                await fleet.clock.sleep(how["wait_s"])
                return []
            got = await receive(self, topic, **how)
            if got:
                looks.append(how.get("keys"))
            return got

        monkeypatch.setattr(BrokerQueue, "receive", once_for_all)
        async with at_work(one):
            await nothing_waits(fleet)
    assert fleet.item_urls() == sorted(site.url(path) for path in pages)
    assert looks == [None, *29 * [["0"]]]


async def test_who_has_too_much_to_do_lets_go_of_a_shard_and_another_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Web(star(60), delay_s=0.05) as site:
        fleet = Fleet(replace(MANY_HOSTS, pace=Pace(per_host=1)), shards=32)
        await fleet.begin(*(site.url("/", host) for host in HOSTS[:4]))
        laden, free = worker(fleet), worker(fleet)
        async with at_work(laden):
            await asyncio.to_thread(site.wait_for, 8)
            monkeypatch.setattr("airless.worker.crawling._TURN_S", 0.1)
            monkeypatch.setattr("airless.worker.crawling._TURNS_S", 0.01)
            assert laden._crawling is not None
            laden._crawling._load = SimpleNamespace(busy=True)  # type: ignore[assignment]
            async with at_work(free):
                await nothing_waits(fleet, longest_s=60)
    assert fleet.item_urls() == sorted(site.url(path, host) for path in star(60) for host in HOSTS[:4])
    assert len(site.requests()) == 61 * 4
    assert free.standing().done.items > 61
