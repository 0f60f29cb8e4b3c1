"""The number of requests at once finds its place by itself, against webs that are simulated."""

import asyncio
import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest
from support.crawling import Crawl
from support.pages import Page, Pages

from airless.core.clock import SystemClock
from airless.core.ports import Delivery
from airless.crawl.budget import Unlimited
from airless.crawl.concurrency import Bounds, Concurrency, Meter, Stretch
from airless.crawl.counts import Counts
from airless.crawl.held import Entry, Held
from airless.crawl.pace import HostPace
from airless.crawl.request import Request
from airless.crawl.schedule import HostQueue, Schedule
from airless.crawl.settings import Pace
from airless.crawl.workers import Workers

TICK_S = 0.5


@dataclass
class Web:
    """Answers what is under way, each `latency_s` after it began, but no more a second than it can.

    `cpu_s` is what a page costs the crawler. A share of the answers are faults: `faults` of the number at once.
    What is answered in one tick varies as counts of independent events do.
    """

    latency_s: float = 0.3
    most_a_second: float = 1e9
    cpu_s: float = 0.0001
    wanted: float = 1e9
    faults: Callable[[int], float] = lambda at_once: 0.0
    rng: random.Random = field(default_factory=lambda: random.Random(7))
    was: int = 64

    def tick(self, limit: int) -> Stretch:
        """Half a second. What ends in it began, in part, at the limit that was before."""
        early = min(1.0, self.latency_s / TICK_S)
        at_once = min(early * self.was + (1 - early) * limit, self.wanted)
        self.was = limit
        rate = min(at_once / self.latency_s, self.most_a_second, 1 / self.cpu_s)
        mean = rate * TICK_S
        ended = max(0, round(self.rng.gauss(mean, mean**0.5)))
        share = self.faults(limit)
        faults = sum(self.rng.random() < share for _ in range(ended)) if share else 0
        return Stretch(TICK_S, ended, faults, min(TICK_S, ended * self.cpu_s), limit <= self.wanted)


def limits(web: Web, seconds: float, concurrency: Concurrency | None = None) -> list[int]:
    """The limit after each tick."""
    concurrency = concurrency or Concurrency(Bounds())
    web.was = concurrency.limit
    return [concurrency.note(web.tick(concurrency.limit)) for _ in range(int(seconds / TICK_S))]


# Where the limit goes.


@pytest.mark.parametrize(("latency_s", "within_s"), [(0.2, 10), (0.3, 10), (2.0, 45)])
def test_where_only_latency_counts_the_limit_rises_to_its_bound(latency_s: float, within_s: float) -> None:
    assert limits(Web(latency_s), within_s)[-1] == 1_000


def test_a_busy_process_stays_where_it_began() -> None:
    assert set(limits(Web(latency_s=0.005, cpu_s=0.0005), 300)) == {64}


def test_a_process_that_became_busy_on_the_way_up_tries_what_less_does() -> None:
    fast = Web(latency_s=0.3)
    concurrency = Concurrency(Bounds())
    assert limits(fast, 15, concurrency)[-1] == 1_000
    busy = Web(latency_s=0.001, cpu_s=0.0005)
    assert limits(busy, 120, concurrency)[-1] < 400


@pytest.mark.parametrize(("latency_s", "enough"), [(0.3, 200), (0.1, 150), (1.0, 400)])
def test_where_more_brings_nothing_the_limit_settles(latency_s: float, enough: int) -> None:
    """No server answers more than `enough` at once: the rest waits there."""
    for seed in range(5):
        web = Web(latency_s, most_a_second=enough / latency_s, rng=random.Random(seed))
        seen = limits(web, 900)
        settled = seen[60:]
        assert max(seen) <= enough * 1.5**2
        assert sum(enough / 1.6 <= limit <= enough * 1.6 for limit in settled) > 0.8 * len(settled)


def test_it_doesnt_run_away_by_chance_where_little_is_measured() -> None:
    """Thirty answers a second vary by more than a step could bring."""
    for seed in range(5):
        assert max(limits(Web(most_a_second=30, rng=random.Random(seed)), 3_600)) <= 64 * 1.5**4


def test_a_hold_doubles_as_long_as_the_next_step_brings_nothing() -> None:
    seen = limits(Web(most_a_second=200 / 0.3), 900)
    risen = [n for n, (was, now) in enumerate(pairwise(seen)) if was < now == max(seen)]
    gaps = [after - before for before, after in pairwise(risen)]
    assert gaps == sorted(gaps)
    assert gaps[-1] > 4 * gaps[0]


@pytest.mark.parametrize("threshold", [100, 300])
def test_where_too_many_at_once_make_faults_the_limit_falls_back(threshold: int) -> None:
    web = Web(faults=lambda at_once: 0.9 if at_once > threshold else 0.02)
    seen = limits(web, 900)
    first = next(n for n, limit in enumerate(seen) if limit > threshold)
    assert min(seen[first : first + 6]) <= threshold
    over = sum(limit > threshold for limit in seen)
    assert over < 0.05 * len(seen)
    assert max(seen) <= 1.5 * threshold


def test_the_lower_bound_holds_where_everything_fails() -> None:
    web = Web(faults=lambda at_once: min(1.0, at_once / 64))
    assert min(limits(web, 300)) >= 16


@pytest.mark.parametrize("share", [0.15, 0.6])
def test_faults_that_have_nothing_to_do_with_it_dont_hold_it_down(share: float) -> None:
    assert limits(Web(faults=lambda at_once: share), 60)[-1] == 1_000


def test_a_web_that_answers_nothing_is_not_asked_more_at_once() -> None:
    silent = [Stretch(TICK_S, 0, 0, 0.0, held_back=True)] * 240
    concurrency = Concurrency(Bounds())
    assert max(map(concurrency.note, silent)) <= 96
    assert concurrency.limit == 64


def test_what_isnt_asked_for_isnt_offered() -> None:
    assert max(limits(Web(wanted=50), 60)) == 64
    assert max(limits(Web(wanted=100), 60)) <= 144


def test_the_same_web_at_another_time_is_tried_again() -> None:
    concurrency = Concurrency(Bounds())
    assert limits(Web(most_a_second=64 / 0.3), 120, concurrency)[-1] <= 96
    assert limits(Web(), 250, concurrency)[-1] == 1_000


# Bounds.


def test_a_number_is_kept_to() -> None:
    assert Bounds.of(5) == Bounds(5, 5, 5)
    assert Bounds.of(5).fixed
    assert not Bounds.of(None).fixed
    assert Pace().concurrency is None


def test_processes_share_the_bounds_and_have_one_request_each_at_the_least() -> None:
    assert Bounds().share(4) == Bounds(16, 4, 250)
    assert Bounds.of(3).share(8) == Bounds(1, 1, 1)


def test_bounds_keep_to_what_there_is_room_for() -> None:
    assert Bounds().within(300) == Bounds(64, 16, 300)
    assert Bounds().within(10) == Bounds(10, 10, 10)


# What is measured.


def test_only_what_was_asked_counts_and_only_what_may_be_overload_as_a_fault() -> None:
    meter, counts = Meter(), Counts()
    assert meter.read({0: counts}) == (0, 0)
    counts.fetched, counts.redirects, counts.retries = 10, 2, 3
    assert meter.read({0: counts}) == (15, 3)
    counts.failures = {"http_404": 5, "http_503": 1, "http_429": 1, "timeout": 1, "host_unreachable": 100}
    counts.skip("robots", 50)
    assert meter.read({0: counts}) == (8, 3)
    assert meter.read({0: counts}) == (0, 0)


def test_what_an_earlier_run_counted_is_no_rate() -> None:
    meter, old = Meter(), Counts()
    meter.read({})
    old.fetched = 1_000_000
    assert meter.read({3: old}) == (0, 0)
    old.fetched += 7
    assert meter.read({3: old}) == (7, 0)


# Workers and whole crawls.


class Bench:
    """Workers whose turns end when they are told to."""

    def __init__(self, hosts: dict[str, int], limit: int) -> None:
        pace = Pace(per_host=2, adaptive=False)
        self.schedule = Schedule(lambda host: HostQueue(host, HostPace(pace, random.Random(7))))
        self.workers = Workers(
            self.schedule, Unlimited(), SystemClock(), limit=limit, levels=None, deadline_s=math.inf
        )
        self.turns: list[asyncio.Event] = []
        held = Held(Delivery(topic="t", id="m", body=b"", receipt="r"), "m", 0, 1)
        for host, number in hosts.items():
            for _ in range(number):
                self.schedule.add(host, Entry(Request(f"http://{host}/"), held, 0))

    async def turn(self, queue: HostQueue, entry: Entry) -> None:
        over = asyncio.Event()
        self.turns.append(over)
        await over.wait()
        queue.pace.finished(time.time(), status=200, latency_s=0.0)
        self.workers.ended(1, 1)
        self.schedule.wake(queue)

    async def finish(self, number: int) -> None:
        """End that many turns, the oldest first, and see what comes of it."""
        for over in self.turns[:number]:
            over.set()
        del self.turns[:number]
        await self.settle()

    async def settle(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)


async def test_a_higher_limit_adds_workers_and_a_lower_one_lets_them_go_after_their_turn() -> None:
    bench = Bench({f"h{n}.test": 10 for n in range(20)}, limit=4)
    workers = bench.workers
    async with asyncio.TaskGroup() as group:
        workers.begin(group, bench.turn)
        await bench.settle()
        assert workers.under_way == 4
        assert workers.held_back
        workers.limit = 12
        assert not workers.held_back
        workers.pump()
        await bench.settle()
        assert workers.under_way == 12
        workers.limit = 5
        workers.pump()
        await bench.finish(4)
        assert workers.under_way == 8
        await bench.finish(8)
        assert workers.under_way == 5
        assert workers.waits == 0
        workers.stop()
        await bench.finish(5)


async def test_a_worker_that_goes_leaves_its_host_to_one_that_waits() -> None:
    bench = Bench({"a.test": 5}, limit=4)
    workers = bench.workers
    async with asyncio.TaskGroup() as group:
        workers.begin(group, bench.turn)
        await bench.settle()
        assert (workers.under_way, workers.waits) == (2, 0)
        workers.limit = 2
        await bench.finish(1)
        assert workers.under_way == 2
        await bench.finish(1)
        assert workers.under_way == 2
        workers.stop()
        await bench.finish(2)


async def test_workers_of_a_run_that_has_just_failed_begin_nothing() -> None:
    bench = Bench({f"h{n}.test": 1 for n in range(8)}, limit=2)
    workers = bench.workers

    async def fail() -> None:
        raise ValueError("something else of the run")

    def wake(failed: asyncio.Task[None]) -> None:
        workers.limit = 4
        workers.pump()

    async def run() -> None:
        async with asyncio.TaskGroup() as group:
            workers.begin(group, bench.turn)
            await bench.settle()
            group.create_task(fail()).add_done_callback(wake)

    with pytest.raises(ExceptionGroup) as failed:
        await run()
    assert [type(fault) for fault in failed.value.exceptions] == [ValueError]
    assert len(bench.turns) == 2


def many_hosts(latency_s: float) -> Crawl:
    return Crawl(Pages(lambda request: Page("", latency_s=latency_s)), shards=8)


async def test_a_crawl_of_slow_hosts_has_more_under_way_after_a_while() -> None:
    crawl = many_hosts(0.1)
    await crawl.seed(*(f"http://h{host}.test/{page}" for host in range(150) for page in range(60)))
    crawler = crawl.crawler()
    most = 0

    def risen() -> bool:
        nonlocal most
        most = max(most, crawler.in_flight)
        return most > 64

    await crawl.run(crawler, until=risen)
    assert crawler.limit >= most > 64
    await crawl.counts()


async def test_a_crawl_with_a_number_never_has_more_under_way() -> None:
    crawl = many_hosts(0.1)
    crawl.settings = replace(crawl.settings, pace=Pace(concurrency=30))
    await crawl.seed(*(f"http://h{host}.test/{page}" for host in range(50) for page in range(12)))
    crawler = crawl.crawler()
    seen: set[int] = set()

    def watched() -> bool:
        seen.add(crawler.in_flight)
        return False

    await crawl.run(crawler, until=watched)
    assert crawler.limit == max(seen) == 30
    assert len(crawl.fetcher.asked) == 600
