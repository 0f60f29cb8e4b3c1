"""How often a failed message is tried again, and when."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

_MAX_FACTOR = 10_000.0
_MAX_EXPONENT = 60


@dataclass(frozen=True, slots=True)
class Retry:
    """Tries in all, and the waits between them: full jitter under an exponential ceiling.

    Before try n + 1 (n from 1) the wait is uniform between 0 and ``min(cap_s, base_s * factor ** (n - 1))``
    seconds; see "Exponential Backoff and Jitter", AWS Architecture Blog, 2015. A message that was handed out
    `max_deliveries` times and never came to an end is given up unrun: it kills its consumers.
    """

    max_attempts: int = 3
    base_s: float = 1.0
    factor: float = 5.0
    cap_s: float = 480.0
    max_deliveries: int = 20

    def of(self, metadata: Mapping[str, Any]) -> Retry:
        """This policy with what a message's ``metadata`` asks for instead.

        `max_retries` are the tries after the first; `retry_interval` is the factor and `max_interval` the
        cap, so that the ceiling is ``min(retry_interval ** retries, max_interval)`` seconds. What is no
        number is passed over.
        """
        retries = _number(metadata.get("max_retries"))
        factor = _number(metadata.get("retry_interval"))
        cap_s = _number(metadata.get("max_interval"))
        if retries is None and factor is None and cap_s is None:
            return self
        return replace(
            self,
            max_attempts=self.max_attempts if retries is None else int(retries) + 1,
            factor=self.factor if factor is None else factor,
            cap_s=self.cap_s if cap_s is None else cap_s,
        )

    def ceiling_s(self, attempt: int) -> float:
        """The longest wait after the try that had `attempt` charged ones before it."""
        return min(self.cap_s, self.base_s * min(self.factor, _MAX_FACTOR) ** min(attempt, _MAX_EXPONENT))

    def wait_s(self, attempt: int, rng: random.Random) -> float:
        return rng.uniform(0.0, self.ceiling_s(attempt))


def earlier_attempts(attempt: int, metadata: Mapping[str, Any]) -> int:
    """The tries before this one: what the engine charged, and the ``retries`` that a message brings along."""
    return attempt + int(_number(metadata.get("retries")) or 0)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
        return None
    return float(value)
