"""Accounting: every discovered URL is fetched, failed, skipped for a counted reason, or still waiting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_TOTALS = (
    "discovered",
    "fetched",
    "failed",
    "items",
    "bytes",
    "wire_bytes",
    "retries",
    "redirects",
    "seeds",
    "seeds_fetched",
)


class Counts:
    """The counters of one shard, or their sum. `failures` and `skipped` count by reason.

    `bytes` are decompressed, `wire_bytes` as they came.
    """

    __slots__ = (*_TOTALS, "failures", "skipped")

    discovered: int
    fetched: int
    failed: int
    items: int
    bytes: int
    wire_bytes: int
    retries: int
    redirects: int
    seeds: int
    seeds_fetched: int

    def __init__(self) -> None:
        for name in _TOTALS:
            setattr(self, name, 0)
        self.skipped: dict[str, int] = {}
        self.failures: dict[str, int] = {}

    @property
    def waiting(self) -> int:
        """Discovered and not ended yet."""
        return self.discovered - self.fetched - self.failed - sum(self.skipped.values())

    def skip(self, reason: str, number: int = 1) -> None:
        self.skipped[reason] = self.skipped.get(reason, 0) + number

    def fail(self, reason: str) -> None:
        self.failed += 1
        self.failures[reason] = self.failures.get(reason, 0) + 1

    def bring_back(self, reason: str) -> None:
        """One that had failed waits once more."""
        self.failed -= 1
        self.failures[reason] = self.failures.get(reason, 0) - 1

    def add(self, other: Counts) -> None:
        for name in _TOTALS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for reason, number in other.skipped.items():
            self.skip(reason, number)
        for reason, number in other.failures.items():
            self.failures[reason] = self.failures.get(reason, 0) + number

    def since(self, earlier: Counts) -> Counts:
        """What has come to it since it was at `earlier`."""
        counts = Counts()
        for name in _TOTALS:
            setattr(counts, name, getattr(self, name) - getattr(earlier, name))
        counts.skipped = _more(self.skipped, earlier.skipped)
        counts.failures = _more(self.failures, earlier.failures)
        return counts

    def copy(self) -> Counts:
        """As it is now."""
        return self.since(Counts())

    def to_dict(self) -> dict[str, Any]:
        totals: dict[str, Any] = {name: getattr(self, name) for name in _TOTALS}
        return {**totals, "skipped": _some(self.skipped), "failures": _some(self.failures)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Counts:
        counts = cls()
        for name in _TOTALS:
            setattr(counts, name, int(data.get(name, 0)))
        counts.skipped = dict(data.get("skipped", {}))
        counts.failures = dict(data.get("failures", {}))
        return counts


def _some(counts: Mapping[str, int]) -> dict[str, int]:
    return {reason: number for reason, number in sorted(counts.items()) if number}


def _more(now: Mapping[str, int], before: Mapping[str, int]) -> dict[str, int]:
    more = {reason: number - before.get(reason, 0) for reason, number in now.items()}
    return {reason: number for reason, number in more.items() if number}
