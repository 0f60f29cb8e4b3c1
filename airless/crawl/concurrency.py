"""How many requests are under way at once, where nobody said: more as long as that brings more pages.

Everything here is a pure function of what happened and how long it took, both passed in.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from airless.crawl.counts import Counts

BUSY = 0.9
"""Above this share of a processor more at once can't bring more, and costs memory and caches."""

_STEP = 1.5
# Of what is put in, this part has to come out; where half of it does, no longer look is needed.
_WORTH, _CLEARLY_WORTH = 0.2, 0.5

_GLANCE, _GLANCE_S = 50, 10.0
_LOOK, _LOOK_S, _LONGEST_LOOK_S = 500, 3.0, 10.0
_BEGINNING_S = 1.0
_HOLD_S, _LONGEST_HOLD_S = 10.0, 160.0

# What may go wrong anyhow, before a crawl has told; then what is clearly more than is usual.
_FAULTS = 0.2
_MORE_FAULTS, _MORE_FAULTS_BY = 1.5, 0.05
_LEARN = 0.2
_UNCHANGED = 0.8

_FAULT_REASONS = frozenset({"connect", "dns", "timeout", "truncated", "http_408", "http_425", "http_429"})


@dataclass(frozen=True, slots=True)
class Bounds:
    """Requests at once: `start` to begin with, then what does best from `least` to `most`."""

    start: int = 64
    least: int = 16
    most: int = 1_000

    @classmethod
    def of(cls, concurrency: int | None) -> Self:
        """Those of a setting: a number is kept to."""
        return cls() if concurrency is None else cls(concurrency, concurrency, concurrency)

    @property
    def fixed(self) -> bool:
        return self.least == self.most

    def share(self, processes: int) -> Self:
        """One process's part; at least one each."""
        parts = (max(1, number // processes) for number in (self.start, self.least, self.most))
        return type(self)(*parts)

    def within(self, most: int) -> Self:
        """The same with no more than `most`."""
        return type(self)(min(self.start, most), min(self.least, most), min(self.most, most))


@dataclass(frozen=True, slots=True)
class Stretch:
    """What some time of a crawl was like.

    `ended` requests were answered or failed, `faults` of them by time-outs, broken connections, 429 or 5xx.
    `cpu_s` is the processor time that the process took. `held_back` says that nothing but the limit kept
    more from starting.
    """

    seconds: float
    ended: int
    faults: int
    cpu_s: float
    held_back: bool


class _Seen:
    """Stretches at one limit, added up; those of long ago count less and less."""

    __slots__ = ("cpu_s", "ended", "faults", "seconds")

    def __init__(self) -> None:
        self.seconds = self.ended = self.faults = self.cpu_s = 0.0

    def add(self, stretch: Stretch) -> None:
        if self.seconds > _LONGEST_LOOK_S:
            self.seconds, self.ended, self.faults, self.cpu_s = (
                number / 2 for number in (self.seconds, self.ended, self.faults, self.cpu_s)
            )
        self.seconds += stretch.seconds
        self.ended += stretch.ended
        self.faults += stretch.faults
        self.cpu_s += stretch.cpu_s

    @property
    def good(self) -> float:
        return self.ended - self.faults

    @property
    def rate(self) -> float:
        """Good answers a second."""
        return self.good / self.seconds if self.seconds else 0.0

    @property
    def fault_share(self) -> float:
        return self.faults / self.ended if self.ended else 0.0

    @property
    def busy(self) -> bool:
        return self.cpu_s > BUSY * self.seconds


class Concurrency:
    """The limit of requests at once, by trial: a step up stays if it brought more, a step down if it cost nothing.

    A step is half as many again. It is judged by the good answers a second once what was under way before it
    has ended, and one that wasn't worth it is taken back; the next such attempt comes after a hold that
    doubles. Where clearly more fails than is usual the limit is halved; if as much fails then, that is the
    web's doing and becomes the usual. While the process is busy, or something else than the limit holds the
    crawl back, there are no steps up.
    """

    def __init__(self, bounds: Bounds) -> None:
        self.limit = bounds.start
        self._bounds = bounds
        self._seen = _Seen()
        self._before: tuple[int, float] | None = None
        self._settling_s = _BEGINNING_S
        self._hold_s = 0.0
        self._next_hold_s = _HOLD_S
        self._failed_at = math.inf
        self._downwards = False
        self._usual = _FAULTS
        self._blamed: float | None = None

    def note(self, stretch: Stretch) -> int:
        """What happened since the last call; the limit from now on. Stretches of half a second or so do well."""
        self._hold_s -= stretch.seconds
        if self._settling_s > 0:
            self._settling_s -= stretch.seconds
        elif not stretch.held_back:
            # Its rate says nothing of the limit.
            self._seen = _Seen()
            self._before = None
        else:
            self._seen.add(stretch)
            if self._seen.ended >= _GLANCE or self._seen.seconds >= _GLANCE_S:
                self._look()
        return self.limit

    def _look(self) -> None:
        if self._faults_rose():
            self._retreat()
            return
        if self._before is not None:
            worth = self._worth(*self._before)
            if worth is None:
                return
            self._judged(self._before[0], worth=worth)
        if self._before is None:
            self._consider()

    def _faults_rose(self) -> bool:
        seen = self._seen
        if self._blamed is not None:
            if seen.fault_share > _UNCHANGED * self._blamed:
                self._usual = seen.fault_share
            self._blamed = None
        allowed = seen.ended * (self._usual * _MORE_FAULTS + _MORE_FAULTS_BY)
        # Two standard deviations of a count: a few faults among a few answers mean nothing.
        if seen.faults > allowed + 2 * math.sqrt(allowed):
            return True
        self._usual += _LEARN * (seen.fault_share - self._usual)
        return False

    def _retreat(self) -> None:
        self._blamed = self._seen.fault_share
        self._failed_at = self.limit
        self._downwards = False
        self._hold()
        self._set(max(self._bounds.least, self.limit // 2))

    def _worth(self, limit: int, rate: float) -> bool | None:
        """Whether the step from `limit` at `rate` was worth it; None while that can't be told."""
        seen = self._seen
        step = self.limit / limit - 1
        gain = seen.rate - rate
        if 0 < _CLEARLY_WORTH * step * rate < gain:
            return True
        if seen.seconds < _LOOK_S or (seen.good < _LOOK and seen.seconds < _LONGEST_LOOK_S):
            return None
        return gain > _WORTH * step * rate

    def _judged(self, before: int, *, worth: bool) -> None:
        up = self.limit > before
        if worth:
            self._before = None
            if not up:
                self._failed_at = before
                self._hold()
            elif self.limit >= self._failed_at:
                self._failed_at = math.inf
                self._next_hold_s = _HOLD_S
            return
        if up:
            self._failed_at = self.limit
        # Where more brought nothing, less may cost nothing.
        self._downwards = up
        self._hold()
        self._set(before)

    def _consider(self) -> None:
        """Try a step, if there is one to be tried."""
        busy = self._seen.busy
        if busy or self._downwards:
            target = max(self._bounds.start, int(self.limit / _STEP))
            if target >= self.limit:
                self._downwards = False
                return
        else:
            target = min(self._bounds.most, math.ceil(self.limit * _STEP))
        if target == self.limit or (self._hold_s > 0 and not self.limit < target < self._failed_at):
            return
        before = (self.limit, self._seen.rate)
        self._set(target)
        self._before = before

    def _hold(self) -> None:
        self._hold_s = self._next_hold_s
        self._next_hold_s = min(_LONGEST_HOLD_S, 2 * self._next_hold_s)

    def _set(self, limit: int) -> None:
        """Another limit; what it does shows when what is under way has ended (Little's law)."""
        seen = self._seen
        self._settling_s = min(_LONGEST_LOOK_S, self.limit * seen.seconds / max(1.0, seen.ended))
        self.limit = limit
        self._seen = _Seen()
        self._before = None


class Meter:
    """How many requests have ended since the last reading of the shards' counters, and with how many faults.

    What a shard had counted before it was first seen is of an earlier run.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[int, int]] = {}

    def read(self, shards: Mapping[int, Counts]) -> tuple[int, int]:
        ended = faults = 0
        for index, counts in shards.items():
            now = _ended(counts)
            before = self._known.get(index, now)
            self._known[index] = now
            ended += now[0] - before[0]
            faults += now[1] - before[1]
        # Failures that are tried again are taken from the counters.
        return max(0, ended), max(0, faults)


def _ended(counts: Counts) -> tuple[int, int]:
    """How many requests have ended, and how many of those by a fault of the server or the network."""
    ended = counts.fetched + counts.redirects + counts.retries
    faults = counts.retries
    for reason, number in counts.failures.items():
        # What waited for a host that is gone was never asked for.
        if reason != "host_unreachable":
            ended += number
            if reason in _FAULT_REASONS or reason.startswith("http_5"):
                faults += number
    return ended, faults
