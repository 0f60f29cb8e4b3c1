"""A lane: the messages of one ordering key on one topic, and the record of who leases which of them.

The record is one small document with a revision. Whoever leases, extends or settles writes it by compare-and-set, so
that of two one wins, whatever their clocks say; and what a settlement decides it decides in that one write. What then
follows from it (copies sent, messages deleted) is done by who wrote, or, if he died, by who leases the lane next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import orjson

from airless.core.errors import EngineError


@dataclass(frozen=True, slots=True)
class Move:
    """Where a message goes: to the end of its topic at `due`, or among the dead letters with its error."""

    attempt: int
    due: float = 0.0
    dead: str | None = None


@dataclass(frozen=True, slots=True)
class Lane:
    """The record. Messages are named by their sequence numbers in the stream, which are never used twice.

    `since` is the server's time at which it was written, from which on `lease_s` count. `held` are the leased ones
    with their attempts, `tried` those that wait and have been tried; `gone` and `moves` are settled, and may be there
    still.
    """

    revision: int = 0
    since: float = 0.0
    lease_s: float = 0.0
    held: Mapping[int, int] = field(default_factory=dict)
    tried: Mapping[int, int] = field(default_factory=dict)
    moves: Mapping[int, Move] = field(default_factory=dict)
    gone: frozenset[int] = frozenset()

    @property
    def settled(self) -> frozenset[int]:
        return self.gone | self.moves.keys()

    def left_s(self, now: float) -> float:
        """For how long it is leased yet, at the server's time."""
        return self.since + self.lease_s - now if self.held else 0.0

    def leased(self, messages: Sequence[int], still_there: frozenset[int], lease_s: float) -> Lane:
        """Leased to somebody new: who held messages before has lost them, and they were tried once more."""
        tried = {**self.tried, **{seq: attempt + 1 for seq, attempt in self.held.items()}}
        return replace(
            self,
            lease_s=lease_s,
            held={seq: tried.get(seq, 0) for seq in messages},
            tried={seq: attempt for seq, attempt in tried.items() if seq not in messages},
            moves={seq: move for seq, move in self.moves.items() if seq in still_there},
            gone=self.gone & still_there,
        )

    def ended(self, done: Sequence[int], moves: Mapping[int, Move]) -> Lane:
        """Without what is settled: done, or moved elsewhere."""
        held = {seq: attempt for seq, attempt in self.held.items() if seq not in moves and seq not in done}
        return replace(self, held=held, moves={**self.moves, **moves}, gone=self.gone.union(done))

    def given_back(self, messages: Sequence[int]) -> Lane:
        """Without messages that stay where they are, uncharged."""
        tried = {seq: self.held[seq] for seq in messages if self.held.get(seq)}
        held = {seq: attempt for seq, attempt in self.held.items() if seq not in messages}
        return replace(self, held=held, tried={**self.tried, **tried})

    def cleaned(self, messages: frozenset[int]) -> Lane:
        """Without what is no longer there."""
        moves = {seq: move for seq, move in self.moves.items() if seq not in messages}
        return replace(self, moves=moves, gone=self.gone - messages)


def packed(lane: Lane) -> bytes:
    """The record's bytes."""
    return orjson.dumps(
        [
            lane.lease_s,
            list(lane.held.items()),
            list(lane.tried.items()),
            [(seq, move.attempt, move.due, move.dead) for seq, move in lane.moves.items()],
            sorted(lane.gone),
        ]
    )


def unpacked(data: bytes, revision: int, since: float) -> Lane:
    """Raises EngineError where the record was not written by `packed`."""
    try:
        lease_s, held, tried, moves, gone = orjson.loads(data)
        return Lane(
            revision,
            since,
            float(lease_s),
            dict(held),
            dict(tried),
            {seq: Move(*move) for seq, *move in moves},
            frozenset(gone),
        )
    except (ValueError, TypeError) as error:
        raise EngineError(f"a lane's record was not written by airless: {data[:60]!r}") from error
