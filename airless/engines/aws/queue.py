"""`Queue` on SQS: a standard and a FIFO queue for the topics of one first part, and a dead-letter queue for each.

What has an ordering key and may go out goes to the FIFO queue, its key as the message group; everything else, and
what must wait, to the standard queue, the one that can delay. A message with a key that has waited there is sent
on to the FIFO queue by whoever gets it; one that waits longer than SQS can, to the standard queue again.

SQS counts receives, and can't be told to forget one. So what goes back without a charge is sent again as a copy and
then deleted, which puts it behind the others; so does what has a key, since it would hold up its whole group.
"""

from __future__ import annotations

import logging
import random
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from airless.core.clock import Clock
from airless.core.codec import encode
from airless.core.errors import ConfigError, EngineError
from airless.core.message import Message
from airless.core.ports import DeadLetter, Delivery, Depth, Objects, Settlement
from airless.engines.aws.batches import Batches, together
from airless.engines.aws.claims import Claims
from airless.engines.aws.clients import AwsClients
from airless.engines.aws.dead import DeadLetters
from airless.engines.aws.ending import Ending
from airless.engines.aws.faults import translated
from airless.engines.aws.leases import Leases
from airless.engines.aws.limits import SqsLimits
from airless.engines.aws.options import AwsOptions
from airless.engines.aws.polls import Polls
from airless.engines.aws.queues import Queues
from airless.engines.aws.records import Arrived, of_record
from airless.engines.aws.routing import Routes, goes_on, packed
from airless.engines.aws.sending import Sender
from airless.engines.aws.topics import part_of, queue_name
from airless.engines.aws.wire import GENERATIONS, Tag

_log = logging.getLogger(__name__)

# A message of another topic stays out of the way of who can't use it for so long, since asking costs money: at
# random, or a consumer that asks for two topics in turn could for ever get what belongs to the other.
_ELSEWHERE_S = (0.5, 3.0)
# A queue that isn't there yet is looked for again after this.
_LOOK_S = 1.0


class SqsQueue:
    """`Queue` and `DeadLetters` on SQS. `objects` keeps the bodies that are too large for it."""

    def __init__(
        self,
        clients: AwsClients,
        options: AwsOptions,
        clock: Clock,
        objects: Objects,
        *,
        limits: SqsLimits | None = None,
    ) -> None:
        limits = limits or SqsLimits()
        self._clients = clients
        self._options = options
        self._clock = clock
        self._claims = Claims(objects, limits.inline_bytes)
        self._leases = Leases(clock)
        self._queues = Queues(clients, clock)
        self._routes = Routes(options.prefix, limits)
        batches = Batches(clients, limits, clock)
        self._sender = Sender(batches, self._queues, limits)
        self._ending = Ending(
            batches, self._queues, self._sender, self._routes, self._leases, self._claims, limits, clock
        )
        self._dead = DeadLetters(clients, self._queues, batches, self._ending, self._routes, limits, clock)
        self._polls = Polls(clients, limits, clock, self._ending.hand_back)
        self._rng = random.Random()  # noqa: S311 - jitter, no secret
        self._closed = False

    async def publish_many(self, messages: Sequence[Message]) -> None:
        """As `Queue.publish_many`; on an error some may have been sent, and sending all again is right.

        A double of what waits is ignored where it has an ordering key, for the five minutes for which SQS knows
        ids, whether or not the first is done by then; others may come twice.
        """
        self._check_open()
        now = self._clock.now()
        once: dict[tuple[str, str], Message] = {}
        for message in messages:
            once.setdefault((message.topic, message.id), message)
        await self._publish([(encode(message), _tag(message, now)) for message in once.values()])

    async def publish_raw(self, topic: str, body: bytes, *, id: str | None = None) -> str:
        """Put bytes on a topic as they are, JSON or not; the id they got."""
        self._check_open()
        id = id or uuid.uuid4().hex
        await self._publish([(bytes(body), Tag(topic, id))])
        return id

    async def receive(
        self,
        topic: str,
        *,
        limit: int,
        lease_s: float,
        wait_s: float = 0.0,
        keys: Sequence[str] | None = None,
    ) -> list[Delivery]:
        """As `Queue.receive`. SQS can't select by `keys`. Without a wait SQS may miss what is there."""
        until = self._clock.monotonic() + wait_s
        if limit <= 0 or (keys is not None and not keys):
            return []
        while True:
            self._check_open()
            left_s = max(0.0, until - self._clock.monotonic())
            arrived = await self._arrive(topic, limit, lease_s, left_s)
            deliveries, moved = await self._sorted(topic, arrived, lease_s)
            if deliveries or (left_s <= 0 and not moved):
                return deliveries

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        """As `Queue.settle`, each on its own; where one is lost the others have ended, and may be ended again.

        Whether a lease has run out is judged by our own clock: SQS would delete what another consumer has.
        """
        self._check_open()
        if settlements:
            await self._ending.settle(settlements)

    async def extend(self, deliveries: Sequence[Delivery], lease_s: float) -> None:
        """As `Queue.extend`. SQS leases no message for longer than twelve hours in all."""
        self._check_open()
        if deliveries:
            await self._ending.extend(deliveries, lease_s)

    async def depth(self, topic: str) -> Depth:
        """What waits in the topic's queues, which it shares with those of the same first part: an estimate."""
        self._check_open()
        ready = delayed = leased = 0
        sqs = await self._clients.sqs()
        for queue, url in (await self._existing(topic)).items():
            with translated(f"asking about queue {queue}"):
                answer = await sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
            counts = answer["Attributes"]
            ready += int(counts["ApproximateNumberOfMessages"])
            delayed += int(counts["ApproximateNumberOfMessagesDelayed"])
            leased += int(counts["ApproximateNumberOfMessagesNotVisible"])
        return Depth(ready, delayed, leased, ready + delayed + leased)

    async def redrive(self, topic: str) -> int:
        """As `DeadLetters.redrive`. A process that dies meanwhile leaves what is left for the next."""
        self._check_open()
        return await self._dead.bring_back(topic)

    async def letters(self, topic: str, *, limit: int) -> list[DeadLetter]:
        """As `DeadLetters.letters`. Of one ordering key SQS shows no more than the first ten."""
        self._check_open()
        return await self._dead.show(topic, limit)

    async def deliveries_of(self, records: Sequence[Mapping[str, Any]]) -> list[Delivery | None]:
        """The deliveries in the event that an event source mapping calls a function with, in their order.

        None stands for a record that was sent on, to wait or into the FIFO queue: it has ended well. The mapping
        deletes what ends well, so that settling such deliveries sends copies, where there are any, and no more.
        """
        self._check_open()
        now = self._clock.now()
        arrived = [of_record(self._options.prefix, record, now) for record in records]
        await self._send_on([one for one in arrived if goes_on(one, now)])
        ready = [one for one in arrived if not goes_on(one, now)]
        deliveries = iter(await self._unpacked(ready))
        return [None if goes_on(one, now) else next(deliveries) for one in arrived]

    async def aclose(self) -> None:
        """Hand back what is leased, uncharged. The clients are the caller's to close."""
        if self._closed:
            return
        self._closed = True
        left = await self._polls.aclose()
        held = [Settlement.retry(delivery, charge=False) for delivery in self._leases.held()]
        try:
            await self._ending.hand_back(left)
            await self._ending.settle(held)
        except EngineError as error:
            _log.warning("leases could not be handed back, and end when they run out: %s", error)

    async def _publish(self, messages: Sequence[tuple[bytes, Tag]]) -> None:
        now = self._clock.now()
        bodies = await together(self._claims.pack(body) for body, _ in messages)
        await self._sender.send(
            [self._routes.out(tag, body, now) for (_, tag), body in zip(messages, bodies, strict=True)]
        )

    async def _existing(self, topic: str) -> dict[str, str]:
        """Those of the topic's two queues that there are, by name."""
        names = [queue_name(self._options.prefix, topic, fifo=fifo) for fifo in (True, False)]
        found = {name: await self._queues.existing(name) for name in names}
        return {name: url for name, url in found.items() if url is not None}

    async def _arrive(self, topic: str, limit: int, lease_s: float, wait_s: float) -> list[Arrived]:
        queues = await self._existing(topic)
        if not queues and not self._options.create:
            raise ConfigError(
                f"topic {topic!r} has no queue in {self._options.region}: deploy first, or let the engine make "
                "its queues with create=yes in its URL"
            )
        if len(queues) < 2 and self._options.create:
            wait_s = min(wait_s, _LOOK_S)
        if not queues:
            await self._clock.sleep(wait_s)
            return []
        return await self._polls.receive(queues, limit, lease_s, wait_s)

    async def _sorted(
        self, topic: str, arrived: Sequence[Arrived], lease_s: float
    ) -> tuple[list[Delivery], bool]:
        """What is the asker's, and whether something else was moved to where it can be had now."""
        now = self._clock.now()
        named = [
            one if one.ours else replace(one, tag=replace(one.tag, topic=part_of(topic))) for one in arrived
        ]
        moving = [one for one in named if goes_on(one, now)]
        elsewhere = [one for one in named if one.tag.topic != topic and not goes_on(one, now)]
        ours = [one for one in named if one.tag.topic == topic and not goes_on(one, now)]
        try:
            await self._send_on(moving)
            await self._ending.hand_back(elsewhere, wait_s=self._rng.uniform(*_ELSEWHERE_S))
            deliveries = await self._unpacked(await self._ending.fresh(ours, lease_s))
        except BaseException:
            self._polls.keep(ours)
            raise
        return [delivery for delivery in deliveries if delivery is not None], bool(moving)

    async def _send_on(self, arrived: Sequence[Arrived]) -> None:
        """To where they can wait on, or be had in order."""
        now = self._clock.now()
        await self._ending.replace(arrived, [self._routes.out(one.tag, packed(one), now) for one in arrived])

    async def _unpacked(self, arrived: Sequence[Arrived]) -> list[Delivery | None]:
        """Deliveries with their bodies. A body that is gone was done with: its double is deleted, and None here."""
        bodies = await together(self._claims.unpack(packed(one)) for one in arrived)
        deliveries: list[Delivery | None] = []
        gone: list[tuple[str, str]] = []
        for one, body in zip(arrived, bodies, strict=True):
            if body is None:
                _log.warning("message %s on %r came once more after its end", one.tag.id, one.tag.topic)
                gone.append((one.queue, one.handle))
                deliveries.append(None)
                continue
            tag = one.tag
            delivery = Delivery(tag.topic, body, tag.id, one.receipt.text(), one.attempt, tag.key)
            if one.until is not None:
                self._leases.give(delivery, one.until)
            deliveries.append(delivery)
        await self._ending.delete(gone)
        return deliveries

    def _check_open(self) -> None:
        if self._closed:
            raise EngineError("this engine is closed")


def _tag(message: Message, now: float) -> Tag:
    due = message.not_before_s if message.not_before_s > now else 0.0
    generation = message.hops * GENERATIONS
    return Tag(message.topic, message.id, message.ordering_key, message.attempt, generation, due)
