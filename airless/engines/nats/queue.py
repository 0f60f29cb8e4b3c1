"""`Queue` on JetStream: one stream of all that waits, a subject for each topic and ordering key.

Messages without a key are pulled from consumers at the server, which counts their tries. Those of a key are read from
their subject by who leases the key's lane (`lanes`). What must wait does so at the server, as a scheduled message.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from functools import partial

from airless.core.at_once import each
from airless.core.clock import Clock
from airless.core.codec import encode
from airless.core.errors import EngineError, LeaseLost
from airless.core.message import Message
from airless.core.ports import DeadLetter, Delivery, Depth, Objects, Settlement
from airless.engines.nats.arrived import messages_of
from airless.engines.nats.asking import Ask
from airless.engines.nats.bells import Bells
from airless.engines.nats.claims import Claims
from airless.engines.nats.cleaning import Cleaning
from airless.engines.nats.connection import Connection
from airless.engines.nats.dead import Letters
from airless.engines.nats.ending import Ending, freed
from airless.engines.nats.intake import Intake, Leased
from airless.engines.nats.keyed import Keyed
from airless.engines.nats.leases import Lease, Leases
from airless.engines.nats.sending import Outgoing, Sender
from airless.engines.nats.servertime import ServerTime
from airless.engines.nats.subjects import UNKEYED, digest, encoded, lane_of
from airless.engines.nats.unkeyed import Unkeyed
from airless.engines.nats.wire import Tag

_log = logging.getLogger(__name__)

# Who waits looks again so often; rung for, he looks at once, but not more often than this.
_POLL_S, _PAUSE_S = 0.5, 0.01
# A message that so many consumers died of is given up.
_MAX_TRIES = 50
_BODIES_AT_ONCE = 8

_Look = Callable[[], Awaitable[tuple[list[Leased], float | None]]]


class NatsQueue:
    """`Queue`, `DeadLetters` and `TopicsBelow` on JetStream.

    A message with a key that is published twice within five minutes is one (`Nats-Msg-Id`); one without is two.
    """

    def __init__(self, connection: Connection, objects: Objects, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock
        self._claims = Claims(objects)
        self._sender = Sender(connection, self._claims)
        self._cleaning = Cleaning(connection, self._sender)
        time = ServerTime(clock)
        self._keyed = Keyed(connection, self._cleaning, time)
        self._unkeyed = Unkeyed(connection)
        self._leases = Leases(clock)
        self._ending = Ending(self._leases, self._keyed, self._unkeyed, self._cleaning, self._claims, clock)
        self._intake = Intake(connection, self._keyed, self._unkeyed, time)
        self._letters = Letters(connection, self._sender)
        self._bells = Bells(connection, self._intake.heard)
        # Receives whose askers went away, and what was leased for them, by topic.
        self._left: dict[str, set[asyncio.Task[list[Delivery]]]] = {}
        self._kept: dict[str, list[Delivery]] = {}
        self._closed = False

    async def publish_many(self, messages: Sequence[Message]) -> None:
        """As `Queue.publish_many`; on an error some may be out."""
        self._check_open()
        once: dict[tuple[str, str | None, str], Message] = {}
        for message in messages:
            once.setdefault((message.topic, message.ordering_key, message.id), message)
        await self._sender.send([_outgoing(message) for message in once.values()])
        now = self._clock.now()
        ready = [message for message in once.values() if message.not_before_s <= now]
        await self._bells.ring(Counter((message.topic, message.ordering_key) for message in ready))

    async def publish_raw(self, topic: str, body: bytes, *, id: str | None = None) -> str:
        """Put bytes on a topic as they are, as a foreign producer would; the id they got."""
        self._check_open()
        if id is not None:
            await self._sender.send([Outgoing(Tag(topic, id), bytes(body), uuid.uuid4().hex)])
        else:
            await self._connection.ready()
            subject = self._connection.names.waiting(UNKEYED, encoded(topic))
            (seq,) = await self._sender.publish("publishing", [Ask(subject, bytes(body))])
            id = str(seq)
        await self._bells.ring({(topic, None): 1})
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
        """As `TopicsBelow.receive`. Who is cancelled leaves what was being leased for him to the next receive."""
        self._check_open()
        if limit <= 0 or (keys is not None and not keys):
            return []
        until = self._clock.monotonic() + wait_s
        bell, again = await self._bells.of(topic) if wait_s > 0 else None, False
        while True:
            self._check_open()
            ringing = bell.listen() if bell is not None else None
            try:
                if keys is not None:
                    look = partial(self._intake.take_of, topic, limit, lease_s, keys)
                else:
                    heeding = bell is not None
                    look = partial(self._intake.take, topic, limit, lease_s, again=again, heeding=heeding)
                deliveries, again_s = await self._once(topic, limit, lease_s, look)
                left_s = until - self._clock.monotonic()
                if deliveries or left_s <= 0 or bell is None or ringing is None:
                    return deliveries
                await bell.wait(ringing, self._clock, min(left_s, _POLL_S, max(_PAUSE_S, again_s)))
            finally:
                if ringing is not None:
                    ringing.cancel()
            await self._clock.sleep(_PAUSE_S)
            again = True

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        """As `Queue.settle`; the messages of a key end together, others each on its own."""
        self._check_open()
        if settlements:
            await self._bells.ring(await self._ending.settle(settlements))

    async def extend(self, deliveries: Sequence[Delivery], lease_s: float) -> None:
        """As `Queue.extend`; of a key everything that is leased is held."""
        self._check_open()
        if deliveries:
            await self._ending.extend(deliveries, lease_s)

    async def depth(self, topic: str) -> Depth:
        """What waits on a topic, counted a moment apart; its weight is one a message."""
        self._check_open()
        await self._cleaning.idle()
        return await self._intake.depth(topic)

    async def topics(self, name: str) -> list[str]:
        """As `TopicsBelow.topics`."""
        self._check_open()
        await self._cleaning.idle()
        return await self._intake.topics(name)

    async def redrive(self, topic: str) -> int:
        """As `DeadLetters.redrive`. A process that dies meanwhile leaves what is left for the next."""
        self._check_open()
        number = await self._letters.redrive(topic)
        if number:
            await self._bells.ring_topic(topic)
        return number

    async def letters(self, topic: str, *, limit: int) -> list[DeadLetter]:
        """As `DeadLetters.letters`."""
        self._check_open()
        return await self._letters.letters(topic, limit)

    async def bodies(self, topic: str, key: str) -> AsyncGenerator[bytes, None]:
        """As `Searchable.bodies`."""
        self._check_open()
        names, lane = self._connection.names, lane_of(key)
        for subject in (names.later(lane, encoded(topic), "*"), names.waiting(lane, encoded(topic))):
            async for arrived in messages_of(self._connection, subject):
                body: bytes | None = arrived.data
                if arrived.tag.claim is not None:
                    body = await self._claims.check_out(arrived.tag.claim, arrived.tag.encoding)
                if body is not None:
                    yield body

    async def aclose(self) -> None:
        """Hand back what is leased, uncharged. The connection is the caller's to close."""
        if self._closed:
            return
        self._closed = True
        for tasks in list(self._left.values()):
            await asyncio.wait(tasks)
        try:
            await self._hand_back(self._leases.held())
        except EngineError as error:
            _log.warning("leases could not be handed back, and end when they run out: %s", error)
        await self._cleaning.idle()

    async def _hand_back(self, held: Sequence[Lease]) -> None:
        if held:
            await self._ending.hand_back([(lease.arrived, lease.holding) for lease in held])
            await self._bells.ring(freed((lease, True) for lease in held))

    async def _once(
        self, topic: str, limit: int, lease_s: float, look: _Look
    ) -> tuple[list[Delivery], float]:
        """What can be had now; else the seconds after which a look may find more."""
        if left := await self._left_behind(topic, limit, lease_s):
            return left, 0.0
        again_s: list[float] = []

        async def take() -> list[Delivery]:
            leased, after_s = await look()
            again_s.append(_POLL_S if after_s is None else after_s)
            return await self._given(leased)

        task = asyncio.ensure_future(take())
        try:
            return await asyncio.shield(task), again_s[0]
        except asyncio.CancelledError:
            self._leave(topic, task)
            raise

    def _leave(self, topic: str, task: asyncio.Task[list[Delivery]]) -> None:
        """Keep for the next receive what is being leased for somebody who went away."""

        def keep(task: asyncio.Task[list[Delivery]]) -> None:
            self._left[topic].discard(task)
            if not self._left[topic]:
                del self._left[topic]
            if task.cancelled() or (error := task.exception()) is None:
                self._kept.setdefault(topic, []).extend([] if task.cancelled() else task.result())
            else:
                _log.debug("a receive on %r that nobody waited for failed: %s", topic, error)

        self._left.setdefault(topic, set()).add(task)
        task.add_done_callback(keep)

    async def _left_behind(self, topic: str, limit: int, lease_s: float) -> list[Delivery]:
        """What was leased for those who went away, as far as it is ours yet, and leased anew."""
        while tasks := self._left.get(topic):
            await asyncio.wait(tasks)
        kept = self._kept.pop(topic, [])
        if len(kept) > limit:
            self._kept[topic] = kept[limit:]
        ours: list[Delivery] = []
        for delivery in kept[:limit]:
            try:
                await self._ending.extend([delivery], lease_s)
            except LeaseLost:
                continue
            ours.append(delivery)
        return ours

    async def _given(self, leased: Sequence[Leased]) -> list[Delivery]:
        """Deliveries with their bodies, leased here."""

        async def give(one: Leased) -> Lease | None:
            tag = one.arrived.tag
            if one.arrived.attempt >= _MAX_TRIES:
                await self._ending.give_up(one.arrived, one.holding)
                return None
            body: bytes | None = one.arrived.data
            if tag.claim is not None:
                body = await self._claims.check_out(tag.claim, tag.encoding)
            if body is None:
                _log.warning("message %s on %r came once more after its end", tag.id, tag.topic)
                await self._ending.drop(one.arrived, one.holding)
                return None
            return self._leases.give(one.arrived, body, one.until, one.holding)

        given = await each(give, leased, at_once=_BODIES_AT_ONCE)
        return [lease.delivery for lease in given if lease is not None]

    def _check_open(self) -> None:
        if self._closed:
            raise EngineError("this engine is closed")


def _outgoing(message: Message) -> Outgoing:
    """A message as it goes out first: with a key its id keeps doubles away, of each publish of one run's."""
    tag = Tag(message.topic, message.id, message.ordering_key, message.attempt)
    key = message.ordering_key
    once = uuid.uuid4().hex if key is None else digest(message.topic, key, message.id, message.hops)
    return Outgoing(tag, encode(message), once, message.not_before_s)
