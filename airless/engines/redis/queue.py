"""The queue: topics on the server, leases by its clock."""

from __future__ import annotations

import asyncio
import logging
import random
import uuid
from collections.abc import AsyncGenerator, Sequence

from airless.core.clock import Clock
from airless.core.codec import encode
from airless.core.errors import EngineError, LeaseLost
from airless.core.message import Message
from airless.core.ports import Commit, DeadLetter, Delivery, Depth, Settlement
from airless.engines.redis.bell import Bell
from airless.engines.redis.committing import Committing
from airless.engines.redis.leases import Leases
from airless.engines.redis.server import Server

logger = logging.getLogger(__name__)

_BELOW = "/*"
_FIELDS = 6
# Who waits looks this often also where nothing tells him to.
_LOOK_S = 5.0
# What is published at once beyond this goes in several steps: the server does nothing else during one.
_MOST_AT_ONCE = 5_000
_REDRIVEN_AT_ONCE = 1_000
# So many are read at once by who looks through the queue.
_BODIES = 100
# How long who closes tries to hand back what it leases.
_LAST_S = 5.0


class RedisQueue:
    """`Queue`, `TopicsBelow` and `DeadLetters` on the server.

    It promises what engines with transactions do, but that a lease ends when its time is over, and that while a
    message of a key is leased nobody gets more of that key. What is published at once beyond 5,000 messages is not
    one transaction.
    """

    def __init__(self, server: Server, committing: Committing, clock: Clock) -> None:
        self._server = server
        self._committing = committing
        self._clock = clock
        self._bell = Bell(server)
        self._turn = random.randrange(1_000_000)  # noqa: S311 - so that consumers begin with different topics
        self.leases = Leases(clock)

    async def publish_many(self, messages: Sequence[Message]) -> None:
        items = [(message, encode(message)) for message in messages]
        for first in range(0, len(items), _MOST_AT_ONCE):
            await self._committing.publish(items[first : first + _MOST_AT_ONCE])

    async def publish_raw(self, topic: str, body: bytes, *, id: str | None = None) -> str:
        """Put bytes on a topic as they are, JSON or not, as a foreign producer would; the id they got."""
        message = Message(topic=topic, data={}, id=id or uuid.uuid4().hex)
        await self._committing.publish([(message, bytes(body))])
        return message.id

    async def receive(
        self,
        topic: str,
        *,
        limit: int,
        lease_s: float,
        wait_s: float = 0.0,
        keys: Sequence[str] | None = None,
    ) -> list[Delivery]:
        self._server.check_open()
        if limit <= 0 or (keys is not None and not keys):
            return []
        deadline_s = self._clock.monotonic() + wait_s
        got, due_s = await self._lease(topic, limit, lease_s, keys)
        if got or wait_s <= 0:
            return got
        below = topic[:-1] if topic.endswith(_BELOW) else None
        waiter = await self._bell.join(
            lambda rung: rung == topic if below is None else rung.startswith(below)
        )
        try:
            while True:
                waiter.reset()
                got, due_s = await self._lease(topic, limit, lease_s, keys)
                left_s = deadline_s - self._clock.monotonic()
                if got or left_s <= 0:
                    return got
                await waiter.wait(min(left_s, _LOOK_S, due_s))
        finally:
            self._bell.leave(waiter)

    async def topics(self, name: str) -> list[str]:
        """As `TopicsBelow.topics`."""
        index = f"{self._server.root}:topics"
        if not name.endswith(_BELOW):
            score = await self._server.ask(lambda _: self._server.client.zscore(index, name))
            return [] if score is None else [name]
        below = name[:-1].encode()
        found = await self._server.ask(
            lambda _: self._server.client.zrange(index, b"[" + below, b"(" + below + b"\xff", bylex=True)
        )
        return [topic.decode() for topic in found]

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        if settlements:
            await self._committing.apply(Commit(settle=settlements))
            self.leases.end(settlements)

    async def extend(self, deliveries: Sequence[Delivery], lease_s: float) -> None:
        if not deliveries:
            return
        args: list[str | int] = [_microseconds(lease_s)]
        for delivery in deliveries:
            args += (delivery.topic, delivery.id, delivery.receipt)
        done, *lost = await self._server.run("extend", args)
        if done != 0:
            raise LeaseLost(f"message {lost[1].decode()} on {lost[0].decode()!r} is no longer leased here")
        self.leases.hold(deliveries, lease_s)

    async def depth(self, topic: str) -> Depth:
        messages, delayed, leased, weight = await self._server.run("depth", [topic])
        return Depth(ready=messages - delayed - leased, delayed=delayed, leased=leased, weight=weight)

    async def redrive(self, topic: str) -> int:
        """As `DeadLetters.redrive`. One whose id waits again by now is that message, and gone as a letter."""
        count = 0
        while some := await self._server.once("redrive", (topic, _REDRIVEN_AT_ONCE)):
            count += some
        return count

    async def letters(self, topic: str, *, limit: int) -> list[DeadLetter]:
        """As `DeadLetters.letters`. They are kept for 14 days."""
        if limit <= 0:
            return []
        found = await self._server.run("letters", (topic, limit))
        return [
            DeadLetter(id.decode(), error.decode(), _key(key))
            for id, error, key in zip(*(found[at::3] for at in range(3)), strict=True)
        ]

    async def bodies(self, topic: str, key: str) -> AsyncGenerator[bytes, None]:
        """As `Searchable.bodies`, of all keys of the topic."""
        name, cursor = self._server.key("body", topic), 0
        while True:
            cursor, page = await self._server.ask(
                lambda _, cursor=cursor: self._server.client.hscan(name, cursor, count=_BODIES)  # type: ignore[misc]
            )
            for body in page.values():
                yield body
            if not cursor:
                return

    async def aclose(self) -> None:
        """Hand back what is leased, uncharged and in its old place; without a server it waits for its leases to end."""
        await self._bell.aclose()
        held = self.leases.held()
        try:
            async with asyncio.timeout(_LAST_S):
                await self._committing.hand_back(held)
        except (TimeoutError, EngineError) as error:
            logger.warning(
                "%d messages come again when their leases end: %s", len(held), error or "no answer"
            )

    async def _lease(
        self, topic: str, limit: int, lease_s: float, keys: Sequence[str] | None
    ) -> tuple[list[Delivery], float]:
        """What can be had now, and in how many seconds that changes by itself."""
        self._turn += 1
        args: list[str | int] = [_microseconds(lease_s), limit, self._turn]
        below = topic.endswith(_BELOW)
        args += (topic[:-1] if below else topic, int(below), int(keys is not None), *(keys or ()))
        answer = await self._server.once("receive", args, self._give_back)
        got = _deliveries(answer)
        self.leases.hold(got, lease_s)
        return got, answer[0] / 1e6 if answer[0] >= 0 else _LOOK_S

    async def _give_back(self, answer: list[bytes]) -> None:
        await self._committing.hand_back(_deliveries(answer))


def _deliveries(answer: list[bytes]) -> list[Delivery]:
    fields = (answer[at::_FIELDS] for at in range(1, _FIELDS + 1))
    return [
        Delivery(topic.decode(), body, id.decode(), receipt.decode(), int(attempt), _key(key))
        for topic, id, receipt, body, attempt, key in zip(*fields, strict=True)
    ]


def _key(packed: bytes) -> str | None:
    return packed[1:].decode() if packed else None


def _microseconds(seconds: float) -> int:
    return max(0, round(seconds * 1e6))
