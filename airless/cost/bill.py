"""What usage comes to, line by line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from airless.cost.prices import AWS, Prices
from airless.cost.usage import Usage

_GB = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Line:
    """One line: so much of something, for so many US dollars. `asked` is how many requests the units were."""

    name: str
    amount: float
    unit: str
    usd: float
    asked: int | None = None


@dataclass(frozen=True, slots=True)
class Bill:
    """The lines, dearest first."""

    lines: tuple[Line, ...]

    @property
    def usd(self) -> float:
        """All of it."""
        return sum(line.usd for line in self.lines)

    def to_dict(self) -> dict[str, Any]:
        """As JSON data."""
        return {
            "usd": self.usd,
            "lines": [
                {"name": line.name, "amount": line.amount, "unit": line.unit, "usd": line.usd}
                for line in self.lines
            ],
        }


def bill(usage: Usage, prices: Prices = AWS) -> Bill:
    """Price all of it; what is stored, for a month. Raises ConfigError where something has no price."""
    lines = [
        Line(kind, units, "requests", units * prices.of(kind), usage.requests[kind])
        for kind, units in usage.billed.items()
        if units
    ]
    lines += [
        Line(f"lambda {arch}", gb_s, "GB-s", gb_s * prices.second(1024, arch))
        for arch, gb_s in usage.gb_s.items()
        if gb_s
    ]
    if usage.invocations:
        number = usage.invocations
        lines.append(Line("lambda invocations", number, "requests", number * prices.invocation, number))
    if usage.stored_bytes > 0:
        stored_gb = usage.stored_bytes / _GB
        lines.append(Line("s3 storage, a month", stored_gb, "GB", stored_gb * prices.s3_gb_month))
    return Bill(tuple(sorted(lines, key=lambda line: (-line.usd, line.name))))
