"""The records of lanes: read many at a time, written by compare-and-set, and remembered by who wrote them last."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from airless.engines.nats.connection import Connection
from airless.engines.nats.lanes import Lane, packed, unpacked
from airless.engines.nats.reading import lasts, seq_of, since_of, subject_of
from airless.engines.nats.servertime import ServerTime
from airless.engines.nats.writes import compare_and_set

# A record is kept so long after its lease; by then nobody is behind with what it says.
_KEPT_S = 86_400
_REMEMBERED, _DOUBTED_S = 10_000, 1.0


class Records:
    """The records of a prefix, by the subjects of their lanes' messages.

    What is remembered may be old, and then its revision is: a write that follows from it is refused.
    """

    def __init__(self, connection: Connection, time: ServerTime) -> None:
        self._connection = connection
        self._time = time
        self._known: dict[str, Lane] = {}
        self._doubted_until = float("-inf")

    async def of(self, subjects: Iterable[str]) -> dict[str, Lane]:
        """The records, from memory where they can be: of lanes that are leased here, or were let go of here."""
        now, doubted = self._time.now(), self._connection.clock.monotonic() < self._doubted_until
        known, unknown = dict[str, Lane](), list[str]()
        for subject in subjects:
            lane = self._known.get(subject)
            if lane is not None and (lane.left_s(now) > 0 if lane.held else not doubted):
                known[subject] = lane
            else:
                unknown.append(subject)
        return known | (await self.read(unknown) if unknown else {})

    async def read(self, subjects: Collection[str]) -> dict[str, Lane]:
        """The records as they are at the server."""
        records = {_record(subject): subject for subject in subjects}
        lanes = dict.fromkeys(subjects, Lane())
        names = self._connection.names
        for found in await lasts(self._connection, "looking who leases", names.lanes, list(records)):
            lanes[records[subject_of(found)]] = unpacked(found.data, seq_of(found), since_of(found))
        return lanes

    def doubt(self) -> None:
        """What was remembered was old: others work on the same lanes, so that it is better to read for a while."""
        self._doubted_until = self._connection.clock.monotonic() + _DOUBTED_S

    def remembers(self, subject: str, lane: Lane) -> bool:
        """Whether it is from memory, and nothing has been heard to the contrary."""
        known = self._known.get(subject)
        return known is not None and known.revision == lane.revision

    async def write(self, subject: str, lane: Lane) -> Lane | None:
        """The record as it is written now; None where somebody else has written since."""
        self._known.pop(subject, None)
        revision = await compare_and_set(
            self._connection,
            f"leasing {subject}",
            self._connection.names.lanes,
            _record(subject),
            packed(lane),
            lane.revision,
            {"Nats-TTL": f"{int(lane.lease_s) + _KEPT_S}s"},
        )
        if revision is None:
            return None
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        written = replace(lane, revision=revision, since=self._time.now())
        self._known[subject] = written
        return written

    def cleaned(self, subject: str, messages: frozenset[int]) -> None:
        """These messages of a lane are no longer there."""
        if (lane := self._known.get(subject)) is not None:
            self._known[subject] = lane.cleaned(messages)


def _record(subject: str) -> str:
    """The subject of a lane's record, by that of its messages."""
    prefix, _, rest = subject.split(".", 2)
    return f"{prefix}.l.{rest}"
