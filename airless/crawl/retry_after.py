"""The Retry-After field (RFC 9110 §10.2.3): a number of seconds, or a date."""

from __future__ import annotations

import calendar
import re
import time

_MAX_S = 2.0**31
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = "(?P<month>" + "|".join(_MONTHS) + ")"
_CLOCK = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_DATES = (
    rf"[a-z]{{3}}, (?P<day>[0-9]{{2}}) {_MONTH} (?P<year>[0-9]{{4}}) {_CLOCK} GMT",
    rf"[a-z]{{6,9}}, (?P<day>[0-9]{{2}})-{_MONTH}-(?P<year>[0-9]{{2}}) {_CLOCK} GMT",
    rf"[a-z]{{3}} {_MONTH} (?P<day>[ 0-9][0-9]) {_CLOCK} (?P<year>[0-9]{{4}})",
)


def parse_retry_after(value: str, now: float) -> float | None:
    """Seconds to wait from `now` (epoch seconds): 0.0 for a past date, None for what is no such value."""
    value = value.strip()
    if value.isascii() and value.isdigit():
        return min(float(value), _MAX_S)
    at = parse_http_date(value, now)
    return None if at is None else min(max(0.0, at - now), _MAX_S)


def parse_http_date(value: str, now: float) -> float | None:
    """Epoch seconds of an HTTP-date in any of its three forms (RFC 9110 §5.6.7), None for anything else.

    A two-digit year that would be more than 50 years after `now` is of the century before.
    """
    for form in _DATES:
        # Not compiled before the first date comes, which few crawls see: that takes 3 ms.
        found = re.fullmatch(form, value, re.IGNORECASE)
        if found:
            break
    else:
        return None
    year, this_year = int(found["year"]), time.gmtime(now).tm_year
    if len(found["year"]) == 2:
        year += this_year // 100 * 100
        if year > this_year + 50:
            year -= 100
    month = _MONTHS.index(found["month"].lower()) + 1
    day, hour, minute, second = (int(found[part]) for part in ("day", "hour", "minute", "second"))
    if (
        year < 1
        or not 1 <= day <= calendar.monthrange(year, month)[1]
        or hour > 23
        or minute > 59
        or second > 60
    ):
        return None
    return float(calendar.timegm((year, month, day, hour, minute, second)))
