"""Bells that ring in all processes: a message that is stored nowhere says where there is something to be had."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping

import orjson
from nats.aio.msg import Msg

from airless.engines.bell import Bell
from airless.engines.nats.connection import Connection
from airless.engines.nats.subjects import encoded, lane_of, topic_filter

# Where more lanes of a topic have something, it isn't said which.
_LANES = 64

Heard = Callable[[str, Mapping[str, int]], None]
"""Called with a topic as subjects have it, and how many messages were rung for on which of its lanes, 0 where nobody
knows; no lanes where nobody knows which."""

Place = tuple[str, str | None]
"""A topic and an ordering key."""


class Bells:
    """A bell for each topic, or wildcard of topics, that somebody here waits for. Who misses one looks by himself."""

    def __init__(self, connection: Connection, heard: Heard) -> None:
        self._connection = connection
        self._heard = heard
        self._bells: dict[str, Bell] = {}

    async def of(self, topic: str) -> Bell:
        filter = topic_filter(topic)
        if filter not in self._bells:
            start = self._connection.names.bell("")

            async def ring(message: Msg) -> None:
                self._ring_here(message.subject.removeprefix(start), _lanes(message.data))

            await self._connection.subscribe(f"{start}{filter}", ring)
            self._bells.setdefault(filter, Bell())
        return self._bells[filter]

    async def ring(self, places: Mapping[Place, int]) -> None:
        """So many messages can be had there, or, where nobody knows, 0."""
        topics: dict[str, dict[str, int]] = defaultdict(dict)
        for (topic, key), number in places.items():
            topics[topic][lane_of(key)] = number
        for topic, lanes in topics.items():
            await self._ring(encoded(topic), lanes)

    async def ring_topic(self, topic: str) -> None:
        """Something can be had on a topic, and nobody knows where."""
        await self._ring(encoded(topic), {})

    async def _ring(self, topic: str, lanes: Mapping[str, int]) -> None:
        self._ring_here(topic, lanes)
        said = orjson.dumps(lanes) if 0 < len(lanes) <= _LANES else b""
        await self._connection.tell(self._connection.names.bell(topic), said)

    def _ring_here(self, topic: str, lanes: Mapping[str, int]) -> None:
        """Our own rings don't come to us by the server."""
        self._heard(topic, lanes)
        for filter, bell in self._bells.items():
            if matches(filter, topic):
                bell.ring()


def matches(filter: str, topic: str) -> bool:
    """Whether a topic, as tokens, is the one that a filter names, or among those that it names."""
    return topic.startswith(filter.removesuffix(">")) if filter.endswith(".>") else topic == filter


def _lanes(data: bytes) -> dict[str, int]:
    try:
        lanes = orjson.loads(data or b"{}")
    except orjson.JSONDecodeError:
        return {}
    return lanes if isinstance(lanes, dict) else {}
