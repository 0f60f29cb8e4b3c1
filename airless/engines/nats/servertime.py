"""What time it is at the server, whose clock all leases go by."""

from __future__ import annotations

from airless.core.clock import Clock


class ServerTime:
    """The server's time as it was heard last, and from then on by our clock.

    It is never ahead of the server's, as an answer is under way for a while: no lease seems over before it is.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ahead_s: float | None = None

    @property
    def known(self) -> bool:
        return self._ahead_s is not None

    def heard(self, now: float) -> None:
        """An answer that has just come says so."""
        self._ahead_s = now - self._clock.monotonic()

    def now(self) -> float:
        """Epoch seconds; 0 before anything was heard, when no lease is over."""
        return 0.0 if self._ahead_s is None else self._clock.monotonic() + self._ahead_s
