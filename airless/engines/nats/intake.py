"""What a receive takes: first it is seen where messages wait, then they are leased."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from airless.core.ports import Depth
from airless.engines.nats.arrived import Arrived, lane_in, topic_in
from airless.engines.nats.bells import matches
from airless.engines.nats.connection import Connection
from airless.engines.nats.keyed import Keyed
from airless.engines.nats.leases import Holding
from airless.engines.nats.reading import count, subjects_in
from airless.engines.nats.seen import Seen
from airless.engines.nats.servertime import ServerTime
from airless.engines.nats.subjects import UNKEYED, encoded, is_wildcard, lane_of, topic_filter
from airless.engines.nats.unkeyed import Unkeyed

# So many subjects are looked at first, and at most, at a time; and so many more than can be taken, as some are leased.
_SMALLEST_LOOK, _LARGEST_LOOK, _MORE = 4, 1024, 64
# Of so many it is asked for each what waits there, instead of what waits anywhere.
_FEW_LANES = 4


@dataclass(frozen=True, slots=True)
class Leased:
    """A message that was taken, until a time on the monotonic clock; `holding` is its lane's."""

    arrived: Arrived
    until: float
    holding: Holding | None = None


class Intake:
    """Takes messages of topics for one consumer."""

    def __init__(self, connection: Connection, keyed: Keyed, unkeyed: Unkeyed, time: ServerTime) -> None:
        self._connection = connection
        self._keyed = keyed
        self._unkeyed = unkeyed
        self._time = time
        self._rng = random.Random()  # noqa: S311 - no secret
        self._seen: dict[str, Seen] = {}

    def heard(self, topic: str, lanes: Mapping[str, int]) -> None:
        """As `bells.Heard`."""
        for filter, seen in self._seen.items():
            if matches(filter, topic):
                for lane, number in lanes.items():
                    seen.ring(self._connection.names.waiting(lane, topic), number)
                if not lanes:
                    seen.stale()

    async def take(
        self, topic: str, limit: int, lease_s: float, *, again: bool, heeding: bool
    ) -> tuple[list[Leased], float | None]:
        """Up to `limit` messages; else the seconds after which a lease runs out that is known of.

        `again`: it was looked a moment ago, so that what is known is enough. `heeding`: rings are heard.
        """
        filter = topic_filter(topic)
        seen = self._seen.get(filter)
        if seen is None:
            seen = self._seen[filter] = Seen(self._connection.clock, self._time)
        fresh = seen.fresh
        taken = await self._from(seen, limit, lease_s) if fresh else []
        if not taken and not (again and fresh):
            seen.begin(self._connection.breaks)
            seen.listed(await self._waiting(filter), heeding=heeding)
            taken = await self._from(seen, limit, lease_s)
        return taken, None if taken else seen.again_s

    async def take_of(
        self, topic: str, limit: int, lease_s: float, keys: Collection[str]
    ) -> tuple[list[Leased], float | None]:
        """As `take`, of these ordering keys alone."""
        lanes, filter = {lane_of(key) for key in keys}, topic_filter(topic)
        if len(lanes) <= _FEW_LANES:
            parts = await asyncio.gather(*(self._waiting(filter, lane) for lane in lanes))
            counts = {at: number for part in parts for at, number in part.items()}
        else:
            listed = await self._waiting(filter)
            counts = {at: number for at, number in listed.items() if lane_in(at) in lanes}
        seen = Seen(self._connection.clock, self._time)
        seen.listed(counts, heeding=False)
        taken = await self._from(seen, limit, lease_s)
        return taken, None if taken else seen.again_s

    async def depth(self, topic: str) -> Depth:
        """What waits on a topic. The weight is taken to be one a message."""
        filter = encoded(topic)
        counts = await self._waiting(filter)
        unkeyed, keyed = _parted(counts)
        names = self._connection.names
        later = names.later("*", filter, "*")
        delayed = await count(self._connection, f"counting {topic!r}", names.queue, later)
        leased = await self._keyed.leased(list(keyed)) + await self._unkeyed.leased(list(unkeyed))
        number = sum(counts.values())
        return Depth(max(0, number - leased), delayed, min(number, leased), number + delayed)

    async def topics(self, name: str) -> list[str]:
        """The topics that a name means, on which something waits."""
        filter, names = topic_filter(name), self._connection.names
        found = {topic_in(subject) for subject in await self._waiting(filter)}
        pattern = (
            f"{names.later('*', encoded(name), '*')}" if not is_wildcard(name) else names.later_below(filter)
        )
        later, _ = await subjects_in(self._connection, f"looking for {name!r}", names.queue, pattern)
        found |= {topic_in(subject.rpartition(".")[0]) for subject in later}
        if is_wildcard(name):
            found = {topic for topic in found if topic.startswith(name[:-1])}
        return sorted(found)

    async def _waiting(self, filter: str, lane: str = "*") -> dict[str, int]:
        pattern, names = self._connection.names.waiting(lane, filter), self._connection.names
        counts, now = await subjects_in(self._connection, f"looking for {filter}", names.queue, pattern)
        self._time.heard(now)
        return counts

    async def _from(self, seen: Seen, limit: int, lease_s: float) -> list[Leased]:
        """Messages of what was seen, looking at more and more of it while there is nothing."""
        taken: list[Leased] = []
        most = min(_LARGEST_LOOK, max(_SMALLEST_LOOK, min(2 * limit, limit + _MORE)))
        while len(taken) < limit and (chosen := seen.choose(most)):
            unkeyed, keyed = _parted(chosen)
            first = self._rng.random() * len(chosen) < len(unkeyed)
            if first:
                taken += await self._pulled(seen, unkeyed, limit - len(taken), lease_s)
            taken += await self._of_lanes(seen, keyed, limit - len(taken), lease_s)
            if not first:
                taken += await self._pulled(seen, unkeyed, limit - len(taken), lease_s)
            if taken and most == _LARGEST_LOOK:  # enough was looked at for a few
                break
            most = min(_LARGEST_LOOK, 4 * most)
        return taken

    async def _of_lanes(
        self, seen: Seen, wanted: Mapping[str, int], limit: int, lease_s: float
    ) -> list[Leased]:
        if not wanted:
            return []
        look = await self._keyed.take(wanted, limit, lease_s)
        for subject, until in look.leased.items():
            seen.leased(subject, until)
        for subject, number in look.over.items():
            seen.put_back(subject, number)
        return [Leased(one, lane.holding.until, lane.holding) for lane in look.taken for one in lane.arrived]

    async def _pulled(
        self, seen: Seen, wanted: Mapping[str, int], limit: int, lease_s: float
    ) -> list[Leased]:
        taken: list[Leased] = []
        for subject, number in wanted.items():
            if len(taken) >= limit:
                seen.put_back(subject, number)
                continue
            until = self._connection.clock.monotonic() + lease_s
            arrived = await self._unkeyed.take(subject, limit - len(taken), lease_s)
            taken += [Leased(one, until) for one in arrived]
            if arrived:  # and there may be more
                seen.put_back(subject, number)
        return taken


def _parted(counts: Mapping[str, int]) -> tuple[dict[str, int], dict[str, int]]:
    """The subjects of messages without a key, and of those with one."""
    unkeyed = {subject: number for subject, number in counts.items() if lane_in(subject) == UNKEYED}
    return unkeyed, {subject: number for subject, number in counts.items() if subject not in unkeyed}
