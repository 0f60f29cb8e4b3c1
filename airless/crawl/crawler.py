"""The crawl operator: frontier messages in, pages visited side by side, one commit for all that came of it.

The same code runs as a sliding window (it receives until it is told to stop) and as a one-shot (an inbox that
gives a batch and no more, and a deadline). Fixed workers take whose turn it is; what a visit changes is
applied in one step without waiting; the committer makes everything applied since its last commit durable.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections.abc import Callable
from dataclasses import replace

from airless.core.clock import Clock
from airless.core.codec import decode
from airless.core.errors import AirlessError, MessageError
from airless.core.message import Message
from airless.core.ports import Commit, Delivery, Engine, Settlement
from airless.crawl.budget import Budget, Unlimited
from airless.crawl.counts import Counts
from airless.crawl.discovery import Discovery, host_key
from airless.crawl.fetch import Fetcher
from airless.crawl.held import Entry, Held
from airless.crawl.inbox import Inbox
from airless.crawl.pace import HostPace
from airless.crawl.packing import unpack
from airless.crawl.request import Follow, Request
from airless.crawl.robots_cache import Robots, RobotsCache
from airless.crawl.schedule import HostQueue, Schedule
from airless.crawl.scope import Scope
from airless.crawl.settings import Settings
from airless.crawl.shard import ADMIT, Layout, Shard
from airless.crawl.spider import Spider
from airless.crawl.urls import canonical, origin
from airless.crawl.visit import Outcome, Visitor, target_of

logger = logging.getLogger("airless.crawl")

LEASE_S = 120.0
COMMIT_INTERVAL_S = 0.25
COMMIT_VISITS = 4_000
COMMIT_ITEM_BYTES = 4 * 1024 * 1024
SHARD_BUFFER = 1_000
BUFFER = 8_000
MOST_BUFFERED = 64_000
POLL_S = 0.1
ROBOTS_TRIES = 4


class Crawler:
    """One process's part of a crawl. `run` ends after `stop`, with the inbox, or with the first fault."""

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
        deadline_s: float = math.inf,
        rng: random.Random | None = None,
    ) -> None:
        self._engine = engine
        self._layout = layout
        self._settings = settings
        self._inbox = inbox
        self._clock = clock
        self._owns = owns
        self._budget: Budget = budget or Unlimited()
        self._deadline_s = deadline_s
        self._rng = rng or random.Random()  # noqa: S311 - jitter, no secret
        self._shards: dict[int, Shard] = {}
        self._schedule = Schedule(self._new_host)
        self._discovery = Discovery(settings, scope, layout, self._owned)
        self._visitor = Visitor(spider, settings, fetcher, clock, self._rng)
        self._robots: RobotsCache | None = None
        if settings.obey_robots:
            self._robots = RobotsCache(
                fetcher,
                agent=settings.http.user_agent,
                clock=clock,
                max_crawl_delay_s=settings.pace.max_crawl_delay_s,
            )
        self._idle: list[asyncio.Future[tuple[HostQueue, Entry] | None]] = []
        self._working = 0
        self._visits = 0
        self._settlements: list[Settlement] = []
        self._dead: dict[str, bytes] = {}
        self._stopping = asyncio.Event()
        self._refill = asyncio.Event()
        self._change = asyncio.Event()
        self._drained = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._committing = False
        self._closing = False
        self._more = True
        self._message_size = 100.0
        self._probed_at = -math.inf

    # What the host looks at.

    def shard_counts(self) -> dict[int, Counts]:
        """The counters of the shards in hand, as of now: what is shown, not what is durable."""
        return {index: shard.counts for index, shard in self._shards.items()}

    @property
    def in_flight(self) -> int:
        return self._working

    @property
    def hosts(self) -> int:
        return self._schedule.hosts

    @property
    def quiet(self) -> bool:
        """Nothing is in hand, under way or uncommitted."""
        return not (self._working or self._schedule.size or self._uncommitted or self._committing)

    @property
    def starved(self) -> bool:
        """Nothing is under way, and nothing may start (the page budget is spent)."""
        return not self._working and self._budget.spent and not self._uncommitted and not self._committing

    def stop(self) -> None:
        """Start nothing more, finish what is under way, commit, hand the rest back."""
        self._stopping.set()
        self._refill.set()
        self._change.set()
        self._pump()

    async def run(self) -> None:
        """Crawl. Raises what made it impossible to go on; everything committed before stays."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._settings.pace.concurrency):
                    group.create_task(self._work())
                receiver = group.create_task(self._receive())
                leases = group.create_task(self._keep_leases())
                committer = group.create_task(self._commit_groups())
                await self._stopping.wait()
                await receiver
                self._pump()
                await self._drained_workers()
                self._closing = True
                self._change.set()
                await committer
                leases.cancel()
                for entry in self._schedule.drain():
                    self._shards[entry.held.shard].buffered -= 1
                for shard in self._shards.values():
                    for held in shard.held_messages:
                        shard.give_back(held)
                unread = self._inbox.unread()
                self._settlements += [Settlement.retry(delivery, charge=False) for delivery in unread]
                await self._commit()
        except BaseExceptionGroup as failures:
            raise first_fault(failures) from failures
        finally:
            # Who waited is gone: neither a timer nor a late `stop` may hand out work any more.
            self._stopping.set()
            self._idle.clear()
            if self._timer is not None:
                self._timer.cancel()

    # Messages in.

    async def _receive(self) -> None:
        while not self._stopping.is_set():
            # Before asking: what is published while the queue answers must not go unnoticed.
            self._refill.clear()
            keys = self._keys()
            limit = self._room()
            deliveries: list[Delivery] = []
            if limit and (keys is None or keys):
                deliveries = await self._inbox.receive(limit, keys)
            before = self._schedule.size
            for delivery in deliveries:
                await self._accept(delivery)
            self._pump()
            if deliveries:
                self._message_size += 0.2 * (
                    max(1, self._schedule.size - before) / len(deliveries) - self._message_size
                )
                continue
            self._more = False
            if not self._inbox.endless and (self.quiet or self.starved):
                self.stop()
                return
            await self._probe_saturated()
            try:
                async with asyncio.timeout(POLL_S):
                    await self._refill.wait()
            except TimeoutError:
                # What others published, and delayed messages, are found by asking now and then.
                self._pump()

    def _keys(self) -> list[str] | None:
        """The shards that may have more: None for all of them."""
        everything = all(self._owns(index) for index in range(self._layout.shards))
        full = {shard.index for shard in self._shards.values() if shard.buffered >= SHARD_BUFFER}
        if everything and not full:
            return None
        return [str(i) for i in range(self._layout.shards) if self._owns(i) and i not in full]

    def _room(self) -> int:
        """How many messages to ask for, going by the size of those that came.

        What is in hand can be all of hosts that have to wait: idle workers get more than the usual, up to a
        bound.
        """
        enough = MOST_BUFFERED if self._idle else BUFFER // 2
        if self._schedule.size >= enough or self._budget.spent:
            return 0
        return max(1, min(256, int((BUFFER - self._schedule.size) / max(1.0, self._message_size))))

    async def _probe_saturated(self) -> None:
        """Look behind a host whose requests fill its shard: others of the shard may wait behind them.

        What comes for the same host goes back to the queue for about as long as its buffer lasts.
        """
        if not self._idle or self._budget.spent or self._schedule.size >= MOST_BUFFERED:
            return
        now = self._clock.monotonic()
        full = [str(shard.index) for shard in self._shards.values() if shard.buffered >= SHARD_BUFFER]
        if not full or now - self._probed_at < 1.0:
            return
        self._probed_at = now
        for delivery in await self._inbox.receive(32, full):
            await self._accept(delivery, probe=True)
        self._pump()

    async def _accept(self, delivery: Delivery, *, probe: bool = False) -> None:
        try:
            message = decode(delivery.topic, delivery.body, id=delivery.id, attempt=delivery.attempt)
            index, requests = self._requests_of(message)
            hosts = [host_key(request.url) for request in requests]
        except (MessageError, ValueError, LookupError) as error:
            logger.error("a message on %s can't be read and was laid aside: %s", delivery.topic, error)
            self._dead[f"dead/{delivery.topic}/{delivery.id}"] = delivery.body
            self._settlements.append(Settlement.done(delivery))
            self._change.set()
            return
        lease = replace(delivery, body=b"")
        shard = await self._shard(self._home(requests[0]) if index is None else index)
        if (known := shard.held(message.id)) is not None:
            known.delivery = lease
            return
        held = Held(lease, message.id, shard.index, len(requests))
        if shard.has_applied(message.id):
            shard.end_message(held)
        elif index is None:
            self._discovery.offer(shard, requests)
            shard.end_message(held)
        elif message.data.get(ADMIT):
            self._discovery.admit(shard, requests)
            shard.end_message(held)
        elif probe and (delay_s := self._saturated_for(set(hosts))):
            shard.hold(held)
            shard.give_back(held, delay_s)
        else:
            shard.hold(held)
            for position, (host, request) in enumerate(zip(hosts, requests, strict=True)):
                if not held.done >> position & 1:
                    shard.buffered += 1
                    self._schedule.add(host, Entry(request, held, position))
        self._change.set()

    def _requests_of(self, message: Message) -> tuple[int | None, list[Request]]:
        """A frontier message's shard, None for one that was published by hand, and its requests.

        Raises MessageError.
        """
        requests = unpack(message.data)
        if not requests:
            raise MessageError("no requests in a frontier message")
        index = message.data.get("shard")
        if index is None:
            for request in requests:
                url = canonical(request.url)
                if url is None:
                    raise MessageError(f"{request.url!r} is no URL to fetch")
                request.url = url
        elif type(index) is not int or not 0 <= index < self._layout.shards:
            raise MessageError(f"shard {index!r} of a crawl with {self._layout.shards}")
        return index, requests

    def _home(self, request: Request) -> int:
        """The shard that records a message which belongs to none: the first request's, or one of ours."""
        index = self._discovery.shard_of(request)
        return index if self._owns(index) else next(filter(self._owns, range(self._layout.shards)), index)

    def _saturated_for(self, hosts: set[str]) -> float:
        """Seconds until these hosts can use more requests; 0 where one of them has little in hand."""
        queues = [self._schedule.host(host) for host in hosts]
        if any(queue.size < SHARD_BUFFER // 4 for queue in queues):
            return 0.0
        return min(5.0, max(0.2, 0.5 * max(queue.drain_s(self._clock.now()) for queue in queues)))

    async def _shard(self, index: int) -> Shard:
        shard = self._shards.get(index)
        if shard is None:
            shard = await Shard.load(self._engine, self._layout, index)
            self._shards[index] = shard
        return shard

    def _owned(self, index: int) -> Shard | None:
        return self._shards.get(index) if self._owns(index) else None

    def _new_host(self, host: str) -> HostQueue:
        pace = HostPace(self._settings.pace, self._rng)
        first = self._layout.shard_of(host, 0)
        parts = [(first + offset) % self._layout.shards for offset in range(self._layout.spread)]
        # Rounded up: where the parts can't be divided evenly, the shares must not exceed the whole.
        pace.share(math.ceil(self._layout.spread / max(1, sum(map(self._owns, parts)))))
        pages = 0
        for index in parts:
            shard = self._shards.get(index)
            remembered = shard.hosts.get(host) if shard else None
            if remembered:
                pages += int(remembered.get("pages", 0))
                if remembered.get("pace"):
                    pace.restore(remembered["pace"])
        queue = HostQueue(host, pace, pages=pages, cap=self._settings.traps.host_pages)
        queue.probing = self._robots is not None
        return queue

    # Visits.

    def _take(self) -> tuple[HostQueue, Entry] | None:
        if self._stopping.is_set() or self._budget.spent:
            return None
        now = self._clock.now()
        if now >= self._deadline_s:
            self.stop()
            return None
        taken = self._schedule.take(now)
        if taken is None:
            return None
        if not self._budget.take():
            queue, entry = taken
            queue.pace.finished(now, status=None, latency_s=0.0)
            self._schedule.put_back(queue, entry)
            return None
        self._working += 1
        return taken

    def _pump(self) -> None:
        """Give what may start to the workers that wait."""
        while self._worker_waits():
            taken = self._take()
            if taken is None:
                break
            self._idle.pop().set_result(taken)
        if self._stopping.is_set():
            while self._worker_waits():
                self._idle.pop().set_result(None)
            if not self._working:
                self._drained.set()
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._idle and (at := self._schedule.next_at()) < math.inf:
            delay_s = max(0.001, at - self._clock.now())
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._pump)

    def _worker_waits(self) -> bool:
        """Whether the last of the idle can be handed something: where the run fails, they were cancelled."""
        while self._idle and self._idle[-1].done():
            self._idle.pop()
        return bool(self._idle)

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            taken = self._take()
            if taken is None:
                if self._stopping.is_set():
                    return
                waiting: asyncio.Future[tuple[HostQueue, Entry] | None] = loop.create_future()
                self._idle.append(waiting)
                self._change.set()
                taken = await waiting
                if taken is None:
                    return
            await self._turn(*taken)

    async def _turn(self, queue: HostQueue, entry: Entry) -> None:
        request = entry.request
        outcome = await self._gate(queue, entry)
        if outcome is None:
            outcome = await self._visitor.visit(request, last_try=queue.pace.unreachable)
        now = self._clock.now()
        queue.pace.finished(
            now,
            status=outcome.status,
            latency_s=outcome.latency_s,
            error=outcome.error,
            retry_after_s=outcome.retry_after_s,
        )
        if outcome.kind != "fetched":
            self._budget.give_back()
        self._working -= 1
        if outcome.kind == "wait":
            self._schedule.put_back(queue, entry)
        else:
            self._apply(queue, entry, outcome)
            if outcome.kind == "skipped":
                self._skip_alike(queue)
            self._schedule.wake(queue)
        if queue.pace.unreachable and outcome.error is not None:
            self._give_up(queue)
        if self._idle or self._stopping.is_set():
            self._pump()

    async def _gate(self, queue: HostQueue, entry: Entry) -> Outcome | None:
        """What must hold before a fetch: the host's page cap and its robots.txt. None lets it go on."""
        if queue.spent:
            return Outcome("skipped", "host_pages")
        if self._robots is None:
            return None
        url = entry.request.url
        site = origin(url)
        robots = await self._robots.get(site)
        if robots.unreachable and robots.failures < ROBOTS_TRIES:
            queue.blocked_until = robots.expires_s
            return Outcome("wait")
        if robots.unreachable:
            return _refused(robots, url)
        delay_s = robots.rules.crawl_delay_s or 0.0
        if queue.probing or delay_s > queue.crawl_delay_s:
            self._learned(queue, site, delay_s)
        return _refused(robots, url)

    def _learned(self, queue: HostQueue, site: str, delay_s: float) -> None:
        """The host's rules are known: several requests may be under way now, at the pace they ask for."""
        if delay_s > queue.crawl_delay_s:
            logger.info("%s asks for a crawl delay of %g s", site, delay_s)
            queue.crawl_delay_s = delay_s
            queue.pace.set_crawl_delay(delay_s)
        # The turn began before the rules were known: the distance to the next one counts from here.
        now = self._clock.now()
        queue.pace.finished(now, status=None, latency_s=0.0)
        queue.pace.started(now)
        queue.probing = False
        self._schedule.wake(queue)
        self._pump()

    def _skip_alike(self, queue: HostQueue) -> None:
        """What waits for the host and will be skipped as well is so now: it needs no turns of the pace."""
        for entry in self._schedule.take_all(queue):
            outcome: Outcome | None = None
            if queue.spent:
                outcome = Outcome("skipped", "host_pages")
            elif self._robots is not None and (robots := self._robots.known(origin(entry.request.url))):
                outcome = _refused(robots, entry.request.url)
            if outcome is None:
                self._schedule.add(queue.host, entry)
            else:
                self._apply(queue, entry, outcome)

    def _give_up(self, queue: HostQueue) -> None:
        """The host is gone: what waits for it fails now, instead of one time-out after the other."""
        for entry in self._schedule.take_all(queue):
            self._apply(queue, entry, Outcome("failed", "host_unreachable"))

    def _apply(self, queue: HostQueue, entry: Entry, outcome: Outcome) -> None:
        """All that a visit changes, in one step: nothing of it can be committed without the rest."""
        request = entry.request
        shard = self._shards[entry.held.shard]
        shard.buffered -= 1
        counts = shard.counts
        counts.bytes += outcome.body_bytes
        counts.wire_bytes += outcome.wire_bytes
        if outcome.kind == "fetched":
            counts.fetched += 1
            queue.pages += 1
            if request.seed:
                counts.seeds_fetched += 1
        elif outcome.kind == "failed":
            counts.fail(outcome.reason)
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
        for line in outcome.items:
            shard.add_item(line)
        for found in outcome.found:
            if isinstance(found, Follow):
                self._discovery.follow(shard, request, found)
            else:
                self._discovery.request(shard, request, found)
        shard.touched.add(queue.host)
        shard.end(entry.held, entry.position)
        self._visits += 1
        self._change.set()
        if self._more and self._schedule.size < BUFFER // 4:
            self._refill.set()

    def _host_record(self, queue: HostQueue) -> dict[str, object] | None:
        """What is worth remembering of a host; the page count only once the cap comes near."""
        record: dict[str, object] = {}
        pace = queue.pace.dump(self._clock.now())
        if pace:
            record["pace"] = pace
        if queue.pages * 10 >= self._settings.traps.host_pages:
            record["pages"] = queue.pages
        return record or None

    async def _drained_workers(self) -> None:
        while self._working:
            self._drained.clear()
            await self._drained.wait()

    # Commits.

    @property
    def _uncommitted(self) -> bool:
        return bool(self._settlements) or any(shard.dirty for shard in self._shards.values())

    async def _commit_groups(self) -> None:
        """Commit when something waits for it: an idle worker, the interval, or the size of the group."""
        loop = asyncio.get_running_loop()
        while True:
            await self._change.wait()
            self._change.clear()
            if self._closing:
                return
            if not self._uncommitted:
                continue
            due = loop.time() + COMMIT_INTERVAL_S
            while not self._wants_commit() and (left := due - loop.time()) > 0:
                try:
                    async with asyncio.timeout(left):
                        await self._change.wait()
                except TimeoutError:
                    break
                self._change.clear()
                if self._closing:
                    # The last commit is `run`'s, with what is handed back.
                    return
            await self._commit()

    def _wants_commit(self) -> bool:
        if self._idle and not self._schedule.size:
            return True
        if self._visits >= COMMIT_VISITS:
            return True
        return sum(shard.item_bytes for shard in self._shards.values()) >= COMMIT_ITEM_BYTES

    async def _commit(self) -> None:
        self._committing = True
        self._visits = 0
        for shard in list(self._shards.values()):
            await shard.merge(self._engine)
        commit, changed = self._collect()
        if changed or commit.settle:
            versions = await self._engine.commit(commit)
            for shard, version in zip(changed, versions, strict=True):
                shard.version = version
        self._committing = False
        if commit.publish:
            self._more = True
        if commit.publish or not self._inbox.endless:
            self._refill.set()
        self._change.set()

    def _collect(self) -> tuple[Commit, list[Shard]]:
        changed = [shard for shard in self._shards.values() if shard.dirty]
        put, self._dead = self._dead, {}
        settle, self._settlements = self._settlements, []
        publish, states, delete = [], [], []
        for shard in changed:
            for host in shard.touched:
                shard.remember(host, self._host_record(self._schedule.host(host)))
            shard.touched.clear()
            part = shard.write()
            put.update(part.put)
            publish += part.publish
            settle += part.settle
            delete += part.delete
            states.append(part.state)
        return Commit(put=put, state=states, publish=publish, settle=settle, delete=delete), changed

    async def _keep_leases(self) -> None:
        while True:
            await self._clock.sleep(LEASE_S / 3)
            held = [held.delivery for shard in self._shards.values() for held in shard.held_messages]
            if held:
                await self._inbox.extend(held, LEASE_S)


def _refused(robots: Robots, url: str) -> Outcome | None:
    """What robots.txt makes of a URL: skipped, or None where it may be fetched or this isn't known yet."""
    if robots.unreachable:
        return Outcome("skipped", "robots_unreachable") if robots.failures >= ROBOTS_TRIES else None
    return None if robots.rules.allows(target_of(url)) else Outcome("skipped", "robots")


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
