"""How long a crawler works on what it was given, and what it waits for while it does."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airless.cost.usage import Usage


@dataclass(frozen=True, slots=True)
class Stint:
    """The bounds of a one-shot, in epoch seconds; without them a crawler works until it is told to stop.

    From `stop_s` on nothing is started. What is still under way at `cut_off_s` is let go of, and handed back as if it
    had never begun. Where nothing can start for longer than `wait_at_most_s`, the rest is handed back at once, for the
    queue to wait with. `spent` says what the invocation used of its cloud since it was last asked.
    """

    stop_s: float = math.inf
    cut_off_s: float = math.inf
    wait_at_most_s: float = math.inf
    spent: Callable[[], Usage] | None = None
