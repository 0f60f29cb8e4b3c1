"""What was asked of a cloud and used there, counted in the units that are billed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, Self, runtime_checkable

from airless.core.errors import ConfigError

MESSAGE_UNIT_BYTES = 64 * 1024
"""Each begun piece of this size of an SQS request's payload is billed as one request."""

_MS = 1_000


@dataclass(slots=True)
class Usage:
    """Requests by kind (``sqs.SendMessageBatch``), functions' time by architecture, bytes; all of it adds up.

    `requests` counts what was asked, retries too, `billed` the units that this comes to. `stored_bytes` is what is
    left in the object store, `fetched_bytes` what came from the web, for which clouds ask nothing.
    """

    requests: Counter[str] = field(default_factory=Counter)
    billed: Counter[str] = field(default_factory=Counter)
    invocations: int = 0
    billed_ms: int = 0
    gb_s: dict[str, float] = field(default_factory=dict)
    stored_bytes: int = 0
    fetched_bytes: int = 0

    def ask(self, kind: str, *, units: int = 1, times: int = 1) -> None:
        """Count requests of a kind, each of so many billed units."""
        self.requests[kind] += times
        self.billed[kind] += units * times

    def invoke(self, billed_s: float, memory_mb: int, arch: str) -> None:
        """Count an invocation, its time rounded up to the millisecond as it is billed."""
        self.invocations += 1
        self.run(billed_s, memory_mb, arch)

    def run(self, billed_s: float, memory_mb: int, arch: str) -> None:
        """Count time of an invocation that is counted elsewhere."""
        # What a float is off must not make a whole millisecond.
        billed_ms = math.ceil(round(billed_s * _MS, 6))
        self.billed_ms += billed_ms
        self._run(billed_ms / _MS * memory_mb / 1024, arch)

    def add(self, other: Usage) -> None:
        """Count what another counted too."""
        self.requests.update(other.requests)
        self.billed.update(other.billed)
        self.invocations += other.invocations
        self.billed_ms += other.billed_ms
        for arch, gb_s in other.gb_s.items():
            self._run(gb_s, arch)
        self.stored_bytes += other.stored_bytes
        self.fetched_bytes += other.fetched_bytes

    def since(self, earlier: Usage) -> Usage:
        """What has come to it since it was at `earlier`."""
        run = {arch: gb_s - earlier.gb_s.get(arch, 0.0) for arch, gb_s in self.gb_s.items()}
        return Usage(
            self.requests - earlier.requests,
            self.billed - earlier.billed,
            self.invocations - earlier.invocations,
            self.billed_ms - earlier.billed_ms,
            {arch: gb_s for arch, gb_s in run.items() if gb_s},
            self.stored_bytes - earlier.stored_bytes,
            self.fetched_bytes - earlier.fetched_bytes,
        )

    def copy(self) -> Usage:
        """As it is now."""
        return Usage.from_dict(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """As JSON data."""
        return {
            "requests": dict(sorted(self.requests.items())),
            "billed": dict(sorted(self.billed.items())),
            "invocations": self.invocations,
            "billed_ms": self.billed_ms,
            "gb_s": dict(sorted(self.gb_s.items())),
            "stored_bytes": self.stored_bytes,
            "fetched_bytes": self.fetched_bytes,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """From `to_dict`. Raises ConfigError where it is something else."""
        try:
            return cls(
                _counter(data["requests"]),
                _counter(data["billed"]),
                _whole(data["invocations"]),
                _whole(data["billed_ms"]),
                {arch: float(gb_s) for arch, gb_s in _checked(data["gb_s"]).items()},
                _whole(data["stored_bytes"]),
                _whole(data["fetched_bytes"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ConfigError(f"this is no record of usage: {type(error).__name__}: {error}") from error

    def _run(self, gb_s: float, arch: str) -> None:
        self.gb_s[arch] = self.gb_s.get(arch, 0.0) + gb_s


@runtime_checkable
class Metered(Protocol):
    """An engine that counts what it asks of a cloud."""

    @property
    def usage(self) -> Usage: ...


def message_units(payload_bytes: int) -> int:
    """How many requests an SQS request with so much payload (bodies and attributes) is billed as."""
    return max(1, -(-payload_bytes // MESSAGE_UNIT_BYTES))


def _checked(data: Mapping[str, Any]) -> Mapping[str, Any]:
    for name, number in data.items():
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            raise ValueError(f"{name} is {number!r}, which is no number")
    return data


def _counter(data: Mapping[str, Any]) -> Counter[str]:
    return Counter({name: _whole(number) for name, number in data.items()})


def _whole(number: Any) -> int:
    if isinstance(number, bool) or not isinstance(number, int):
        raise ValueError(f"{number!r} is no whole number")
    return number
