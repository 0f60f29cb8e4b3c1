"""From figures to pixels, with round marks on the way."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

_ROUND = (1, 2, 5)
_MARKS = 6
# Beyond so many decades only powers of ten are marked, lest their labels touch.
_FINE_DECADES = 3.2


@dataclass(frozen=True, slots=True)
class Scale:
    """`low` at `start_px`, `high` at `end_px`; what is below `low` is drawn there. `ticks` are to be marked."""

    low: float
    high: float
    start_px: float
    end_px: float
    ticks: tuple[float, ...]
    log: bool = False

    def at(self, value: float) -> float:
        """Where a figure is, in pixels."""
        low, high, value = self.low, self.high, max(value, self.low)
        if self.log:
            low, high, value = math.log10(low), math.log10(high), math.log10(value)
        return self.start_px + (value - low) / (high - low) * (self.end_px - self.start_px)


def linear(values: Iterable[float], start_px: float, end_px: float) -> Scale:
    """From 0 to the next round mark above all values."""
    most = max(values, default=0.0) or 1.0
    power = 10.0 ** math.floor(math.log10(most / _MARKS))
    step = next(power * times for times in (*_ROUND, 10) if most / (power * times) <= _MARKS)
    marks = math.ceil(most / step - 1e-9)
    ticks = tuple(round(step * number, 12) for number in range(marks + 1))
    return Scale(0.0, ticks[-1], start_px, end_px, ticks)


def logarithmic(values: Iterable[float], start_px: float, end_px: float) -> Scale:
    """From a power of ten to a round mark, so that the smallest value is at least twice the start."""
    positive = [value for value in values if value > 0] or [1.0]
    lowest = math.floor(math.log10(min(positive) / 2))
    highest = math.ceil(math.log10(max(positive)))
    marks = [times * 10.0**power for power in range(lowest, highest + 1) for times in _ROUND]
    high = next(mark for mark in marks if mark >= max(positive) and mark > 10.0**lowest)
    low = 10.0**lowest
    fine = math.log10(high / low) <= _FINE_DECADES
    ticks = [mark for mark in marks if mark <= high and (fine or math.log10(mark).is_integer())]
    return Scale(low, high, start_px, end_px, tuple(ticks), log=True)
