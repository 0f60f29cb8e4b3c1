"""When the next request to a host may start: delays, a concurrency that adapts, and back-off.

Everything here is a pure function of what happened and of the times passed in, which are epoch seconds
(`Clock.now()`) so that a pace can be stored and taken up by another process.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping

from airless.crawl.errors import ConnectError, FetchError, FetchTimeout, TruncatedBody
from airless.crawl.settings import Pace, Retry

HOST_BACKOFF = Retry(base_s=1.0, cap_s=60.0)
MAX_RETRY_AFTER_S = 3_600.0
UNREACHABLE_FAULTS = 10
REPEATED_ERRORS = 3

_FAST, _SLOW = 0.3, 0.03
_LATENCY_RATIO, _LATENCY_RISE_S = 2.0, 0.25


def backoff_s(attempt: int, retry: Retry, rng: random.Random) -> float:
    """Seconds to wait after a failed try: full jitter, evenly from 0 to min(cap_s, base_s · 2^attempt).

    `attempt` counts the failed tries before that one, 0 on the first. Source: "Exponential Backoff And
    Jitter", AWS Architecture Blog, 2015.
    """
    return rng.uniform(0.0, min(retry.cap_s, retry.base_s * 2.0 ** min(attempt, 64)))


class HostPace:
    """One host's pace. Ask it to `start`, and tell it for each start that it `finished`.

    `in_flight` is how many requests were started and have not finished, `limit` how many may be at once as
    things stand. `unreachable` says that so many connections failed in a row that trying again is pointless.

    The limit of requests at once grows by one a round of successes up to `per_host` and halves on overload
    (429, 503, time-outs, connection faults, server errors in a row), which also makes the host wait; it falls
    by one when latency rises well over what it was. With `adaptive` off the limit stays and only the waiting
    is done.
    """

    __slots__ = (
        "_backoffs",
        "_calm",
        "_ceiling",
        "_crawl_delay_s",
        "_eased_at",
        "_errors",
        "_fast_s",
        "_faults",
        "_hold_until",
        "_limit",
        "_next_start",
        "_overloaded_at",
        "_paced",
        "_rng",
        "_settings",
        "_shards",
        "_slow_s",
        "in_flight",
        "limit",
        "unreachable",
    )

    def __init__(self, settings: Pace, rng: random.Random) -> None:
        self._settings = settings
        self._rng = rng
        self._shards = 1
        self._ceiling = max(1, settings.per_host)
        self._crawl_delay_s = 0.0
        self._set_limit(float(self._ceiling))
        self._paced = bool(settings.delay_s)
        self.in_flight = 0
        self._next_start = 0.0
        self._hold_until = 0.0
        self._backoffs = 0
        self._errors = 0
        self._faults = 0
        self._calm = True
        self.unreachable = False
        self._overloaded_at = -math.inf
        self._eased_at = -math.inf
        self._fast_s: float | None = None
        self._slow_s = 0.0

    def share(self, shards: int) -> None:
        """Take one part of the host's rate, where its requests are spread over `shards` shards."""
        self._shards = max(1, shards)
        self._ceiling = max(1, self._settings.per_host // self._shards)
        self._set_limit(min(self._limit, float(self._ceiling)))

    def set_crawl_delay(self, seconds: float | None) -> None:
        """Obey a Crawl-delay, up to the settings' cap, and start one request at a time. None or 0 ends it."""
        self._crawl_delay_s = min(max(0.0, seconds or 0.0), self._settings.max_crawl_delay_s)
        self._paced = bool(self._settings.delay_s or self._crawl_delay_s)
        self._set_limit(self._limit)

    @property
    def gap_s(self) -> float:
        """Seconds between two starts, in the middle of the jitter."""
        return self._gap_s(0.0)

    def ready_at(self, now: float) -> float:
        """When a request may start: `now` or later; inf until one of those in flight has finished."""
        if self.in_flight >= self.limit:
            return math.inf
        if self._next_start <= now >= self._hold_until:
            return now
        # A wall clock that is set back must not hold a host for longer than the delays themselves.
        next_start = min(self._next_start, now + self._gap_s(1.0))
        hold_until = min(self._hold_until, now + MAX_RETRY_AFTER_S)
        return max(now, next_start, hold_until)

    def start(self, now: float) -> bool:
        """Have a request go out at `now`, where it may; whether it may."""
        if self.in_flight >= self.limit:
            return False
        if not self._next_start <= now >= self._hold_until and self.ready_at(now) > now:
            return False
        if self._paced:
            self.started(now)
        else:
            self.in_flight += 1
        return True

    def started(self, now: float) -> None:
        """A request goes out at `now`, whatever `ready_at` says."""
        self.in_flight += 1
        if self._paced:
            self._next_start = now + self._gap_s(self._rng.uniform(-1.0, 1.0))

    def started_elsewhere(self, now: float) -> None:
        """Somebody who left no word may have asked the host just now."""
        self._next_start = max(self._next_start, now + self._gap_s(1.0))

    def finished(
        self,
        now: float,
        status: int | None,
        latency_s: float,
        error: FetchError | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        """A request that was started has ended: with a status, with an error, or (neither) abandoned.

        `latency_s` is the time since its start. Of requests that were in flight together when the host broke
        down, only the first counts as a breakdown; the others started before it could be known.
        """
        if self.in_flight:
            self.in_flight -= 1
        well = error is None and retry_after_s is None and status is not None and status < 400
        if not (well or self._heed(now, status, latency_s, error, retry_after_s)):
            return
        if not (self._calm or self._recovered(now, latency_s)) or not self._settings.adaptive:
            return
        fast_s, slow_s = self._fast_s, self._slow_s
        if fast_s is None:
            fast_s = slow_s = latency_s
        self._fast_s = fast_s = fast_s + _FAST * (latency_s - fast_s)
        self._slow_s = slow_s = slow_s + _SLOW * (latency_s - slow_s)
        if fast_s > _LATENCY_RATIO * slow_s and fast_s - slow_s > _LATENCY_RISE_S:
            self._ease(now, fast_s)
        elif self._limit < self._ceiling:
            self._set_limit(min(float(self._ceiling), self._limit + 1.0 / self._limit))

    def _heed(
        self,
        now: float,
        status: int | None,
        latency_s: float,
        error: FetchError | None,
        retry_after_s: float | None,
    ) -> bool:
        """Heed an end that may mean trouble; whether it shows all the same that the host is well."""
        well = False
        early = now - latency_s < self._overloaded_at <= now
        if isinstance(error, ConnectError | FetchTimeout):
            self._troubled(self._faults + 1)
            self._overloaded(now, early)
        elif status in (429, 503):
            self._troubled(0)
            self._overloaded(now, early)
        elif isinstance(error, TruncatedBody) or (status is not None and status >= 500):
            self._troubled(0)
            self._errors += 1
            if self._errors >= REPEATED_ERRORS:
                self._overloaded(now, early)
        else:
            well = status is not None
        if retry_after_s is not None and (status is None or status >= 400):
            self._hold_until = max(self._hold_until, now + min(retry_after_s, MAX_RETRY_AFTER_S))
        return well

    def dump(self, now: float = 0.0) -> dict[str, float] | None:
        """What another process must know, JSON-able; None where a new pace would do as well.

        Times before `now` no longer bind anybody and are left out. Requests in flight are not part of it.
        """
        bound = self._next_start > now and self._gap_s(1.0) > 0
        state = {
            "next": math.ceil(self._next_start * 1_000) / 1_000 if bound else 0.0,
            # Without it the next start would be bound by the settings' delay alone.
            "crawl_delay": self._crawl_delay_s,
            "hold": round(self._hold_until, 3) if self._hold_until > now else 0.0,
            "limit": round(self._limit, 2) if self._limit < self._ceiling else 0.0,
            "backoffs": self._backoffs,
            "errors": self._errors,
            "faults": self._faults,
        }
        kept = {name: value for name, value in state.items() if value}
        return kept or None

    def restore(self, state: Mapping[str, float]) -> None:
        """Take up what `dump` gave, bounded by these settings."""
        self.set_crawl_delay(float(state.get("crawl_delay", 0.0)))
        self._next_start = float(state.get("next", 0.0))
        self._hold_until = float(state.get("hold", 0.0))
        self._set_limit(min(max(1.0, float(state.get("limit", self._ceiling))), float(self._ceiling)))
        self._backoffs = int(state.get("backoffs", 0))
        self._errors = int(state.get("errors", 0))
        self._troubled(int(state.get("faults", 0)))

    def _set_limit(self, limit: float) -> None:
        self._limit = limit
        self.limit = 1 if self._crawl_delay_s else int(limit)

    def _gap_s(self, spread: float) -> float:
        """Seconds between starts; `spread` in -1…1 is the place in the jitter. No Crawl-delay is undercut."""
        own = self._settings.delay_s * (1.0 + self._settings.jitter * spread)
        return max(own, self._crawl_delay_s) * self._shards

    def _overloaded(self, now: float, early: bool) -> None:
        if early:
            return
        self._overloaded_at = now
        self._hold_until = max(self._hold_until, now + backoff_s(self._backoffs, HOST_BACKOFF, self._rng))
        self._backoffs += 1
        if self._settings.adaptive:
            self._set_limit(max(1.0, self._limit / 2))

    def _troubled(self, faults: int) -> None:
        """Something went wrong; so many connections have failed in a row now."""
        self._calm = False
        self._faults = faults
        self.unreachable = faults >= UNREACHABLE_FAULTS

    def _recovered(self, now: float, latency_s: float) -> bool:
        """A success ends the troubles before it; whether it was started after the host broke down."""
        self._troubled(0)
        if now - latency_s < self._overloaded_at <= now:
            return False
        self._errors = self._backoffs = 0
        return True

    def _ease(self, now: float, fast_s: float) -> None:
        """Latency has risen: lower the limit by one, at most once in the time of an answer."""
        if not 0.0 <= now - self._eased_at < fast_s:
            self._eased_at = now
            self._set_limit(max(1.0, self._limit - 1.0))
