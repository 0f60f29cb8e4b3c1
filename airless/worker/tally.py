"""What a process has done and how it stands, as it tells its parent; the parent adds up."""

from __future__ import annotations

import os
import resource
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from airless.core.outcome import Again, Dead, Done, Ended
from airless.core.ports import Settlement
from airless.crawl.counts import Counts

_STATM = Path("/proc/self/statm")

Messages = Counter[tuple[str, str]]
"""Messages by topic and end."""

Pages = Counter[tuple[str, str]]
"""URLs by outcome and reason."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What was done: it only grows."""

    messages: Messages = field(default_factory=Counter)
    pages: Pages = field(default_factory=Counter)
    items: int = 0
    bytes: int = 0
    batches: int = 0

    def plus(self, other: Tally) -> Tally:
        return Tally(
            self.messages + other.messages,
            self.pages + other.pages,
            self.items + other.items,
            self.bytes + other.bytes,
            self.batches + other.batches,
        )


@dataclass(frozen=True, slots=True)
class Standing:
    """How a process stands: what it has in hand, its memory, and the seconds since its broker last answered."""

    requests: int
    batches: int
    leased: int
    memory_bytes: int
    silent_s: float
    done: Tally


def summed(tallies: Iterable[Tally]) -> Tally:
    total = Tally()
    for tally in tallies:
        total = total.plus(tally)
    return total


def pages_of(counts: Counts) -> Pages:
    """URLs by how they ended."""
    pages: Pages = Counter({("fetched", ""): counts.fetched, ("retried", ""): counts.retries})
    pages.update({("failed", reason): number for reason, number in counts.failures.items()})
    pages.update({("skipped", reason): number for reason, number in counts.skipped.items()})
    return +pages


def end_of(settlement: Settlement) -> str:
    """What a settled delivery is counted as."""
    if settlement.dead is not None:
        return "dead"
    if not settlement.again:
        return "done"
    return "again" if settlement.charge else "handed_back"


def end_named(end: Ended) -> str:
    """What a message of an operator is counted as."""
    match end.outcome:
        case Done():
            return "done"
        case Dead():
            return "dead"
        case Again(charge=charge):
            return "again" if charge else "handed_back"
    return "lost"


def memory_bytes() -> int:
    """What this process has in memory now; where the system doesn't say, the most that it ever had."""
    if _STATM.exists():
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
