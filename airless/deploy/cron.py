"""Schedules: cron's five fields, as everybody writes them, to what EventBridge Scheduler takes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from airless.core.errors import ConfigError

_NATIVE = re.compile(r"(rate|cron|at)\([^()]+\)")
_STEP = re.compile(r"(?P<range>\*|\w+(-\w+)?)(/(?P<step>\d+))?")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_FORM = "write it as cron does ('0 6 * * *', in UTC) or as AWS does ('rate(1 hour)', 'cron(0 6 * * ? *)')"


def schedule_expression(text: str) -> str:
    """``0 6 * * MON-FRI`` as ``cron(0 6 ? * MON-FRI *)``; AWS's own forms stay as they are.

    Sundays are 0 or 7, as in cron; AWS counts them as 1, so days go by their names. Raises ConfigError.
    """
    text = text.strip()
    if _NATIVE.fullmatch(text):
        return text
    fields = text.split()
    if len(fields) != 5:
        raise ConfigError(f"{text!r} is no schedule: {_FORM}")
    try:
        minutes = _field(fields[0], range(60))
        hours = _field(fields[1], range(24))
        days = _field(fields[2], range(1, 32))
        months = _field(fields[3], range(1, 13), _MONTHS)
        weekdays = _field(fields[4], range(8), _DAYS)
    except ValueError as error:
        raise ConfigError(f"{text!r} is no schedule ({error}): {_FORM}") from error
    if days is not None and weekdays is not None:
        raise ConfigError(f"{text!r} names days of the month and of the week: make two schedules of it")
    weekday = None if weekdays is None else sorted({day % 7 for day in weekdays})
    if weekday is not None and len(weekday) == 7:
        weekday = None
    day_of_week = "?" if weekday is None else _runs(weekday, _DAYS)
    day_of_month = "?" if weekday is not None else _numbers(days)
    return f"cron({_numbers(minutes)} {_numbers(hours)} {day_of_month} {_numbers(months)} {day_of_week} *)"


def _field(text: str, allowed: range, names: Sequence[str] = ()) -> list[int] | None:
    """The values that a field names, in order; None where it is all of them."""
    values: set[int] = set()
    for part in text.split(","):
        match = _STEP.fullmatch(part)
        if match is None:
            raise ValueError(f"{part!r} can't be read")
        low, _, high = match["range"].partition("-")
        step = int(match["step"] or 1)
        if low == "*":
            first, last = allowed[0], allowed[-1]
        else:
            first = _value(low, allowed, names)
            last = _value(high, allowed, names) if high else (allowed[-1] if match["step"] else first)
        if first > last or step < 1:
            raise ValueError(f"{part!r} names nothing")
        values.update(range(first, last + 1, step))
    return None if values == set(allowed) else sorted(values)


def _value(text: str, allowed: range, names: Sequence[str]) -> int:
    if text.upper() in names:
        return names.index(text.upper()) + allowed[0]
    if not text.isdecimal() or int(text) not in allowed:
        raise ValueError(f"{text!r} is not from {allowed[0]} to {allowed[-1]}")
    return int(text)


def _numbers(values: list[int] | None) -> str:
    return "*" if values is None else _runs(values)


def _runs(values: Iterable[int], names: Sequence[str] = ()) -> str:
    """``1-3,7``: neighbours as ranges, so that a list stays short."""
    runs: list[list[int]] = []
    for value in values:
        if runs and value == runs[-1][1] + 1:
            runs[-1][1] = value
        else:
            runs.append([value, value])

    def spelled(value: int) -> str:
        return names[value] if names else str(value)

    return ",".join(
        spelled(first) if first == last else f"{spelled(first)}-{spelled(last)}" for first, last in runs
    )
