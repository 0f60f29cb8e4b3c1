"""What a slow web's server writes down of a crawl, and what that says."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Seen:
    """What a server saw of a crawl.

    `others` are answers that are no page: robots files and what isn't there. `quarter_s` is the time from
    the first request to a quarter of the pages, `middle_pages_per_s` the rate from there to three quarters
    of them, where neither the first links nor the last pages count. `most_waiting` were the most requests at
    once, `late_ms` is by how much answers were late in the mean, `core_share` the CPU time over the time from
    the first request to the last page.
    """

    pages: int
    others: int
    connections: int
    most_waiting: int
    quarter_s: float
    middle_pages_per_s: float
    late_ms: float
    core_share: float


@dataclass(slots=True)
class Log:
    """What the connections write down, in the loop's seconds."""

    connections: int = 0
    others: int = 0
    waiting: int = 0
    most_waiting: int = 0
    late_s: float = 0.0
    started_s: float | None = None
    first_cpu_s: float = 0.0
    last_cpu_s: float = 0.0
    pages_s: list[float] = field(default_factory=list)

    def asked(self, now_s: float) -> None:
        """A request has come."""
        if self.started_s is None:
            self.started_s, self.first_cpu_s = now_s, time.process_time()
        self.waiting += 1
        self.most_waiting = max(self.most_waiting, self.waiting)

    def answered(self, now_s: float, due_s: float, *, page: bool) -> None:
        """Its answer has gone out."""
        self.waiting -= 1
        self.late_s += now_s - due_s
        if page:
            self.pages_s.append(now_s)
            self.last_cpu_s = time.process_time()
        else:
            self.others += 1

    def given_up(self) -> None:
        """Who asked has gone in the meantime."""
        self.waiting -= 1

    def seen(self) -> Seen:
        """All of it."""
        pages = len(self.pages_s)
        started_s = self.started_s or 0.0
        lasted_s = self.pages_s[-1] - started_s if pages else 0.0
        return Seen(
            pages=pages,
            others=self.others,
            connections=self.connections,
            most_waiting=self.most_waiting,
            quarter_s=self.pages_s[pages // 4] - started_s if pages else 0.0,
            middle_pages_per_s=middle_rate(self.pages_s),
            late_ms=1e3 * self.late_s / max(pages + self.others, 1),
            core_share=(self.last_cpu_s - self.first_cpu_s) / lasted_s if lasted_s else 0.0,
        )


def middle_rate(times_s: list[float]) -> float:
    """Events a second between a quarter and three quarters of them; 0 where there are too few."""
    first, last = len(times_s) // 4, len(times_s) * 3 // 4
    taken_s = times_s[last] - times_s[first] if last > first else 0.0
    return (last - first) / taken_s if taken_s else 0.0
