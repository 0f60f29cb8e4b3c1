"""One topic in memory: what is ready, by ordering key; what waits for its time; who leases what."""

from __future__ import annotations

import heapq
import math
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from airless.core.ports import Delivery


@dataclass(slots=True, eq=False)
class Entry:
    """A message in the store. `turn` changes with every move: heap items of earlier turns are skipped."""

    topic: str
    id: str
    body: bytes
    key: str | None
    priority: int
    weight: int
    visible_at: float
    seq: int
    attempt: int = 0
    turn: int = 0
    receipt: str | None = None
    consumer: str | None = None
    lease_until: float = math.inf
    leased: bool = False

    def delivery(self) -> Delivery:
        receipt = self.receipt or ""
        return Delivery(self.topic, self.body, self.id, receipt, self.attempt, self.key)


_Ready = tuple[int, float, int, int, Entry]
_Timed = tuple[float, int, int, Entry]


@dataclass(slots=True)
class Lane:
    """The messages of one ordering key (or of none) that can be had, and who leases how many."""

    ready: list[_Ready] = field(default_factory=list)
    holder: str | None = None
    held: int = 0

    def head(self) -> _Ready | None:
        while self.ready and self.ready[0][4].turn != self.ready[0][3]:
            heapq.heappop(self.ready)
        return self.ready[0] if self.ready else None


@dataclass(slots=True)
class Topic:
    """One topic. Every entry is either ready in its lane, or in `timed`: delayed, or leased until a time."""

    entries: dict[str, Entry] = field(default_factory=dict)
    lanes: dict[str | None, Lane] = field(default_factory=dict)
    timed: list[_Timed] = field(default_factory=list)

    def place(self, entry: Entry, now: float) -> None:
        """Put an entry where its time says: ready, or delayed."""
        entry.turn += 1
        if entry.visible_at > now:
            heapq.heappush(self.timed, (entry.visible_at, entry.seq, entry.turn, entry))
            return
        lane = self.lanes.setdefault(entry.key, Lane())
        heapq.heappush(lane.ready, (-entry.priority, entry.visible_at, entry.seq, entry.turn, entry))

    def lease(self, entry: Entry, consumer: str, until: float) -> None:
        if entry.receipt is not None:  # an earlier lease ran out without a word
            entry.attempt += 1
        entry.receipt, entry.consumer = uuid.uuid4().hex, consumer
        self.hold(entry, until)

    def hold(self, entry: Entry, until: float) -> None:
        """Lease the entry, or go on leasing it, to the consumer that it names."""
        if not entry.leased:
            lane = self.lanes.setdefault(entry.key, Lane())
            lane.held, lane.holder, entry.leased = lane.held + 1, entry.consumer, True
        entry.turn += 1
        entry.lease_until = until
        heapq.heappush(self.timed, (until, entry.seq, entry.turn, entry))

    def unlease(self, entry: Entry) -> None:
        """Give up the entry's hold on its lane; where it goes next is the caller's."""
        lane = self.lanes.get(entry.key)
        if lane is None:
            return
        if entry.leased:
            entry.leased = False
            lane.held -= 1
        if not lane.held:
            lane.holder = None
            if lane.head() is None:
                del self.lanes[entry.key]

    def refresh(self, now: float) -> None:
        """Make ready what was delayed until now and what is leased no longer.

        The receipt of a lease that ran out stays good until the message goes out again: who was merely
        late may still settle it.
        """
        while (due := self.next_change()) is not None and due <= now:
            entry = heapq.heappop(self.timed)[3]
            self.unlease(entry)
            self.place(entry, now)

    def next_change(self) -> float | None:
        while self.timed and self.timed[0][3].turn != self.timed[0][2]:
            heapq.heappop(self.timed)
        return self.timed[0][0] if self.timed else None

    def take(self, consumer: str, limit: int, until: float, keys: Sequence[str] | None) -> list[Entry]:
        names: Iterable[str | None] = self.lanes if keys is None else dict.fromkeys(keys)
        heads: list[tuple[_Ready, str | None]] = []
        for name in names:
            lane = self.lanes.get(name)
            if lane is None or self.foreign(name, consumer):
                continue
            if (head := lane.head()) is not None:
                heads.append((head, name))
        heapq.heapify(heads)
        taken: list[Entry] = []
        while heads and len(taken) < limit:
            (*_, entry), name = heads[0]
            lane = self.lanes[name]
            heapq.heappop(lane.ready)
            self.lease(entry, consumer, until)
            taken.append(entry)
            if (head := lane.head()) is not None:
                heapq.heapreplace(heads, (head, name))
            else:
                heapq.heappop(heads)
        return taken

    def foreign(self, key: str | None, consumer: str | None) -> bool:
        """Whether the messages of a key are another consumer's now."""
        lane = self.lanes.get(key) if key is not None else None
        return lane is not None and lane.holder not in (None, consumer)

    def remove(self, entry: Entry) -> None:
        entry.turn += 1
        del self.entries[entry.id]
        self.unlease(entry)
