"""Cases taken in turn, and what a unit of each costs."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Case:
    """One candidate at one stage, `units` of work at a time.

    `prepare` is called before every round and gives what is timed in it.
    """

    stage: str
    candidate: str
    unit: str
    units: int
    prepare: Callable[[], Callable[[], object]]


def measured(cases: Sequence[Case], rounds: int) -> list[dict[str, Any]]:
    """A row a case. A round takes each case once; the first is not counted."""
    taken_us: list[list[float]] = [[] for _ in cases]
    for turn in range(rounds + 1):
        for case, times in zip(cases, taken_us, strict=True):
            taken = _seconds(case.prepare()) / case.units * 1e6
            if turn:
                times.append(taken)
    return [
        row(case.stage, case.candidate, case.unit, median(times), min(times))
        for case, times in zip(cases, taken_us, strict=True)
    ]


def row(stage: str, candidate: str, unit: str, median_us: float, fastest_us: float) -> dict[str, Any]:
    """Microseconds of CPU a unit; the spread is how far the median is above the fastest round."""
    return {
        "stage": stage,
        "candidate": candidate,
        "unit": unit,
        "median_us": round(median_us, 3),
        "fastest_us": round(fastest_us, 3),
        "spread_percent": round((median_us / fastest_us - 1) * 100, 1),
    }


def _seconds(go: Callable[[], object]) -> float:
    """CPU time of all threads. The collector is off, as `timeit` has it."""
    gc.disable()
    try:
        started_s = time.process_time()
        go()
        return time.process_time() - started_s
    finally:
        gc.enable()
