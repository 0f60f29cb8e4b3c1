"""The queue in a database file, as one consumer sees it."""

from __future__ import annotations

import math
import sqlite3
import uuid
from collections.abc import AsyncGenerator, Sequence

from airless.core.clock import Clock
from airless.core.codec import encode
from airless.core.message import Message
from airless.core.ports import Delivery, Depth, Settlement
from airless.engines.bell import Bell
from airless.engines.sqlite import choosing, leases
from airless.engines.sqlite.consumers import Consumers
from airless.engines.sqlite.database import Database
from airless.engines.sqlite.publishing import publish
from airless.engines.sqlite.transactions import transaction

# How long to wait before looking again for what another process published.
_POLL_FIRST_S, _POLL_LAST_S = 0.01, 0.1
_SWEEP_EVERY_S = 1.0
# So many are read at once by who looks through the queue.
_BODIES = 100


class SqliteQueue:
    """`Queue` in a file."""

    def __init__(self, database: Database, consumers: Consumers, clock: Clock, bell: Bell) -> None:
        self._database = database
        self._consumers = consumers
        self._clock = clock
        self._bell = bell
        self._swept_s = -math.inf

    async def publish_many(self, messages: Sequence[Message]) -> None:
        await self._publish([(message, encode(message)) for message in messages])

    async def publish_raw(self, topic: str, body: bytes, *, id: str | None = None) -> str:
        """Put bytes on a topic as they are, JSON or not, as a foreign producer would; the id they got."""
        message = Message(topic=topic, data={}, id=id or uuid.uuid4().hex)
        await self._publish([(message, bytes(body))])
        return message.id

    async def _publish(self, items: Sequence[tuple[Message, bytes]]) -> None:
        if items:
            now = self._clock.now()
            await self._database.write(lambda connection: publish(connection, items, now))
            self._bell.ring()

    async def receive(
        self,
        topic: str,
        *,
        limit: int,
        lease_s: float,
        wait_s: float = 0.0,
        keys: Sequence[str] | None = None,
    ) -> list[Delivery]:
        if limit <= 0 or (keys is not None and not keys):
            return []
        deadline = self._clock.monotonic() + wait_s
        poll_s = _POLL_FIRST_S
        while True:
            rung = self._bell.listen()
            try:
                taken, change = await self._take(topic, limit, lease_s, keys)
                left = deadline - self._clock.monotonic()
                if taken or left <= 0:
                    return taken
                seconds = left if change is None else min(left, change - self._clock.now())
                await self._bell.wait(rung, self._clock, seconds, poll_s=poll_s)
            finally:
                rung.cancel()
            poll_s = min(2 * poll_s, _POLL_LAST_S)

    async def _take(
        self, topic: str, limit: int, lease_s: float, keys: Sequence[str] | None
    ) -> tuple[list[Delivery], float | None]:
        """What can be had now, and when to look again if that is nothing."""
        now, elapsed_s = self._clock.now(), self._clock.monotonic()
        consumer = self._consumers.id

        def lease(connection: sqlite3.Connection) -> list[Delivery]:
            if not choosing.anything(connection, topic, now):
                return []
            with transaction(connection):
                leases.promote(connection, topic, now)
                rows = choosing.choose(connection, topic, consumer, limit, keys, now)
                return leases.lease(connection, topic, consumer, rows, now + lease_s) if rows else []

        def take(connection: sqlite3.Connection) -> tuple[list[Delivery], float | None]:
            taken = lease(connection)
            if not taken and elapsed_s - self._swept_s >= _SWEEP_EVERY_S:
                self._swept_s = elapsed_s
                if sweep(connection, self._consumers):
                    taken = lease(connection)
            return taken, None if taken else choosing.next_change(connection, topic)

        return await self._database.run(
            take, undo=lambda connection, result: leases.undo(connection, result[0])
        )

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        if settlements:
            now = self._clock.now()
            await self._database.write(lambda connection: leases.settle(connection, settlements, now))
            self._bell.ring()

    async def extend(self, deliveries: Sequence[Delivery], lease_s: float) -> None:
        if deliveries:
            now, consumer = self._clock.now(), self._consumers.id
            await self._database.write(
                lambda connection: leases.extend(connection, deliveries, consumer, now, lease_s)
            )

    async def depth(self, topic: str) -> Depth:
        now = self._clock.now()
        return await self._database.run(lambda connection: choosing.depth(connection, topic, now))

    async def bodies(self, topic: str, key: str) -> AsyncGenerator[bytes, None]:
        """As `Searchable.bodies`."""
        after = -1
        while page := await self._database.run(
            lambda connection, after=after: connection.execute(  # type: ignore[misc]
                "SELECT seq, body FROM messages JOIN bodies USING (seq) "
                "WHERE topic = ? AND key = ? AND seq > ? ORDER BY seq LIMIT ?",
                (topic, key, after, _BODIES),
            ).fetchall()
        ):
            for after, body in page:  # noqa: B007 - where the next page begins
                yield body


def sweep(connection: sqlite3.Connection, consumers: Consumers) -> bool:
    """Free what the dead have leased; whether there was anything."""
    dead = consumers.dead(leases.owners(connection))
    if dead:
        with transaction(connection):
            leases.free(connection, dead)
    return bool(dead)
