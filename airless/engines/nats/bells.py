"""Bells that ring in all processes: a message that is stored nowhere says that there is something to be had."""

from __future__ import annotations

from collections.abc import Iterable

from nats.aio.msg import Msg

from airless.engines.bell import Bell
from airless.engines.nats.connection import Connection
from airless.engines.nats.subjects import encoded, topic_filter


class Bells:
    """A bell for each topic, or wildcard of topics, that somebody here waits for. Who misses one looks by himself."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._bells: dict[str, Bell] = {}

    async def of(self, topic: str) -> Bell:
        if topic not in self._bells:
            bell = Bell()

            async def ring(_: Msg) -> None:
                bell.ring()

            await self._connection.subscribe(self._connection.names.bell(topic_filter(topic)), ring)
            self._bells[topic] = bell
        return self._bells[topic]

    async def ring(self, topics: Iterable[str]) -> None:
        for topic in set(topics):
            await self._connection.tell(self._connection.names.bell(encoded(topic)))
