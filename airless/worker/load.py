"""Whether a process has as much to do as it can: then it takes nothing more, and others get it."""

from __future__ import annotations

import time

from airless.core.clock import Clock

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
        at_s, cpu_s = time.monotonic(), time.process_time()
        while True:
            await self._clock.sleep(_LOOK_S)
            # Not by the clock that is passed in: processor time is measured against the machine's.
            before_s, cpu_before_s = at_s, cpu_s
            at_s, cpu_s = time.monotonic(), time.process_time()
            passed_s = at_s - before_s
            self.busy = cpu_s - cpu_before_s > _BUSY * passed_s or passed_s > (1 + _LATE) * _LOOK_S
