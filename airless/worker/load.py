"""Whether a process has as much to do as it can: then it takes nothing more, and others get it."""

from __future__ import annotations

import time
from pathlib import Path

from airless.core.clock import Clock

# Nanoseconds that this thread has computed and has waited for a processor, and how often it was given one
# (https://docs.kernel.org/scheduler/sched-stats.html).
_SCHEDULED = Path("/proc/thread-self/schedstat")

_LOOK_S = 0.25
# Above this share of a processor, or where its turns come late by that share, more work would only wait here.
_BUSY, _LATE = 0.85, 0.4


class Load:
    """How busy the process is, as of a moment ago."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.busy = False

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        at_s, wanted_s = time.monotonic(), _wanted_s()
        while True:
            await self._clock.sleep(_LOOK_S)
            # Not by the clock that is passed in: processor time is measured against the machine's.
            before_s, wanted_before_s = at_s, wanted_s
            at_s, wanted_s = time.monotonic(), _wanted_s()
            passed_s = at_s - before_s
            self.busy = wanted_s - wanted_before_s > _BUSY * passed_s or passed_s > (1 + _LATE) * _LOOK_S


def _wanted_s() -> float:
    """Seconds of a processor that this process has had or, where the system tells, has waited for."""
    try:
        waited_s = int(_SCHEDULED.read_bytes().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        waited_s = 0.0
    return time.process_time() + waited_s
