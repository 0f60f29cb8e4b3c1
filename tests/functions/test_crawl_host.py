"""A crawl on functions: whatever is cut short goes on in the next invocation, at the hosts' pace."""

from __future__ import annotations

import asyncio
import gc
import time
from dataclasses import replace
from itertools import pairwise

import pytest
from aiohttp import web
from support.crawling import FastClock
from support.functions import Fleet
from support.web import Web, chain, linking, star

from airless.core.message import Message
from airless.core.ports import Commit, Delivery
from airless.core.steps import SteppedEngine
from airless.crawl.gate import ROBOTS_TRIES
from airless.crawl.orders import Orders, order, parked, stop, unpark
from airless.crawl.schedule import HostQueue
from airless.crawl.settings import Limits, Pace, Retry, Settings
from airless.crawl.shard import Shard
from airless.functions.aws_lambda_terms import terms_of
from airless.functions.crawl import Terms

QUICK = Settings(obey_robots=False, pace=Pace(per_host=8))


def kept_to(site: Web, delay_s: float) -> bool:
    """Whether requests came that far apart; on a busy machine one may be on its way for longer than the next."""
    gaps_s = site.gaps_s()
    return min(gaps_s) > delay_s / 2 and sum(gaps_s) > 0.95 * delay_s * len(gaps_s)


async def test_a_crawl_ends_with_every_page_once() -> None:
    with Web(star(50)) as site:
        fleet = Fleet(QUICK)
        await fleet.begin(site.url())
        host = fleet.process()
        await fleet.run(host)
        await host.aclose()
    assert fleet.item_urls() == sorted(site.url(path) for path in star(50))
    assert site.paths() == sorted(star(50))
    assert fleet.counts().waiting == 0


async def test_an_invocation_with_too_little_time_hands_the_rest_back_uncharged() -> None:
    pages = star(60)
    with Web(pages, delay_s=0.1) as site:
        fleet = Fleet(replace(QUICK, pace=Pace(per_host=4)))
        await fleet.begin(site.url())
        # 61 pages by four take 1.5 s, of which an invocation has 0.4 s until it may start nothing more.
        invocations = await fleet.run(fleet.process(), left_s=1.0)
    assert invocations > 4
    assert fleet.item_urls() == sorted(site.url(path) for path in pages)
    assert site.paths() == sorted(pages)


async def test_a_shard_is_left_alone_once_its_messages_are_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else may work on it then, and have merged and deleted segments that this process knows of."""
    monkeypatch.setattr("airless.crawl.seen_segments._DELTA_LIMIT", 1)
    monkeypatch.setattr("airless.crawl.seen_segments._MERGE_AT", 2)
    commits: list[Commit] = []
    counted = SteppedEngine.commit

    async def commit(self: SteppedEngine, commit: Commit) -> tuple[str, ...]:
        commits.append(commit)
        return await counted(self, commit)

    monkeypatch.setattr(SteppedEngine, "commit", commit)
    with Web(chain(6)) as site:
        fleet = Fleet(QUICK)
        await fleet.begin(site.url("/0"))
        await fleet.run(fleet.process())
    assert any(commit.delete for commit in commits), "nothing was merged"
    assert all(commit.settle for commit in commits)


async def test_a_shard_that_another_process_has_worked_on_is_let_go_of_at_once() -> None:
    """Its seen URLs are large, and the collector of garbage comes late to a process that waits for hosts."""
    with Web(chain(12)) as site:
        fleet = Fleet(QUICK)
        hosts = [fleet.process(), fleet.process()]
        await fleet.begin(site.url("/0"))
        gc.collect()
        gc.disable()
        try:
            turn = 0
            while deliveries := await fleet.receive():
                await fleet.invoke(hosts[turn % 2], deliveries)
                turn += 1
            there = [type(one) for one in gc.get_objects() if isinstance(one, (Shard, HostQueue))]
        finally:
            gc.enable()
        for host in hosts:
            await host.aclose()
    assert turn >= 12
    assert there.count(Shard) <= len(hosts)
    assert there.count(HostQueue) < turn // 2


async def test_cold_processes_finish_a_crawl_between_them() -> None:
    pages = chain(6)
    with Web(pages) as site:
        fleet = Fleet(QUICK)
        await fleet.begin(site.url("/0"))
        while (await fleet.depth()).messages:
            host = fleet.process()
            await fleet.invoke(host, await fleet.receive())
            await host.aclose()
    assert site.paths() == sorted(pages)
    assert fleet.item_urls() == sorted(site.url(path) for path in pages)


async def test_a_page_that_is_slower_than_the_rest_of_the_time_is_let_go_of_and_asked_for_again() -> None:
    stuck = asyncio.Event()

    def page(request: web.Request) -> web.Response:
        if not stuck.is_set():
            stuck.set()
            time.sleep(1.5)  # the server's thread alone
        return web.Response(text=linking(), content_type="text/html")

    with Web({"/": linking("/slow"), "/slow": page}) as site:
        fleet = Fleet(QUICK)
        await fleet.begin(site.url())
        host = fleet.process()
        await fleet.invoke(host, await fleet.receive())
        began = time.monotonic()
        ends = await fleet.invoke(host, deliveries := await fleet.receive(), left_s=1.0)
        assert time.monotonic() - began < 1.0
        assert set(ends.ended) == {delivery.receipt for delivery in deliveries}
        await fleet.run(host)
    assert fleet.item_urls() == [site.url(), site.url("/slow")]
    assert (fleet.counts().retries, fleet.counts().failed) == (0, 0)


async def test_a_page_that_no_invocation_has_the_time_for_fails_in_the_end() -> None:
    with Web({"/": linking()}, delay_s=60.0) as site:
        fleet = Fleet(replace(QUICK, retry=Retry(max_attempts=2, base_s=0.0)))
        await fleet.begin(site.url())
        await fleet.run(fleet.process(), left_s=1.5, most=10)
        assert len(site.requests()) == 2
    assert fleet.counts().failed == 1


async def test_a_host_whose_time_is_far_is_waited_for_by_the_queue() -> None:
    settings = replace(QUICK, pace=Pace(delay_s=3.0, jitter=0.0))
    with Web(star(2)) as site:
        fleet = Fleet(settings, terms=Terms(wait_at_most_s=0.5))
        await fleet.begin(site.url())
        host = fleet.process()
        began = time.monotonic()
        await fleet.invoke(host, await fleet.receive())  # "/" is fetched, and its links have to wait
        assert time.monotonic() - began < 1.0
        assert await fleet.receive() == []
        assert (await fleet.depth()).delayed == 1
        assert len(site.requests()) == 1


@pytest.mark.parametrize("warm", [True, False], ids=["warm", "cold"])
async def test_no_host_is_asked_faster_than_its_pace_over_several_invocations(warm: bool) -> None:
    settings = replace(QUICK, pace=Pace(delay_s=0.8, jitter=0.0))
    with Web(star(4)) as site:
        fleet = Fleet(settings, terms=Terms(wait_at_most_s=0.05))
        await fleet.begin(site.url())
        host = fleet.process()
        while (await fleet.depth()).messages:
            host = host if warm else fleet.process()
            if deliveries := await fleet.receive():
                await fleet.invoke(host, deliveries)
            await asyncio.sleep(0.01)
        assert len(site.requests()) == 5
        assert kept_to(site, 0.8)


@pytest.mark.parametrize("warm", [True, False], ids=["warm", "cold"])
async def test_a_crawl_delay_holds_over_several_invocations(warm: bool) -> None:
    robots = "User-agent: *\nCrawl-delay: 0.8\n"
    with Web({**star(4), "/robots.txt": robots.encode()}) as site:
        fleet = Fleet(Settings(), terms=Terms(wait_at_most_s=0.05))
        await fleet.begin(site.url())
        host = fleet.process()
        while (await fleet.depth()).messages:
            host = host if warm else fleet.process()
            if deliveries := await fleet.receive():
                await fleet.invoke(host, deliveries)
            await asyncio.sleep(0.01)
        assert len(site.requests()) == 5
        assert kept_to(site, 0.8)
        if warm:
            assert len(site.requests(robots=True)) == 6


@pytest.mark.parametrize("crawl_delay", [True, False])
async def test_who_takes_over_from_a_process_that_died_asks_no_host_before_its_pace(
    crawl_delay: bool,
) -> None:
    pages = {**star(3), **({"/robots.txt": b"User-agent: *\nCrawl-delay: 0.8\n"} if crawl_delay else {})}
    settings = Settings() if crawl_delay else replace(QUICK, pace=Pace(delay_s=0.8, jitter=0.0))
    with Web(pages, delay_s=0.1) as site:
        fleet = Fleet(settings, terms=Terms(wait_at_most_s=5.0))
        await fleet.begin(site.url())
        await fleet.invoke(fleet.process(), await fleet.receive())
        deliveries = await fleet.receive()
        dying = asyncio.create_task(fleet.invoke(fleet.process(), deliveries))
        await asyncio.to_thread(site.wait_for, 2)
        dying.cancel()
        await asyncio.wait({dying})
        # The broker counts the try of which nothing was heard any more.
        again = [replace(delivery, attempt=1) for delivery in deliveries]
        await fleet.invoke(fleet.process(), again)
        await fleet.run(fleet.process())
    assert fleet.item_urls() == sorted(site.url(path) for path in star(3))
    assert kept_to(site, 0.8)


async def test_the_tries_at_a_robots_txt_that_cannot_be_had_count_over_all_processes() -> None:
    with Web({"/": linking(), "/robots.txt": 503}) as site:
        fleet = Fleet(Settings(), terms=Terms(wait_at_most_s=0.5), clock=FastClock())
        await fleet.begin(site.url())
        while (await fleet.depth()).messages:
            if deliveries := await fleet.receive():
                await fleet.invoke(fleet.process(), deliveries, left_s=60.0)
            await asyncio.sleep(0.005)
        assert site.requests() == []
        assert len(site.requests(robots=True)) == ROBOTS_TRIES
    assert fleet.counts().skipped == {"robots_unreachable": 1}


async def test_a_crawl_by_levels_goes_on_over_several_invocations() -> None:
    pages = {"/": linking("/a", "/b"), "/a": linking("/c"), "/b": linking("/c"), "/c": linking("/d")}
    with Web({**pages, "/d": linking()}) as site:
        fleet = Fleet(replace(QUICK, limits=Limits(depth=2)), terms=Terms(wait_at_most_s=0.1))
        await fleet.begin(site.url())
        began = time.monotonic()
        await fleet.run(fleet.process())
        assert time.monotonic() - began < 5.0
        assert site.paths() == ["/", "/a", "/b", "/c"]


async def test_what_waits_for_turns_far_ahead_comes_back_after_them() -> None:
    settings = replace(QUICK, pace=Pace(delay_s=5.0, jitter=0.0))
    with Web(star(300)) as site:
        fleet = Fleet(settings, terms=Terms(wait_at_most_s=0.1))

        def waits() -> list[float]:
            topic = fleet.store.topics[fleet.layout.topic]
            return sorted(entry.visible_at - fleet.clock.now() for entry in topic.entries.values())

        await fleet.begin(site.url())
        host = fleet.process()
        await fleet.invoke(host, await fleet.receive())
        assert all(wait_s < 6.0 for wait_s in waits())
        assert await fleet.receive() == []
        await asyncio.sleep(max(waits()))
        await fleet.invoke(host, await fleet.receive())
        now, then = waits()
    assert len(site.requests()) == 2
    assert 4.0 < now < 6.0
    assert then > 500.0


async def test_an_invocation_makes_one_commit_where_it_ends_soon() -> None:
    with Web(star(40), delay_s=0.02) as site:
        fleet = Fleet(QUICK)
        await fleet.begin(site.url())
        host = fleet.process()
        invocations = await fleet.run(host)
    assert len(fleet.item_urls()) == 41
    assert fleet.commits == invocations == 2


async def test_a_warm_process_opens_nothing_twice_and_reads_each_state_once() -> None:
    with Web(chain(4)) as site:
        fleet = Fleet(QUICK)
        await fleet.begin(site.url("/0"))
        host = fleet.process()
        engine = await host.engine()
        invocations = await fleet.run(host)
        assert await host.engine() is engine
    loads = [key for key in fleet.loads if "/shard/" in key]
    assert len(loads) == invocations == 4
    assert fleet.loads.count(fleet.layout.job_key) == 1
    assert fleet.loads.count(fleet.layout.orders_key) <= 2


async def test_another_process_takes_over_what_a_warm_one_knew() -> None:
    with Web(chain(6)) as site:
        fleet = Fleet(QUICK)
        await fleet.begin(site.url("/0"))
        hosts = [fleet.process(), fleet.process()]
        turn = 0
        while (await fleet.depth()).messages:
            await fleet.invoke(hosts[turn % 2], await fleet.receive())
            turn += 1
        assert site.paths() == sorted(chain(6))


async def test_shards_of_a_batch_are_worked_on_side_by_side() -> None:
    with Web({"/": linking()}, delay_s=0.3) as site:
        fleet = Fleet(replace(QUICK, pace=Pace(per_host=1)), shards=64)
        fleet.job = replace(
            fleet.job,
            settings=replace(
                fleet.job.settings,
                http=replace(
                    QUICK.http, allow_private=True, resolve={f"h{n}.test": "127.0.0.1" for n in range(8)}
                ),
            ),
        )
        await fleet.begin(*(site.url("/", f"h{n}.test") for n in range(8)))
        host = fleet.process()
        deliveries = await fleet.receive()
        assert len({delivery.ordering_key for delivery in deliveries}) > 3
        began = time.monotonic()
        await fleet.invoke(host, deliveries)
        assert time.monotonic() - began < 1.5
        assert len(site.requests()) == 8


async def test_waiting_together_is_worth_more_than_waiting_alone() -> None:
    hosts = [f"h{n}.test" for n in range(12)]
    http = replace(QUICK.http, allow_private=True, resolve=dict.fromkeys(hosts, "127.0.0.1"))
    pace = Pace(delay_s=0.8, jitter=0.0)
    with Web({"/": linking("/a"), "/a": linking()}) as site:
        fleet = Fleet(replace(QUICK, http=http, pace=pace), shards=64, terms=Terms(wait_at_most_s=0.2))
        await fleet.begin(*(site.url(path, host) for host in hosts for path in ("/", "/a")))
        host = fleet.process()
        while (await fleet.depth()).ready and not site.requests():
            await fleet.invoke(host, await fleet.receive(100))
        # Alone a shard would be handed back after its first page; each has another that may start in 0.8 s.
        assert len(site.requests()) == 24


async def test_who_is_through_waits_for_the_others_no_longer_than_that_is_worth() -> None:
    hosts = ["few.test", "many.test"]
    http = replace(QUICK.http, allow_private=True, resolve=dict.fromkeys(hosts, "127.0.0.1"))
    with Web({"/": linking(), **{f"/{n}": linking() for n in range(40)}}, delay_s=0.1) as site:
        settings = replace(QUICK, http=http, pace=Pace(per_host=1))
        fleet = Fleet(settings, shards=64, terms=Terms(wait_at_most_s=0.2))
        await fleet.begin(site.url("/", "few.test"), *(site.url(f"/{n}", "many.test") for n in range(40)))
        host = fleet.process()
        deliveries = await fleet.receive()
        assert len({delivery.ordering_key for delivery in deliveries}) == 2
        began = time.monotonic()
        await fleet.invoke(host, deliveries)
        assert time.monotonic() - began < 2.0
        assert 2 < len(site.requests()) < 30
        # Alone it is waited for.
        assert await fleet.run(host) == 1
        assert len(site.requests()) == 41
        await host.aclose()
    assert fleet.counts().waiting == 0


async def test_a_function_s_memory_says_how_long_waiting_is_worth() -> None:
    small, large = (terms_of({"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": size}) for size in ("256", "2048"))
    assert small.wait_at_most_s == pytest.approx(8 * large.wait_at_most_s, rel=0.5)
    assert 0.1 < large.wait_at_most_s < small.wait_at_most_s < 10


async def test_a_shard_that_fails_leaves_its_messages_unsettled_and_the_others_done() -> None:
    http = replace(QUICK.http, allow_private=True, resolve={f"h{n}.test": "127.0.0.1" for n in range(8)})
    with Web({"/": linking("/there"), "/there": linking()}) as site:
        fleet = Fleet(replace(QUICK, http=http), shards=64)
        await fleet.begin(*(site.url("/", f"h{n}.test") for n in range(8)))
        host = fleet.process()
        await fleet.invoke(host, await fleet.receive())
        deliveries = await fleet.receive()
        bad = deliveries[0].ordering_key
        key = fleet.layout.shard_key(int(bad or ""))
        version, _ = fleet.store.states[key]
        fleet.store.states[key] = (version, b"damaged")
        ends = await fleet.invoke(fleet.process(), deliveries)
    left = {delivery.ordering_key for delivery in deliveries if delivery.receipt not in ends.ended}
    assert left == {bad}
    assert len(ends.faults) == 1


async def test_messages_of_a_crawl_that_there_is_not_are_laid_aside() -> None:
    fleet = Fleet(QUICK)
    message = Message("frontier/gone", {"url": "http://a.test/"}, ordering_key="1")
    queue = fleet.engine().queue
    await queue.publish_many([message])
    (delivery,) = await queue.receive("frontier/gone", limit=1, lease_s=30)
    ends = await fleet.invoke(fleet.process(), [delivery])
    assert delivery.receipt in ends.ended
    assert fleet.store.blobs[f"dead/frontier%2Fgone/{delivery.id}"] == delivery.body


async def test_a_message_that_somebody_published_by_hand_finds_its_shard() -> None:
    with Web({"/": linking()}) as site:
        fleet = Fleet(QUICK)
        await fleet.begin()
        await fleet.engine().queue.publish_many(
            [Message(fleet.layout.topic, {"requests": [{"url": site.url()}]})]
        )
        await fleet.run(fleet.process())
        assert fleet.item_urls() == [site.url()]


async def test_a_crawl_that_was_ordered_to_stop_is_parked_and_goes_on_later() -> None:
    with Web(star(5)) as site:
        fleet = Fleet(QUICK)
        await fleet.begin(site.url())
        engine = fleet.engine()
        await stop(engine, fleet.layout, "max_pages")
        await fleet.run(fleet.process())
        assert site.requests() == []
        assert await parked(engine, fleet.layout) == 1
        await order(engine, fleet.layout, lambda standing: Orders())
        await unpark(engine, fleet.layout)
        await fleet.run(fleet.process())
        assert site.paths() == sorted(star(5))


async def test_an_order_to_stop_reaches_who_is_at_work() -> None:
    with Web(star(200), delay_s=0.05) as site:
        fleet = Fleet(replace(QUICK, pace=Pace(per_host=1)), terms=Terms(look_s=0.1))
        await fleet.begin(site.url())
        host = fleet.process()
        await fleet.invoke(host, await fleet.receive())
        working = asyncio.create_task(fleet.invoke(host, await fleet.receive()))
        await asyncio.sleep(0.3)
        await stop(fleet.engine(), fleet.layout, "max_pages")
        await asyncio.wait_for(working, 2)
        assert len(site.requests()) < 30
        await fleet.run(host)
        assert await parked(fleet.engine(), fleet.layout) == 1


async def test_a_delivery_that_comes_twice_is_done_once() -> None:
    with Web(star(5)) as site:
        fleet = Fleet(QUICK)
        await fleet.begin(site.url())
        host = fleet.process()
        await fleet.invoke(host, await fleet.receive())
        (delivery,) = await fleet.receive()
        await fleet.invoke(host, [delivery])
        twice: list[Delivery] = [replace(delivery, receipt="another")]
        ends = await fleet.invoke(fleet.process(), twice)
        del ends
        await fleet.run(host)
        assert site.paths() == sorted(star(5))


async def test_a_retry_waits_in_the_queue() -> None:
    answers = [503, 200]

    def page(request: web.Request) -> web.Response:
        return web.Response(status=answers.pop(0), text=linking(), content_type="text/html")

    with Web({"/": page}) as site:
        fleet = Fleet(replace(QUICK, retry=Retry(base_s=0.5, cap_s=0.5)))
        await fleet.begin(site.url())
        await fleet.run(fleet.process())
        assert fleet.item_urls() == [site.url()]
    assert all(one.began_s < other.began_s for one, other in pairwise(site.requests()))
