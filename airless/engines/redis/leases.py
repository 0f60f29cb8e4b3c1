"""What a consumer leases at the moment, so that it can be handed back: names, no bodies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from airless.core.clock import Clock
from airless.core.ports import Delivery, Settlement

_TIDY_AT_LEAST = 1000


class Lease(NamedTuple):
    """By what the server knows a lease, and when it ends."""

    topic: str
    id: str
    receipt: str
    until_s: float


class Leases:
    """Those that began here, and have neither been ended here nor run out."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._leases: dict[str, Lease] = {}
        self._tidy_at = _TIDY_AT_LEAST

    def hold(self, deliveries: Iterable[Delivery], lease_s: float) -> None:
        """These are leased from now on, or for longer."""
        until_s = self._clock.monotonic() + lease_s
        for one in deliveries:
            self._leases[one.receipt] = Lease(one.topic, one.id, one.receipt, until_s)
        if len(self._leases) >= self._tidy_at:
            self._leases = {lease.receipt: lease for lease in self.held()}
            self._tidy_at = max(_TIDY_AT_LEAST, 2 * len(self._leases))

    def end(self, settlements: Iterable[Settlement]) -> None:
        for settlement in settlements:
            self._leases.pop(settlement.delivery.receipt, None)

    def held(self) -> Sequence[Lease]:
        now = self._clock.monotonic()
        return [lease for lease in self._leases.values() if lease.until_s > now]
