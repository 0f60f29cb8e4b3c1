"""When: cron's five fields, as everybody writes them, as EventBridge Scheduler takes them.

Sources: crontab(5); "Schedule types in EventBridge Scheduler", EventBridge Scheduler User Guide.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from airless.core.errors import ConfigError

_NATIVE = re.compile(r"(rate|cron|at)\([^()]+\)")
_PART = re.compile(r"(?P<range>\*|\w+(-\w+)?)(/(?P<step>\d+))?")
_DAYS: Final = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_NICKNAMES: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_FORM = "write it as cron does ('0 6 * * *') or as AWS does ('rate(5 minutes)', 'cron(0 6 ? * MON *)')"


def schedule_expression(text: str) -> str:
    """``0 6 * * 1-5`` as ``cron(0 6 ? * MON-FRI *)``; AWS's own forms stay as they are.

    AWS takes one kind of day only and a ``?`` for the other, and counts Sunday as 1; so weekdays go by their names.
    Raises ConfigError for what can't be read, and for what names days of both kinds.
    """
    text = text.strip()
    if _NATIVE.fullmatch(text):
        return text
    fields = _NICKNAMES.get(text.lower(), text).split()
    if len(fields) != 5:
        raise ConfigError(f"{text!r} is no schedule: {_FORM}")
    try:
        minutes = _values(fields[0], range(60))
        hours = _values(fields[1], range(24))
        days = _values(fields[2], range(1, 32))
        months = _values(fields[3], range(1, 13), _MONTHS)
        # Sunday is 7, too, where it is named; a week that isn't ended by its field ends on Saturday.
        weekdays = sorted({day % 7 for day in _values(fields[4], range(8), _DAYS, end=6)})
    except ValueError as error:
        raise ConfigError(f"{text!r} is no schedule ({error}): {_FORM}") from error
    any_day, any_weekday = len(days) == 31, len(weekdays) == 7
    if not any_day and not any_weekday:
        raise ConfigError(f"{text!r} names days of the month and of the week: make two schedules of it")
    day = ("*" if any_day else _runs(days)) if any_weekday else "?"
    weekday = "?" if any_weekday else _runs(weekdays, _DAYS)
    month = "*" if len(months) == 12 else _runs(months)
    hour = "*" if len(hours) == 24 else _runs(hours)
    minute = "*" if len(minutes) == 60 else _runs(minutes)
    return f"cron({minute} {hour} {day} {month} {weekday} *)"


def _values(text: str, allowed: range, names: Sequence[str] = (), *, end: int | None = None) -> list[int]:
    """The values that a field names, in order. Up to `end` go ``*`` and ``5/2``."""
    end = allowed[-1] if end is None else end
    values: set[int] = set()
    for part in text.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise ValueError(f"{part!r} can't be read")
        low, _, high = match["range"].partition("-")
        step = int(match["step"] or 1)
        if low == "*":
            first, last = allowed[0], end
        else:
            first = _value(low, allowed, names)
            last = _value(high, allowed, names) if high else end if match["step"] else first
        if first > last or step < 1:
            raise ValueError(f"{part!r} names nothing")
        values.update(range(first, last + 1, step))
    return sorted(values)


def _value(text: str, allowed: range, names: Sequence[str]) -> int:
    if text.upper() in names:
        return names.index(text.upper()) + allowed[0]
    if not (text.isascii() and text.isdecimal()) or int(text) not in allowed:
        raise ValueError(f"{text!r} is not from {allowed[0]} to {allowed[-1]}")
    return int(text)


def _runs(values: Iterable[int], names: Sequence[str] = ()) -> str:
    """``1-3,7``: neighbours as a range, so that a list stays short."""
    runs: list[list[int]] = []
    for value in values:
        if runs and value == runs[-1][1] + 1:
            runs[-1][1] = value
        else:
            runs.append([value, value])
    spelled = [[names[value] if names else str(value) for value in run] for run in runs]
    return ",".join(first if first == last else f"{first}-{last}" for first, last in spelled)
