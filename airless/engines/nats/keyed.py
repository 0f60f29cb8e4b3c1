"""Messages with an ordering key: a lane is leased by a write to its record, then its messages are read in order."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import orjson
from nats.aio.msg import Msg

from airless.engines.nats.arrived import Arrived, of_lane
from airless.engines.nats.asking import Ask, said
from airless.engines.nats.connection import Connection
from airless.engines.nats.faults import NO_MESSAGE, Refused
from airless.engines.nats.lanes import Lane, Move, packed, unpacked
from airless.engines.nats.leases import Holding
from airless.engines.nats.reading import first_of, lasts, seq_of, since_of, subject_of, those
from airless.engines.nats.sending import Outgoing, Sender
from airless.engines.nats.writes import compare_and_set

# Records are read so many at a time.
_LOOK = 256
# A record is kept so long after its lease; by then nobody is behind with what it says.
_KEPT_S = 86_400
# Who settled does at once what follows from it: what is there so long after is left to do. To do it twice is harmless.
_LEFT_AFTER_S = 0.5


@dataclass(frozen=True, slots=True)
class Taken:
    """Messages of one lane, in order, and the hold on it."""

    holding: Holding
    arrived: Sequence[Arrived]


class Keyed:
    """Leases lanes, and ends their leases."""

    def __init__(self, connection: Connection, sender: Sender) -> None:
        self._connection = connection
        self._sender = sender
        self._rng = random.Random()  # noqa: S311 - no secret

    async def take(
        self, counts: Mapping[str, int], now: float, limit: int, lease_s: float
    ) -> tuple[list[Taken], float | None]:
        """Up to `limit` messages of lanes that nobody leases, of one lane as many as may be.

        `counts` are the subjects on which messages wait, `now` the server's time. Else the seconds after which the
        next lease runs out.
        """
        taken: list[Taken] = []
        again_s: float | None = None
        subjects = list(counts)
        self._rng.shuffle(subjects)
        for at in range(0, len(subjects), _LOOK):
            free: list[tuple[str, Lane]] = []
            for subject, lane in (await self._lanes(subjects[at : at + _LOOK])).items():
                if (left_s := lane.left_s(now)) > 0:
                    again_s = min(left_s, again_s or left_s)
                else:
                    free.append((subject, lane))
            while free and limit > 0:
                wanted: list[tuple[str, Lane, int]] = []
                left = limit
                while free and left > 0:
                    subject, lane = free.pop()
                    wanted.append((subject, lane, min(left, counts[subject])))
                    left -= wanted[-1][2]
                claims = [self._claim(subject, lane, want, now, lease_s) for subject, lane, want in wanted]
                got = [one for one in await asyncio.gather(*claims) if one is not None]
                limit -= sum(len(one.arrived) for one in got)
                taken += got
            if limit <= 0:
                break
        return taken, again_s

    async def leased(self, counts: Mapping[str, int], now: float) -> int:
        """How many messages are leased on these subjects."""
        subjects, number = list(counts), 0
        for at in range(0, len(subjects), _LOOK):
            lanes = await self._lanes(subjects[at : at + _LOOK])
            number += sum(len(lane.held) for lane in lanes.values() if lane.left_s(now) > 0)
        return number

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
        """Send what was moved, then delete all that was settled."""
        await self._sender.send([outgoing(arrived, move) for arrived, move in moved.values()])
        await self.delete([*done, *moved])
        async with holding.lock:
            holding.lane = holding.lane.cleaned(frozenset([*done, *moved]))

    async def _claim(self, subject: str, lane: Lane, want: int, now: float, lease_s: float) -> Taken | None:
        """Lease a lane and what is first in it; None where somebody else was faster, or there is nothing."""
        messages = await self._first(subject, want + min(want, len(lane.settled)))
        if now - lane.since > _LEFT_AFTER_S and any(seq_of(message) in lane.settled for message in messages):
            await self._finish(lane)
            lane = lane.cleaned(lane.settled)
            messages = await self._first(subject, want)
        fresh = [message for message in messages if seq_of(message) not in lane.settled][:want]
        if not fresh:
            return None
        last = seq_of(messages[-1])
        there = frozenset(seq_of(message) for message in messages)
        left = frozenset(seq for seq in lane.settled if seq in there or seq > last)
        since = self._connection.clock.monotonic()
        holding = Holding(_record(subject), lane, since + lease_s)
        if not await self._write(holding, lane.leased([seq_of(one) for one in fresh], left, lease_s)):
            return None
        held = holding.lane.held
        return Taken(holding, [of_lane(message, held[seq_of(message)]) for message in fresh])

    async def _first(self, subject: str, most: int) -> list[Msg]:
        return await first_of(
            self._connection, f"receiving from {subject}", self._connection.names.queue, subject, most
        )

    async def _finish(self, lane: Lane) -> None:
        """Do what a dead consumer's settlement left to do."""
        doing, queue = "finishing what a dead consumer settled", self._connection.names.queue
        moved = [of_lane(one, 0) for one in await those(self._connection, doing, queue, list(lane.moves))]
        await self._sender.send([outgoing(arrived, lane.moves[arrived.seq]) for arrived in moved])
        await self.delete(sorted(lane.settled))

    async def _write(self, holding: Holding, lane: Lane) -> bool:
        """Write the record, if nobody else has since."""
        if holding.lost:
            return False
        names, revision = self._connection.names, None
        try:
            revision = await compare_and_set(
                self._connection,
                f"leasing {holding.subject}",
                names.lanes,
                holding.subject,
                packed(lane),
                lane.revision,
                {"Nats-TTL": f"{int(lane.lease_s) + _KEPT_S}s"},
            )
        finally:  # what nobody knows to be written may be
            holding.lost = revision is None
        if revision is None:
            return False
        holding.lane = replace(lane, revision=revision)
        return True

    async def _lanes(self, subjects: Sequence[str]) -> dict[str, Lane]:
        """The records of lanes by the subjects of their messages."""
        names = self._connection.names
        records = {_record(subject): subject for subject in subjects}
        lanes = dict.fromkeys(subjects, Lane())
        for found in await lasts(self._connection, "looking who leases", names.lanes, list(records)):
            lanes[records[subject_of(found)]] = unpacked(found.data, seq_of(found), since_of(found))
        return lanes

    async def delete(self, messages: Sequence[int]) -> None:
        """Delete messages of the queue, those that are there yet."""
        call = f"$JS.API.STREAM.MSG.DELETE.{self._connection.names.queue}"
        asked = [Ask(call, orjson.dumps({"seq": seq, "no_erase": True})) for seq in messages]
        for (answer,) in await self._connection.ask_all("deleting what is done", asked):
            try:
                said(answer)
            except Refused as refused:
                if refused.code not in NO_MESSAGE:
                    raise refused.translated("deleting what is done") from refused


def outgoing(arrived: Arrived, move: Move) -> Outgoing:
    """The copy that takes a message's place: one for each, since its number in the stream is the copy's id."""
    tag = replace(arrived.tag, attempt=move.attempt)
    return Outgoing(tag, arrived.data, f"copy-{arrived.seq}", move.due, move.dead)


def _record(subject: str) -> str:
    """The subject of a lane's record, by that of its messages."""
    prefix, _, rest = subject.split(".", 2)
    return f"{prefix}.l.{rest}"
