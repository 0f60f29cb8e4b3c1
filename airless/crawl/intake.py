"""Messages in: what the frontier holds comes into the schedule, no more of it than is needed."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter

from airless.core.clock import Clock
from airless.core.codec import decode
from airless.core.errors import MessageError
from airless.core.message import Message
from airless.core.ports import Delivery, Settlement
from airless.crawl.budget import Budget
from airless.crawl.discovery import Discovery
from airless.crawl.failed import called_for
from airless.crawl.held import Held, entry_of
from airless.crawl.inbox import Inbox
from airless.crawl.outgoing import ADMIT, BATCH_REQUESTS
from airless.crawl.packing import unpack_new
from airless.crawl.received import UNPARKED, Origin, origin_of
from airless.crawl.request import Request
from airless.crawl.schedule import Schedule
from airless.crawl.shard import Shard
from airless.crawl.shards import Shards
from airless.crawl.sites import host_keys
from airless.crawl.urls import canonical
from airless.crawl.workers import Workers

logger = logging.getLogger("airless.crawl")

SHARD_BUFFER = 1_000
BUFFER = 8_000
LOW = BUFFER // 4
MOST_BUFFERED = 64_000
# Nothing but a consumer's death counts as a try of a frontier message. After so many, who knows of which request.
APART_AFTER = 3
POLL_S = 0.1
FIRST_POLL_S = 0.01


@dataclass(frozen=True, slots=True)
class _Arrived:
    """A message that was read: its requests, or those that may be new, with their positions among all.

    Without a shard somebody published it by hand; `admit` leaves the decision to it.

    One that has failed requests tried `again`, for the reasons there or for any, holds none itself.
    """

    id: str
    shard: int | None
    requests: list[Request]
    positions: Sequence[int]
    total: int
    admit: bool = False
    origin: Origin | None = None
    again: tuple[str, ...] | None = None


class Intake:
    """Receives messages for the shards of this process, and hands them back in the end.

    `more` says that the queue may hold some that it would give at once: to be woken for where the schedule is `LOW`.
    """

    def __init__(
        self,
        inbox: Inbox,
        shards: Shards,
        schedule: Schedule,
        discovery: Discovery,
        workers: Workers,
        budget: Budget,
        clock: Clock,
        changed: Callable[[], None],
    ) -> None:
        self._inbox = inbox
        self._shards = shards
        self._schedule = schedule
        self._discovery = discovery
        self._workers = workers
        self._budget = budget
        self._clock = clock
        self._changed = changed
        self._refill = asyncio.Event()
        self.more = True
        self._message_size = 100.0
        self._probed_at = -math.inf

    def wake(self) -> None:
        """Ask the inbox again."""
        self._refill.set()

    def committed(self, published: bool) -> None:
        """A commit was made; if it published, there is more in the queue than there was."""
        self.more = self.more or published
        if published or not self._inbox.endless:
            self._refill.set()

    async def run(self, quiet: Callable[[], bool], stop: Callable[[], None]) -> None:
        """Receive until the workers stop; an inbox that ends stops them once all is `quiet`."""
        poll_s = FIRST_POLL_S
        while not self._workers.stopping.is_set():
            # Before asking: what is published while the queue answers must not go unnoticed.
            self._refill.clear()
            if await self._ask():
                poll_s = FIRST_POLL_S
                continue
            self.more = False
            if not self._inbox.endless and quiet():
                stop()
                return
            await self._probe_full()
            try:
                async with asyncio.timeout(poll_s):
                    await self._refill.wait()
            except TimeoutError:
                # What others published, and delayed messages, are found by asking now and then: soon after
                # something came, and with idle workers, more often.
                poll_s = min(POLL_S, 2 * poll_s) if self._workers.idle else POLL_S
                self._workers.pump()

    def hand_back(self, *, least_s: float = 0.0) -> None:
        """Return what is in hand and has not ended, for `least_s` at least, and what was never read."""
        # Who goes on here may do so at any time. Where the queue begins the next invocation, it waits until there is
        # something to do.
        waits_s = {} if self._inbox.endless else self._schedule.waits_s(self._clock.now())
        for entry in self._schedule.drain():
            self._shards.loaded[entry.held.shard].buffered -= 1
        for shard in self._shards:
            for held in shard.held_messages:
                shard.give_back(held, max(least_s, waits_s.get(held, 0.0)))
        self._shards.strays += [Settlement.retry(unread, charge=False) for unread in self._inbox.unread()]

    async def _ask(self) -> bool:
        """Take in what there is room for; whether anything came."""
        keys = self._keys()
        limit = self._room()
        deliveries: list[Delivery] = []
        if limit and (keys is None or keys):
            deliveries = await self._inbox.receive(limit, keys)
        before = self._schedule.size
        for delivery in deliveries:
            await self._accept(delivery)
        self._workers.pump()
        if deliveries:
            size = max(1, self._schedule.size - before) / len(deliveries)
            self._message_size += 0.2 * (size - self._message_size)
        return bool(deliveries)

    def _keys(self) -> list[str] | None:
        """The shards that may have more: None for all of them."""
        owned = self._shards.owned_indexes
        full = {shard.index for shard in self._shards.full(SHARD_BUFFER)}
        if len(owned) == self._shards.layout.shards and not full:
            return None
        return [str(index) for index in owned if index not in full]

    def _room(self) -> int:
        """How many messages to ask for, going by the size of those that came.

        What is in hand can be all of hosts that have to wait: idle workers get more than the usual, up to a
        bound.
        """
        enough = MOST_BUFFERED if self._workers.idle else BUFFER // 2
        if self._schedule.size >= enough or self._budget.spent:
            return 0
        return max(1, min(256, int((BUFFER - self._schedule.size) / max(1.0, self._message_size))))

    async def _probe_full(self) -> None:
        """Look behind a host whose requests fill its shard: others of the shard may wait behind them.

        What comes for the same host goes back to the queue for about as long as its buffer lasts.
        """
        if not self._workers.idle or self._budget.spent or self._schedule.size >= MOST_BUFFERED:
            return
        now = self._clock.monotonic()
        full = [str(shard.index) for shard in self._shards.full(SHARD_BUFFER)]
        if not full or now - self._probed_at < 1.0:
            return
        self._probed_at = now
        for delivery in await self._inbox.receive(32, full):
            await self._accept(delivery, probe=True)
        self._workers.pump()

    async def _accept(self, delivery: Delivery, *, probe: bool = False) -> None:
        try:
            arrived = self._read(delivery)
            hosts = host_keys([request.url for request in arrived.requests])
        except (MessageError, ValueError, LookupError) as error:
            logger.error("a message on %s can't be read and was laid aside: %s", delivery.topic, error)
            self._shards.laid_aside[f"dead/{delivery.topic}/{delivery.id}"] = delivery.body
            self._shards.strays.append(Settlement.done(delivery))
            self._changed()
            return
        lease = replace(delivery, body=b"")
        index, requests = arrived.shard, arrived.requests
        home = self._shards.home(self._discovery.shard_of(requests[0])) if index is None else index
        shard = await self._shards.get(home)
        if (known := shard.held(arrived.id)) is not None:
            known.delivery = lease
            return
        held = Held(lease, arrived.id, shard.index, arrived.total, origin=arrived.origin)
        if shard.has_applied(held):
            shard.end_double(held)
        elif arrived.again is not None:
            await self._shards.bring_back(shard, arrived.again)
            shard.end_message(held)
        elif index is None:
            self._discovery.offer(shard, requests)
            shard.end_message(held)
        elif arrived.admit and not shard.has_begun(held.id):
            self._decide(shard, held, arrived, hosts, at_once=not (probe or delivery.attempt))
        elif probe and (delay_s := self._saturated_for(set(hosts))):
            shard.hold(held)
            shard.give_back(held, delay_s)
        else:
            shard.hold(held)
            left = [position for position in range(held.total) if not held.done >> position & 1]
            if delivery.attempt >= APART_AFTER and len(left) > 1:
                logger.warning(
                    "consumers of message %s on %s died %d times: its %d requests are tried one by one",
                    *(delivery.id, delivery.topic, delivery.attempt, len(left)),
                )
                shard.take_apart(held, [requests[position] for position in left])
                self._changed()
                return
            self._wait(shard, held, [(hosts[at], at, requests[at]) for at in left])
        self._changed()

    def _decide(
        self, shard: Shard, held: Held, arrived: _Arrived, hosts: Sequence[str], *, at_once: bool
    ) -> None:
        """Admit what is new of an offer. It waits its turn as if it had come so, where it is neither much nor mixed.

        Else, and where it isn't to be begun with `at_once`, it is published once more.
        """
        new = [
            each
            for each in zip(hosts, arrived.positions, arrived.requests, strict=True)
            if self._discovery.admits(shard, each[2])
        ]
        if (
            at_once
            and new
            and held.total <= BATCH_REQUESTS
            and len({request.priority for *_, request in new}) == 1
        ):
            shard.hold_offer(held, [at for _, at, _ in new])
            self._wait(shard, held, new)
            return
        for *_, request in new:
            shard.send(request)
        shard.end_message(held)

    def _wait(self, shard: Shard, held: Held, left: Sequence[tuple[str, int, Request]]) -> None:
        """Have requests of a message, each with its host and its position there, wait for their turn."""
        shard.buffered += len(left)
        for host, waiting in groupby(left, itemgetter(0)):
            self._schedule.add(host, *[entry_of(request, held, at) for _, at, request in waiting])

    def _read(self, delivery: Delivery) -> _Arrived:
        """What a message holds. Raises MessageError."""
        own = self._shards.sent.take(delivery.id)
        if own is not None:
            return _Arrived(delivery.id, *own, range(len(own[1])), len(own[1]))
        message = decode(delivery.topic, delivery.body, id=delivery.id, attempt=delivery.attempt)
        id, origin = str(message.data.get(UNPARKED, message.id)), origin_of(message.data)
        if (again := called_for(message.data)) is not None:
            return _Arrived(id, self._shard_of(message), [], (), 0, origin=origin, again=again)
        return _Arrived(id, *self._requests_of(id, message), bool(message.data.get(ADMIT)), origin)

    def _requests_of(self, id: str, message: Message) -> tuple[int | None, list[Request], Sequence[int], int]:
        """A frontier message's shard, None for one that was published by hand, and as `unpack_new` its requests.

        Of what is offered to a shard in hand, links that it knows may be left out. Raises MessageError.
        """
        index = None if message.data.get("shard") is None else self._shard_of(message)
        shard = self._shards.loaded.get(index) if message.data.get(ADMIT) and index is not None else None
        knows = None if shard is None or shard.has_begun(id) else self._discovery.knows(shard)
        requests, positions, total = unpack_new(message.data, knows)
        if not requests and not any(urls for *_, urls in message.data.get("links", ())):
            raise MessageError("no requests in a frontier message")
        if index is not None:
            return index, requests, positions, total
        for request in requests:
            url = canonical(request.url)
            if url is None:
                raise MessageError(f"{request.url!r} is no URL to fetch")
            request.url = url
        return None, requests, positions, total

    def _shard_of(self, message: Message) -> int:
        """The shard that a message names. Raises MessageError."""
        index = message.data.get("shard")
        shards = self._shards.layout.shards
        if type(index) is not int or not 0 <= index < shards:
            raise MessageError(f"shard {index!r} of a crawl with {shards}")
        return index

    def _saturated_for(self, hosts: set[str]) -> float:
        """Seconds until these hosts can use more requests; 0 where one of them has little in hand."""
        queues = [self._schedule.host(host) for host in hosts]
        if any(queue.size < SHARD_BUFFER // 4 for queue in queues):
            return 0.0
        return min(5.0, max(0.2, 0.5 * max(queue.drain_s(self._clock.now()) for queue in queues)))
