"""Crawls on a worker: shards as they come from the broker, each a batch of its own, many side by side."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections import Counter
from collections.abc import Callable, Sequence

from airless.core.clock import Clock
from airless.core.errors import Conflict, EngineError, LeaseLost
from airless.core.failure import error_text
from airless.core.ports import Delivery, Engine, Settlement
from airless.core.retry import Retry
from airless.crawl.counts import Counts
from airless.crawl.intake import APART_AFTER
from airless.crawl.places import Places
from airless.crawl.topics import FRONTIER
from airless.functions.acknowledging import Acknowledging
from airless.functions.crawl import CrawlHost
from airless.worker.batch import Batch, by_shard, least_tried
from airless.worker.leases import Holding, Leases
from airless.worker.load import Load
from airless.worker.logs import RUN
from airless.worker.spans import Attributes, NoSpans, Spans
from airless.worker.tally import Tally, end_of, pages_of
from airless.worker.terms import STINT_S, deadline_of, terms_of

logger = logging.getLogger("airless.worker")

# Shards at once, and their messages, of which each holds up to 200 requests. Few are taken at a time, or who asks first
# would have all there is and the others nothing.
_MOST_BATCHES, _MOST_MESSAGES = 256, 512
_AT_A_TIME = 8
# Others who have nothing to do either ask for the rest at the same moment.
_AT_FIRST = 2
# Of a shard that is here anyhow nobody else can have any.
_OF_ONE_SHARD = 32
# Who has as much to do as he can goes on with one of two shards for so long, then another may have it; with one of more
# not as long.
_TURN_S, _TURNS_S = 4.0, 0.25
_POLL_S, _LOOK_S = 1.0, 0.1
_LONGEST_PAUSE_S = 5.0
# What failed is tried again this much later, and after so many tries it is given up.
_FAILED = Retry(base_s=1.0, factor=2.0, cap_s=60.0)


class Crawling:
    """Takes what the broker has for crawls, no more than is soon worked on.

    The processes of a fleet share the work by this alone: who is busy takes nothing.
    """

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        *,
        concurrency: int,
        lease_s: float,
        answered: Callable[[], None] = lambda: None,
        spans: Spans | None = None,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._lease_s = lease_s
        self._spans = spans or NoSpans()
        self._answered = answered
        self._places = Places(concurrency)
        self._host = CrawlHost(clock, terms_of(self._places, self._crowded), None)
        self._leases = Leases(engine.queue, clock, lease_s, answered=answered)
        self._load = Load(clock)
        self._batches: dict[tuple[str, str | None], Batch] = {}
        self._ended = asyncio.Event()
        self._stopping = False
        self._counts = Counts()
        self._messages: Counter[tuple[str, str]] = Counter()
        self._batches_ended = 0
        self._rng = random.Random()  # noqa: S311 - jitter, no secret

    @property
    def requests(self) -> int:
        """How many requests are under way."""
        return sum(c.in_flight for batch in self._batches.values() for c in batch.company.crawlers)

    @property
    def batches(self) -> int:
        return len(self._batches)

    @property
    def leased(self) -> int:
        return self._leases.messages

    def done(self) -> Tally:
        """What was done until now."""
        counts = self._counts.copy()
        for batch in self._batches.values():
            counts.add(batch.company.counted())
        return Tally(
            self._messages.copy(), pages_of(counts), counts.items, counts.wire_bytes, self._batches_ended
        )

    async def run(self) -> None:
        """Work until `stop`, then drain: what is under way is finished and committed, the rest handed back."""
        async with asyncio.TaskGroup() as group:
            aside = [
                group.create_task(work) for work in (self._leases.run(), self._load.run(), self._take_turns())
            ]
            async with asyncio.TaskGroup() as working:
                await self._take_in(working)
            for task in aside:
                task.cancel()
        await self._host.aclose()

    def stop(self) -> None:
        """Take nothing more, start nothing more."""
        self._stopping = True
        self._ended.set()
        for batch in self._batches.values():
            batch.company.stop()

    def cut_off(self) -> None:
        """Stop, and let go of what is under way: it is handed back as if it had never begun."""
        self.stop()
        for batch in self._batches.values():
            batch.company.cut_off()

    async def _take_in(self, working: asyncio.TaskGroup) -> None:
        pause_s = _LOOK_S
        while not self._stopping:
            room = self._room()
            if not room:
                self._ended.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_S):
                        await self._ended.wait()
                continue
            try:
                deliveries = await self._engine.queue.receive(
                    f"{FRONTIER}/*", limit=room, lease_s=self._lease_s, wait_s=_POLL_S
                )
            except EngineError as fault:
                logger.warning("nothing can be received, to be tried again: %s", fault)
                await self._clock.sleep(pause_s)
                pause_s = min(_LONGEST_PAUSE_S, 2 * pause_s)
                continue
            pause_s = _LOOK_S
            self._answered()
            for together in by_shard(deliveries):
                self._begin(together, working)

    def _room(self) -> int:
        """How many messages to ask for now."""
        if self._laden or (len(self._batches) > 1 and self._crowded()):
            return 0
        at_a_time = _AT_A_TIME if self._batches else _AT_FIRST
        return max(1, min(at_a_time, _MOST_MESSAGES - self._leases.messages))

    def _crowded(self) -> bool:
        """Others wait for the place of what waits here."""
        return len(self._batches) >= _MOST_BATCHES or self._leases.messages >= _MOST_MESSAGES

    def _begin(
        self, deliveries: Sequence[Delivery], working: asyncio.TaskGroup, since: float | None = None
    ) -> None:
        since = self._clock.monotonic() if since is None else since
        batch = Batch(deliveries, Acknowledging(self._engine, deliveries), self._host.company(), since)
        earlier = self._batches.get(batch.key)
        self._batches[batch.key] = batch
        if earlier is not None and len(earlier.view.ended) < len(earlier.deliveries):
            # The broker has given it up already: its leases have run out.
            earlier.company.cut_off()
        if self._stopping:
            batch.company.stop()
        working.create_task(self._work(batch, earlier, working))

    async def _work(self, batch: Batch, earlier: Batch | None, working: asyncio.TaskGroup) -> None:
        """Work on a batch once the one before of its shard is over, whose messages have ended already."""
        RUN.set(batch.key[0].removeprefix(f"{FRONTIER}/"))
        holding = Holding(batch.deliveries, batch.view.ended, batch.company.cut_off)
        self._leases.hold(holding)
        began_s, faults = self._clock.now(), list[Exception]()
        try:
            if earlier is not None:
                await self._await_end(earlier, batch)
            tried = [d for d in batch.deliveries if d.attempt >= _FAILED.max_deliveries]
            if tried:
                await self._give_up(batch.view, tried, "its consumers died of it")
            fresh = [delivery for delivery in batch.deliveries if delivery not in tried]
            fresh = await self._less_tried(batch, fresh)
            if fresh:
                faults = await self._host.run(batch.view, fresh, deadline_of(self._clock), batch.company)
            await self._hand_back(batch, faults)
            if fresh and not faults and self._goes_on(batch):
                following = await self._following(batch)
                if following:
                    self._begin(following, working, batch.since)
        except EngineError as fault:
            logger.warning("messages on %s come again when their leases end: %s", batch.key[0], fault)
        finally:
            self._leases.release(holding)
            if self._batches.get(batch.key) is batch:
                del self._batches[batch.key]
            self._count(batch, began_s, faults)
            batch.over.set()
            self._ended.set()

    async def _less_tried(self, batch: Batch, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Those that consumers died of least often; others are handed back.

        One that is soon alone waits a moment, since those of other shards that died with it begin again when it does.
        """
        chosen, others = least_tried(deliveries, _AT_A_TIME)
        if others:
            await batch.view.settle([Settlement.retry(delivery, charge=False) for delivery in others])
        if chosen and (tries := chosen[0].attempt) >= APART_AFTER:
            await self._clock.sleep(self._rng.uniform(0.0, min(0.25 * tries, _LONGEST_PAUSE_S)))
        return chosen

    def _goes_on(self, batch: Batch) -> bool:
        """Whether this process takes what there is of the shard by now: it knows the shard, and others don't."""
        if self._stopping or self._batches.get(batch.key) is not batch:
            return False
        turn_s = self._clock.monotonic() - batch.since
        return turn_s < (self._turn_s() if self._laden else STINT_S) and not self._crowded()

    @property
    def _laden(self) -> bool:
        """There is more to do here than can be: others may have some of it."""
        return len(self._batches) > 1 and (self._load.busy or self._places.full)

    async def _take_turns(self) -> None:
        """While there is too much to do, let go of what was here longest, one shard after the other."""
        while True:
            await self._clock.sleep(_TURNS_S)
            if self._laden:
                longest = min(self._batches.values(), key=lambda batch: batch.since)
                if self._clock.monotonic() - longest.since > self._turn_s():
                    longest.company.stop()

    def _turn_s(self) -> float:
        return _TURN_S / max(1, len(self._batches) - 1)

    async def _following(self, batch: Batch) -> Sequence[Delivery]:
        topic, shard = batch.key
        if shard is None:
            return ()
        return await self._engine.queue.receive(
            topic, limit=_OF_ONE_SHARD, lease_s=self._lease_s, keys=[shard]
        )

    async def _await_end(self, earlier: Batch, batch: Batch) -> None:
        """Until it is over; where that takes longer than it can, others shall have what waits for it."""
        try:
            async with asyncio.timeout(self._lease_s):
                await earlier.over.wait()
        except TimeoutError:
            batch.company.stop()

    def _count(self, batch: Batch, began_s: float, faults: Sequence[Exception]) -> None:
        counts = batch.company.counted()
        self._counts.add(counts)
        self._messages.update((FRONTIER, end_of(settled)) for settled in batch.view.ended.values())
        self._batches_ended += 1
        topic, shard = batch.key
        attributes: Attributes = {
            "messaging.destination.name": topic,
            "messaging.batch.message_count": len(batch.deliveries),
            "airless.run": topic.removeprefix(f"{FRONTIER}/"),
            "airless.shard": shard or "",
            "airless.fetched": counts.fetched,
            "airless.failed": counts.failed,
            "airless.items": counts.items,
        }
        error = str(faults[0]) if faults else None
        self._spans.record("crawl", began_s, self._clock.now(), attributes, error)

    async def _hand_back(self, batch: Batch, faults: Sequence[Exception]) -> None:
        """What a fault has left without an end: charged, unless somebody else was faster."""
        left = [delivery for delivery in batch.deliveries if delivery.receipt not in batch.view.ended]
        if not left:
            return
        fault = next((fault for fault in faults if not isinstance(fault, (Conflict, LeaseLost))), None)
        # Where they have gone to another process, there is nothing to hand back.
        with contextlib.suppress(LeaseLost):
            dead = [d for d in left if fault is not None and d.attempt + 1 >= _FAILED.max_deliveries]
            if dead and fault is not None:
                await self._give_up(batch.view, dead, error_text(fault))
            charge, waits_s = (
                fault is not None,
                [_LOOK_S + _FAILED.wait_s(d.attempt, self._rng) for d in left],
            )
            again = [(d, wait_s) for d, wait_s in zip(left, waits_s, strict=True) if d not in dead]
            await batch.view.settle([Settlement.retry(d, wait_s, charge=charge) for d, wait_s in again])

    async def _give_up(self, view: Acknowledging, deliveries: Sequence[Delivery], error: str) -> None:
        for delivery in deliveries:
            logger.error("message %s on %s is given up: %s", delivery.id, delivery.topic, error)
        await view.settle([Settlement.given_up(delivery, error) for delivery in deliveries])
