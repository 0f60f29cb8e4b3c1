"""Messages with an ordering key: a lane is leased by a write to its record, then its messages are read in order."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from nats.aio.msg import Msg

from airless.engines.nats.arrived import Arrived, of_lane
from airless.engines.nats.cleaning import Cleaning
from airless.engines.nats.connection import Connection
from airless.engines.nats.lanes import Lane, Move
from airless.engines.nats.leases import Holding
from airless.engines.nats.reading import behind, first_of, seq_of, those
from airless.engines.nats.records import Records
from airless.engines.nats.servertime import ServerTime

# Who settled does at once what follows from it: what is there so long after is left to do. To do it twice is harmless.
_LEFT_AFTER_S = 0.5


@dataclass(frozen=True, slots=True)
class Taken:
    """Messages of one lane, in order, and the hold on it."""

    holding: Holding
    arrived: Sequence[Arrived]


@dataclass(frozen=True, slots=True)
class Look:
    """What came of looking at some lanes: those `leased` end at times of the server, `over` was not wanted any more.

    They are named by the subjects of their messages.
    """

    taken: Sequence[Taken]
    leased: Mapping[str, float]
    over: Mapping[str, int]


class Keyed:
    """Leases lanes, and ends their leases."""

    def __init__(self, connection: Connection, cleaning: Cleaning, time: ServerTime) -> None:
        self._connection = connection
        self._cleaning = cleaning
        self._time = time
        self._records = Records(connection, time)

    async def take(self, wanted: Mapping[str, int], limit: int, lease_s: float) -> Look:
        """Up to `limit` messages of lanes that nobody leases, the first of them first, of each as many as may be.

        `wanted` are the subjects of their messages, with how many seem to be there, 0 where nobody knows.
        """
        lanes, now = await self._records.of(wanted), self._time.now()
        leased = {at: now + left_s for at, lane in lanes.items() if (left_s := lane.left_s(now)) > 0}
        free = {subject: number for subject, number in wanted.items() if subject not in leased}
        taken: list[Taken] = []
        while free and limit > 0:
            shares = _shared(free, limit)
            claims = [self._claim(at, lanes[at], want, lease_s) for at, want in shares.items()]
            got = [one for one in await asyncio.gather(*claims) if one is not None]
            free = {subject: number for subject, number in free.items() if subject not in shares}
            limit -= sum(len(one.arrived) for one in got)
            taken += got
        return Look(taken, leased, free)

    async def leased(self, subjects: Sequence[str]) -> int:
        """How many messages are leased on these subjects."""
        lanes, now = await self._records.read(subjects), self._time.now()
        return sum(len(lane.held) for lane in lanes.values() if lane.left_s(now) > 0)

    async def extend(self, holding: Holding, lease_s: float) -> bool:
        """Hold the lane from now on; False where it is lost."""
        async with holding.lock:
            since = self._connection.clock.monotonic()
            if not await self._write(holding, replace(holding.lane, lease_s=lease_s)):
                return False
            holding.until = since + lease_s
            return True

    async def settle(
        self,
        holding: Holding,
        done: Sequence[int],
        moved: Mapping[int, tuple[Arrived, Move]],
        back: Sequence[int],
    ) -> bool:
        """End leases in one write: done, moved elsewhere, or given back to their places; False where all is lost.

        What follows from it is done by `clean`.
        """
        async with holding.lock:
            lane = holding.lane.given_back(back).ended(done, {seq: move for seq, (_, move) in moved.items()})
            left_s = max(0.001, holding.until - self._connection.clock.monotonic())
            return await self._write(holding, replace(lane, lease_s=left_s))

    async def clean(
        self, holding: Holding, done: Sequence[int], moved: Mapping[int, tuple[Arrived, Move]]
    ) -> None:
        """Send what was moved; delete all that was settled, soon."""
        await self._cleaning.send(moved)
        messages = frozenset([*done, *moved])

        def deleted() -> None:
            holding.lane = holding.lane.cleaned(messages)
            self._records.cleaned(holding.subject, messages)

        await self._cleaning.later(messages, deleted)

    async def _claim(self, subject: str, lane: Lane, want: int, lease_s: float) -> Taken | None:
        """Lease a lane and what is first in it; None where somebody else was faster, or there is nothing."""
        remembered = self._records.remembers(subject, lane)
        taken = await self._try(subject, lane, want, lease_s)
        if taken is not None or not remembered or self._records.remembers(subject, lane):
            return taken
        self._records.doubt()
        lane = (await self._records.read([subject]))[subject]
        return None if lane.left_s(self._time.now()) > 0 else await self._try(subject, lane, want, lease_s)

    async def _try(self, subject: str, lane: Lane, want: int, lease_s: float) -> Taken | None:
        """The messages are read after the record, or some might be done that it knows nothing of."""
        messages = await self._first(subject, want + min(want, len(lane.settled)))
        overdue = [message for message in messages if seq_of(message) in lane.settled]
        if overdue and self._time.now() - lane.since > _LEFT_AFTER_S:
            await self._finish(lane)
            lane, overdue = lane.cleaned(lane.settled), []
            messages = await self._first(subject, want)
        fresh = [message for message in messages if seq_of(message) not in lane.settled][:want]
        if not fresh:
            return None
        last = seq_of(messages[-1])
        there = frozenset(seq_of(message) for message in messages)
        left = frozenset(seq for seq in lane.settled if seq in there or seq > last)
        since = self._connection.clock.monotonic()
        more = behind(messages[-1]) + len(messages) - len(overdue) - len(fresh)
        holding = Holding(subject, lane, since + lease_s, more)
        await self._take_over(holding, overdue)
        if not await self._write(holding, lane.leased([seq_of(one) for one in fresh], left, lease_s)):
            return None
        held = holding.lane.held
        return Taken(holding, [of_lane(message, held[seq_of(message)]) for message in fresh])

    async def _first(self, subject: str, most: int) -> list[Msg]:
        """What waits first on a subject."""
        doing, queue = f"receiving from {subject}", self._connection.names.queue
        return await first_of(self._connection, doing, queue, subject, most)

    async def _take_over(self, holding: Holding, overdue: Sequence[Msg]) -> None:
        """Do what a settlement before left to do, as far as it was seen, unless it was ours and is being done."""
        moves = holding.lane.moves
        left = [of_lane(one, 0) for one in overdue if not self._cleaning.is_at(seq_of(one))]
        moved = {arrived.seq: (arrived, moves[arrived.seq]) for arrived in left if arrived.seq in moves}
        await self.clean(holding, [arrived.seq for arrived in left if arrived.seq not in moved], moved)

    async def _finish(self, lane: Lane) -> None:
        """Do all that a dead consumer's settlement left to do."""
        doing, queue = "finishing what a dead consumer settled", self._connection.names.queue
        moved = [of_lane(one, 0) for one in await those(self._connection, doing, queue, list(lane.moves))]
        await self._cleaning.send({arrived.seq: (arrived, lane.moves[arrived.seq]) for arrived in moved})
        await self._cleaning.delete(sorted(lane.settled))

    async def _write(self, holding: Holding, lane: Lane) -> bool:
        """Write the record, if nobody else has since."""
        if holding.lost:
            return False
        written = None
        try:
            written = await self._records.write(holding.subject, lane)
        finally:  # what nobody knows to be written may be
            holding.lost = written is None
        if written is not None:
            holding.lane = written
        return written is not None


def _shared(free: Mapping[str, int], limit: int) -> dict[str, int]:
    """How many messages to take of which lanes, the first of them first; of those nobody knows of, as many of each."""
    even, shares = -(-limit // len(free)), dict[str, int]()
    for subject, number in free.items():
        if limit <= 0:
            break
        shares[subject] = min(limit, number or even)
        limit -= shares[subject]
    return shares
