"""The crawl operator: frontier messages in, pages visited side by side, one commit for all that came of it.

The same code runs as a sliding window (it receives until it is told to stop) and as a one-shot (an inbox
that gives a batch and no more, and a deadline). The intake fills the schedule, workers take whose turn it
is, what a visit changes is applied in one step without waiting, and commits make it durable in groups.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Callable, Iterable, Sequence

from airless.core.clock import Clock
from airless.core.errors import AirlessError
from airless.core.ports import Engine
from airless.crawl.budget import Budget, Unlimited
from airless.crawl.commits import OFTEN, Cadence, Commits
from airless.crawl.concurrency import Bounds, Concurrency, Meter, Stretch
from airless.crawl.counts import Counts
from airless.crawl.discovery import Discovery
from airless.crawl.fetch import Fetcher, QuickFetcher
from airless.crawl.gate import Gate
from airless.crawl.held import Entry
from airless.crawl.inbox import Inbox
from airless.crawl.intake import LOW, Intake
from airless.crawl.lane import Ended, Lanes
from airless.crawl.layout import Layout
from airless.crawl.levels import Board, Levels, OwnBoard
from airless.crawl.places import Places
from airless.crawl.request import Follow, Request
from airless.crawl.robots_cache import RobotsCache
from airless.crawl.schedule import HostQueue, Schedule
from airless.crawl.scope import Scope
from airless.crawl.settings import Settings
from airless.crawl.shard import Shard
from airless.crawl.shards import Shards
from airless.crawl.spider import Spider
from airless.crawl.stint import Stint
from airless.crawl.visit import Outcome, Visitor
from airless.crawl.warm import WarmShards
from airless.crawl.workers import Workers

LEASE_S = 120.0
LOOK_S = 0.5


class Crawler:
    """One process's part of a crawl. `run` ends after `stop`, with the inbox, or with the first fault.

    `robots` and `warm` shards are what outlives it, in hosts that make one crawler after the other. `wary`: the one
    before may have died over these messages, and asked any of their hosts just then. `others_wait` says that nobody
    else in this invocation has work soon, so that waiting has its price. `places` bound what all crawlers of a process
    have under way together. `on_quiet` is called where a commit leaves it quiet.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        layout: Layout,
        spider: Spider,
        settings: Settings,
        scope: Scope,
        fetcher: Fetcher,
        inbox: Inbox,
        clock: Clock,
        owns: Callable[[int], bool] = lambda index: True,
        budget: Budget | None = None,
        board: Board | None = None,
        bounds: Bounds | None = None,
        stint: Stint | None = None,
        cadence: Cadence = OFTEN,
        robots: RobotsCache | None = None,
        warm: WarmShards | None = None,
        wary: bool = False,
        others_wait: Callable[[], bool] = lambda: True,
        places: Places | None = None,
        rng: random.Random | None = None,
    ) -> None:
        rng = rng or random.Random()  # noqa: S311 - jitter, no secret
        budget = budget or Unlimited()
        self._stint = stint or Stint()
        self._others_wait = others_wait
        self._bounds = bounds or Bounds.of(settings.pace.concurrency)
        self._inbox = inbox
        self._clock = clock
        self._shards = Shards(engine, layout, settings, owns=owns, rng=rng, warm=warm)
        if wary:
            self._shards.wary_at = clock.now()
        self._schedule = Schedule(lambda host: self._shards.new_host(host, probing=self._gate.probes))
        if settings.limits.depth is not None:
            self._shards.levels = Levels(board or OwnBoard())
        self._discovery = Discovery(
            settings,
            scope,
            layout,
            self._shards.owned,
            entered=self._shards.entered if self._shards.levels is not None else None,
            # A one-shot forgets what it offered before it meets most of it again, and each offer is a message's part.
            keeps_offers=not inbox.endless,
        )
        self._visitor = Visitor(spider, settings, fetcher, clock, rng)
        self._gate = Gate(settings, fetcher, clock, self._opened, robots)
        self._workers = Workers(
            self._schedule,
            budget,
            clock,
            limit=self._bounds.start,
            levels=self._shards.levels,
            deadline_s=self._stint.stop_s,
            places=places,
        )
        self._lanes: Lanes | None = None
        if isinstance(fetcher, QuickFetcher):
            self._lanes = Lanes(
                fetcher,
                self._visitor,
                self._gate,
                clock,
                ended=self._ended,
                following=self._workers.following,
            )
        self._intake = Intake(
            inbox,
            self._shards,
            self._schedule,
            self._discovery,
            self._workers,
            budget,
            clock,
            lambda: self._commits.changed(),
        )
        self._commits = Commits(
            engine,
            self._shards,
            self._schedule,
            self._workers,
            clock,
            self._committed,
            cadence,
            committing=self._put_off,
            spent=self._stint.spent,
        )
        self._cut = False
        self._workers.on_idle = self._commits.changed
        self.on_quiet: Callable[[], None] = lambda: None

    def shard_counts(self) -> dict[int, Counts]:
        """The counters of the shards in hand, as of now: what is shown, not what is durable."""
        return {shard.index: shard.counts for shard in self._shards}

    def counted(self) -> Counts:
        """What it has done itself until now, durable or not."""
        return self._shards.counted()

    @property
    def in_flight(self) -> int:
        return self._workers.under_way

    @property
    def limit(self) -> int:
        """How many may be in flight, as things stand."""
        return self._workers.limit

    @property
    def hosts(self) -> int:
        return self._schedule.hosts

    @property
    def quiet(self) -> bool:
        """Nothing is in hand, under way or uncommitted."""
        return not (self._workers.under_way or self._schedule.size or self._commits.pending)

    @property
    def starved(self) -> bool:
        """Nothing is under way, and nothing may start (the page budget is spent)."""
        return self._workers.starved and not self._commits.pending

    @property
    def rests_until_s(self) -> float:
        """When something may start (epoch), as far as time alone decides; -inf while something is under way."""
        if self._workers.under_way or self._schedule.has_ready:
            return -math.inf
        return self._schedule.next_at()

    @property
    def stalled(self) -> bool:
        """Nothing of what is in hand may start for longer than is worth waiting."""
        rest_s = self.rests_until_s - self._clock.now()
        return self._schedule.size > 0 and rest_s > self._stint.wait_at_most_s

    def _is_over(self) -> bool:
        """There is nothing left to do with what a one-shot was given, or not for now."""
        return self.quiet or self.starved or (self.stalled and self._others_wait())

    def stop(self) -> None:
        """Start nothing more, finish what is under way, commit, hand the rest back."""
        self._workers.stop()
        self._intake.wake()
        self._commits.changed()

    def cut_off(self) -> None:
        """Stop, and let go of what is under way: it is handed back as if it had never begun."""
        self.stop()
        now = self._clock.now()
        self._cut = True
        for queue in self._schedule.under_way():
            self._shards.touch(queue.host)
            while queue.pace.in_flight:
                queue.pace.finished(now, status=None, latency_s=0.0)
        self._workers.cut_off()

    async def run(self) -> None:
        """Crawl. Raises what made it impossible to go on; everything committed before stays."""
        try:
            if self._shards.levels is not None:
                await self._shards.load_stored()
            async with asyncio.TaskGroup() as group:
                self._workers.begin(group, self._turn)
                adapting = group.create_task(self._adapt())
                intake = group.create_task(self._intake.run(self._is_over, self.stop))
                watch = group.create_task(self._keep_stint())
                leases = group.create_task(self._keep_leases())
                commits = group.create_task(self._commits.run())
                await self._workers.stopping.wait()
                adapting.cancel()
                self._intake.wake()
                await intake
                self._workers.pump()
                await self._workers.drained()
                watch.cancel()
                self._commits.close()
                await commits
                leases.cancel()
                self._intake.hand_back(least_s=self._stint.wait_at_most_s if self.stalled else 0.0)
                await self._commits.commit()
            self._shards.keep_warm()
        except BaseExceptionGroup as failures:
            raise first_fault(failures) from failures
        finally:
            self._workers.close()

    def let_go(self) -> None:
        """Forget shards and hosts, once it has run and been counted.

        Its parts know each other, so that it is there until garbage is collected: seen URLs are too much for that.
        """
        self._shards.let_go()
        self._discovery.let_go()
        self._schedule.let_go()

    async def _turn(self, queue: HostQueue, entry: Entry) -> None:
        if self._lanes is not None:
            left = await self._lanes.run(queue, entry)
            if left is None:
                return
            queue, entry, begun = left
            if begun is not None:
                self._ended([(queue, entry, await self._visitor.finish(entry.request, *begun))])
                return
        request = entry.request
        outcome = None
        if not self._gate.passes(queue, request.url, self._clock.now()):
            outcome = await self._gate.check(queue, request.url)
        if outcome is None:
            outcome = await self._visitor.visit(request, last_try=queue.pace.unreachable)
        self._ended([(queue, entry, outcome)])

    def _ended(self, ended: Sequence[Ended]) -> None:
        """What came of turns that ended together."""
        if self._cut:
            return
        now = self._clock.now()
        for queue, _, outcome in ended:
            queue.pace.finished(now, outcome.status, outcome.latency_s, outcome.error, outcome.retry_after_s)
        self._workers.ended(len(ended), self._apply(ended))
        for queue, entry, outcome in ended:
            if outcome.kind == "wait":
                self._schedule.put_back(queue, entry)
            elif outcome.kind == "skipped":
                self._skip_alike(queue)
            if not queue.queued:
                self._schedule.wake(queue)
            if outcome.error is not None and queue.pace.unreachable:
                self._give_up(queue)
        if self._intake.more and self._schedule.size < LOW:
            self._intake.wake()

    def _skip_alike(self, queue: HostQueue) -> None:
        """What waits for the host and will be skipped as well is so now: it needs no turns of the pace."""
        skipped: list[Ended] = []
        for entry in self._schedule.take_all(queue):
            outcome = self._gate.skips(queue, entry.request.url)
            if outcome is None:
                self._schedule.add(queue.host, entry)
            else:
                skipped.append((queue, entry, outcome))
        self._apply(skipped)

    def _give_up(self, queue: HostQueue) -> None:
        """The host is gone: what waits for it fails now, instead of one time-out after the other."""
        gone = Outcome("failed", "host_unreachable")
        self._apply([(queue, entry, gone) for entry in self._schedule.take_all(queue)])

    def _apply(self, ended: Iterable[Ended]) -> int:
        """All that visits change, in one step: nothing of one can be committed without the rest.

        How many of them fetched a page.
        """
        loaded, levels, follow = self._shards.loaded, self._shards.levels, self._discovery.follow
        fetched = visits = 0
        items: list[bytes] = []
        for queue, entry, outcome in ended:
            kind = outcome.kind
            if kind == "wait":
                # Nothing has ended, but who goes on should know why.
                loaded[entry.held.shard].touched.add(queue.host)
                continue
            visits += 1
            request, held = entry.request, entry.held
            shard = loaded[held.shard]
            shard.buffered -= 1
            counts = shard.counts
            counts.bytes += outcome.body_bytes
            counts.wire_bytes += outcome.wire_bytes
            if kind == "fetched":
                fetched += 1
                counts.fetched += 1
                queue.pages += 1
                if request.seed:
                    counts.seeds_fetched += 1
            else:
                self._apply_other(shard, request, outcome)
            for found in outcome.found:
                if isinstance(found, Follow):
                    follow(shard, request, found)
                else:
                    self._discovery.request(shard, request, found)
            if levels is not None and kind != "retry":
                self._shards.left(shard, request)
            shard.touched.add(queue.host)
            shard.end(held, entry.position, outcome.items)
            items += outcome.items
        self._commits.visited(visits, items)
        return fetched

    def _apply_other(self, shard: Shard, request: Request, outcome: Outcome) -> None:
        """What becomes of a request that brought no page."""
        counts = shard.counts
        if outcome.kind == "failed":
            shard.fail(request, outcome.reason, self._clock.now())
        elif outcome.kind == "skipped":
            counts.skip(outcome.reason)
        elif outcome.kind == "redirected":
            counts.skip("redirected")
            counts.redirects += 1
            assert outcome.next is not None  # noqa: S101 - the visitor's promise
            if outcome.repeats:
                self._discovery.repeat(shard, outcome.next)
            else:
                self._discovery.redirect(shard, request, outcome.next)
        else:
            counts.retries += 1
            assert outcome.next is not None  # noqa: S101 - the visitor's promise
            shard.send_later(outcome.next, self._clock.now() + outcome.delay_s)

    def _committed(self, published: bool) -> None:
        self._intake.committed(published)
        if self.quiet:
            self.on_quiet()

    def _put_off(self) -> None:
        """What hosts can't take yet goes out with the wait: it would come to be handed back."""
        if self._inbox.endless:
            return
        late = self._schedule.late(self._clock.now(), self._stint.wait_at_most_s)
        if late:
            for shard in self._shards:
                shard.put_off(late)

    def _opened(self, queue: HostQueue) -> None:
        """The host may have more under way than before."""
        self._schedule.wake(queue)
        self._workers.pump()

    async def _keep_stint(self) -> None:
        """Stop when it is time to; later let go of what is under way still."""
        if self._stint.stop_s == math.inf:
            return
        await self._clock.sleep(self._stint.stop_s - self._clock.now())
        self.stop()
        await self._clock.sleep(self._stint.cut_off_s - self._clock.now())
        self.cut_off()

    async def _adapt(self) -> None:
        """Look now and then how the crawl does, and have more or fewer requests under way."""
        if self._bounds.fixed:
            return
        loop = asyncio.get_running_loop()
        workers, concurrency, meter = self._workers, Concurrency(self._bounds), Meter()
        at_s, cpu_s, waits = loop.time(), time.process_time(), workers.waits
        while True:
            await asyncio.sleep(LOOK_S)
            began_s, cpu_before_s, waits_before = at_s, cpu_s, waits
            at_s, cpu_s, waits = loop.time(), time.process_time(), workers.waits
            ended, faults = meter.read(self.shard_counts())
            # Not by the clock that is passed in: processor time is measured against the machine's.
            workers.limit = concurrency.note(
                Stretch(
                    seconds=at_s - began_s,
                    ended=ended,
                    faults=faults,
                    cpu_s=cpu_s - cpu_before_s,
                    held_back=workers.held_back and (waits - waits_before) * 10 <= ended,
                )
            )
            workers.pump()

    async def _keep_leases(self) -> None:
        while True:
            await self._clock.sleep(LEASE_S / 3)
            held = [held.delivery for shard in self._shards for held in shard.held_messages]
            if held:
                await self._inbox.extend(held, LEASE_S)


def first_fault(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """One error to tell the user: ours before anything else."""
    flat: list[BaseException] = []
    stack: list[BaseException] = [failures]
    while stack:
        fault = stack.pop()
        if isinstance(fault, BaseExceptionGroup):
            stack.extend(fault.exceptions)
        else:
            flat.append(fault)
    ours = [fault for fault in flat if isinstance(fault, AirlessError)]
    return (ours or flat)[0]
