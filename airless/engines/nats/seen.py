"""What is thought to wait, from the last listing and what was rung since: it is looked at before all is listed anew.

To list what waits costs the server and us more with every subject on which something does; to look at a few doesn't.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

from airless.core.clock import Clock
from airless.engines.nats.servertime import ServerTime

# A listing is good for so long; and so long what was seen of leases: who ends one early rings, but a ring may get lost.
_FRESH_S, _TRUSTED_S = 0.5, 5.0
_UNKNOWN, _MOST_RUNG = 0, 10_000


class Seen:
    """The subjects behind one name on which messages seem to wait, each with how many, 0 where nobody knows.

    They are chosen topic by topic, so that one with a thousand ordering keys keeps no other waiting.
    """

    def __init__(self, clock: Clock, time: ServerTime) -> None:
        self._clock = clock
        self._time = time
        self._rng = random.Random()  # noqa: S311 - no secret
        self._topics: dict[str, dict[str, int]] = {}
        self._leased: dict[str, tuple[float, float]] = {}
        self._rung: dict[str, int] = {}
        self._listed_at = float("-inf")
        self._breaks = 0

    @property
    def fresh(self) -> bool:
        """Whether it was listed lately."""
        return self._clock.monotonic() - self._listed_at < _FRESH_S

    @property
    def again_s(self) -> float | None:
        """The seconds until a lease runs out that was seen; None where there is none."""
        if not self._leased:
            return None
        return max(0.0, min(until for until, _ in self._leased.values()) - self._time.now())

    def stale(self) -> None:
        """Something waits, or is no longer leased, and nobody knows where."""
        self._listed_at = float("-inf")
        self._leased.clear()

    def ring(self, subject: str, number: int) -> None:
        """Something waits on a subject; or it may, since nobody leases it any more."""
        self._leased.pop(subject, None)
        if len(self._rung) >= _MOST_RUNG:  # nobody has looked for long
            self._rung.clear()
            self.stale()
        self._rung[subject] = _sum(self._rung[subject], number) if subject in self._rung else number

    def begin(self, breaks: int) -> None:
        """A listing begins: it shows what was rung before. After a break some rings weren't heard."""
        self._rung.clear()
        if breaks != self._breaks:
            self._breaks = breaks
            self._leased.clear()

    def listed(self, counts: Mapping[str, int], *, heeding: bool) -> None:
        """A listing is there. `heeding`: lanes that were seen to be leased are left alone, as their ends are heard."""
        now, trusted = self._time.now(), self._clock.monotonic() - _TRUSTED_S
        self._leased = {
            subject: (until, seen_at)
            for subject, (until, seen_at) in self._leased.items()
            if heeding and until > now and seen_at > trusted and subject in counts
        }
        self._topics.clear()
        subjects = [subject for subject in counts if subject not in self._leased]
        self._rng.shuffle(subjects)
        for subject in subjects:
            self.put_back(subject, counts[subject])
        self._listed_at = self._clock.monotonic()

    def choose(self, most: int) -> dict[str, int]:
        """Up to `most` subjects, which are no longer in here, of the topics in turn."""
        self._take_in()
        chosen: dict[str, int] = {}
        turns = list(self._topics)
        self._rng.shuffle(turns)
        while turns and len(chosen) < most:
            for topic in turns[: most - len(chosen)]:
                waiting = self._topics[topic]
                subject = next(iter(waiting))
                chosen[subject] = waiting.pop(subject)
                if not waiting:
                    del self._topics[topic]
            turns = [topic for topic in turns if topic in self._topics]
        return chosen

    def put_back(self, subject: str, number: int) -> None:
        """More may wait there."""
        self._topics.setdefault(_topic_of(subject), {})[subject] = number

    def leased(self, subject: str, until: float) -> None:
        """Somebody leases it, until a time of the server."""
        self._leased[subject] = (until, self._clock.monotonic())

    def _take_in(self) -> None:
        """What was rung, and lanes whose leases have run out."""
        rung, self._rung = self._rung, {}
        now = self._time.now()
        for subject in [subject for subject, (until, _) in self._leased.items() if until <= now]:
            del self._leased[subject]
            rung.setdefault(subject, _UNKNOWN)
        for subject, number in rung.items():
            there = self._topics.get(_topic_of(subject), {}).get(subject)
            self.put_back(subject, number if there is None else _sum(there, number))


def _sum(one: int, other: int) -> int:
    return one + other if one and other else _UNKNOWN


def _topic_of(subject: str) -> str:
    return subject.split(".", 3)[3]
