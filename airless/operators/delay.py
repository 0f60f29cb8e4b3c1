"""The delay operator: its message's ``run_next`` is published, to be had from `seconds` later."""

from __future__ import annotations

import math
from typing import Any

from airless.core.errors import PermanentError
from airless.operators.context import current
from airless.operators.event import EventOperator

MAX_DELAY_S = 30 * 24 * 3600.0


class DelayOperator(EventOperator):
    """Takes ``{seconds, metadata: {run_next: […]}}``. The broker waits; nothing here does.

    `seconds` may be a number from 0 (less counts as 0) up to 30 days; anything else is a permanent error.
    """

    async def execute(self, data: dict[str, Any], topic: str) -> None:
        seconds = data.get("seconds")
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not math.isfinite(seconds):
            raise PermanentError(f"'seconds' must be a number, not {seconds!r}")
        if seconds > MAX_DELAY_S:
            raise PermanentError(
                f"'seconds' is {seconds}; a message can wait for {MAX_DELAY_S:.0f} seconds at most"
            )
        current().next_delay_s = max(0.0, float(seconds))
