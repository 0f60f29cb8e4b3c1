"""What a receive takes: first it is seen where messages wait, then they are leased."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from airless.core.ports import Depth
from airless.engines.nats.arrived import Arrived, lane_in, topic_in
from airless.engines.nats.connection import Connection
from airless.engines.nats.keyed import Keyed
from airless.engines.nats.leases import Holding
from airless.engines.nats.reading import count, subjects_in
from airless.engines.nats.subjects import UNKEYED, encoded, is_wildcard, lane_of, topic_filter
from airless.engines.nats.unkeyed import Unkeyed

# A topic that gave messages without a key is asked for more of them at once; but now and then it is looked at whole.
_LOOKS_EVERY = 8


@dataclass(frozen=True, slots=True)
class Leased:
    """A message that was taken, until a time on the monotonic clock; `holding` is its lane's."""

    arrived: Arrived
    until: float
    holding: Holding | None = None


class Intake:
    """Takes messages of topics for one consumer."""

    def __init__(self, connection: Connection, keyed: Keyed, unkeyed: Unkeyed) -> None:
        self._connection = connection
        self._keyed = keyed
        self._unkeyed = unkeyed
        self._rng = random.Random()  # noqa: S311 - no secret
        # How often in a row a topic was asked for messages without a key alone.
        self._unseen: dict[str, int] = {}

    async def take(
        self, topic: str, limit: int, lease_s: float, keys: Collection[str] | None
    ) -> tuple[list[Leased], float | None]:
        """Up to `limit` messages; else the seconds after which a lease runs out that is known of."""
        filter = topic_filter(topic)
        if keys is None and 0 < self._unseen.get(topic, 0) < _LOOKS_EVERY:
            self._unseen[topic] += 1
            subject = self._connection.names.waiting(UNKEYED, filter)
            if taken := await self._pulled([subject], limit, lease_s):
                return taken, None
        counts, now = await self._waiting(filter)
        unkeyed, keyed = _parted(counts)
        if keys is not None:
            lanes = {lane_of(key) for key in keys}
            unkeyed, keyed = [], {at: number for at, number in keyed.items() if lane_in(at) in lanes}
        taken, again_s = [], None
        if keyed:
            of_lanes, again_s = await self._keyed.take(keyed, now, limit, lease_s)
            taken = [
                Leased(one, lane.holding.until, lane.holding) for lane in of_lanes for one in lane.arrived
            ]
        pulled = await self._pulled(unkeyed, limit - len(taken), lease_s)
        if pulled and not is_wildcard(topic):
            self._unseen[topic] = 1
        else:
            self._unseen.pop(topic, None)
        return [*taken, *pulled], again_s

    async def depth(self, topic: str) -> Depth:
        """What waits on a topic. The weight is taken to be one a message."""
        filter = encoded(topic)
        counts, now = await self._waiting(filter)
        unkeyed, keyed = _parted(counts)
        names = self._connection.names
        later = names.later("*", filter, "*")
        delayed = await count(self._connection, f"counting {topic!r}", names.queue, later)
        leased = (await self._keyed.leased(keyed, now) if keyed else 0) + await self._unkeyed.leased(unkeyed)
        number = sum(counts.values())
        return Depth(max(0, number - leased), delayed, min(number, leased), number + delayed)

    async def topics(self, name: str) -> list[str]:
        """The topics that a name means, on which something waits."""
        filter, names = topic_filter(name), self._connection.names
        counts, _ = await self._waiting(filter)
        found = {topic_in(subject) for subject in counts}
        pattern = (
            f"{names.later('*', encoded(name), '*')}" if not is_wildcard(name) else names.later_below(filter)
        )
        later, _ = await subjects_in(self._connection, f"looking for {name!r}", names.queue, pattern)
        found |= {topic_in(subject.rpartition(".")[0]) for subject in later}
        if is_wildcard(name):
            found = {topic for topic in found if topic.startswith(name[:-1])}
        return sorted(found)

    async def _waiting(self, filter: str) -> tuple[dict[str, int], float]:
        names = self._connection.names
        return await subjects_in(
            self._connection, f"looking for {filter}", names.queue, names.waiting("*", filter)
        )

    async def _pulled(self, subjects: Sequence[str], limit: int, lease_s: float) -> list[Leased]:
        taken: list[Leased] = []
        for subject in self._rng.sample(subjects, len(subjects)):
            if len(taken) >= limit:
                break
            until = self._connection.clock.monotonic() + lease_s
            arrived = await self._unkeyed.take(subject, limit - len(taken), lease_s)
            taken += [Leased(one, until) for one in arrived]
        return taken


def _parted(counts: Mapping[str, int]) -> tuple[list[str], dict[str, int]]:
    """The subjects of messages without a key, and of those with one."""
    unkeyed = [subject for subject in counts if lane_in(subject) == UNKEYED]
    return unkeyed, {subject: number for subject, number in counts.items() if lane_in(subject) != UNKEYED}
