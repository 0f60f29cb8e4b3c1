"""What this consumer holds and has ended. Time is our own clock's, which began before the server's did."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field

from airless.core.clock import Clock
from airless.core.errors import LeaseLost
from airless.core.ports import Delivery
from airless.engines.nats.arrived import Arrived
from airless.engines.nats.lanes import Lane

_PRUNED_EVERY_S = 1.0


@dataclass(slots=True, eq=False)
class Holding:
    """A lane as this consumer leases it, all that it holds of it together, until a time on the monotonic clock.

    `subject` is that of its messages, of which `more` waited when it was leased.
    """

    subject: str
    lane: Lane
    until: float
    more: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    lost: bool = False


@dataclass(slots=True, eq=False)
class Lease:
    """A message that was given out; `holding` is its lane's, where it has a key."""

    delivery: Delivery
    arrived: Arrived
    held_until: float = 0.0
    holding: Holding | None = None

    @property
    def until(self) -> float:
        if self.holding is None:
            return self.held_until
        return 0.0 if self.holding.lost else self.holding.until


@dataclass(frozen=True, slots=True)
class _Ended:
    """Until when a receipt is remembered that was ended here; `again`: to end it once more is no error."""

    until: float
    again: bool


class Leases:
    """What is leased here, by receipt."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._name = uuid.uuid4().hex[:12]
        self._number = 0
        self._held: dict[str, Lease] = {}
        self._ended: dict[str, _Ended] = {}
        self._pruned_at = 0.0

    def give(self, arrived: Arrived, body: bytes, until: float, holding: Holding | None) -> Lease:
        """A message with its body, leased."""
        self._number += 1
        tag, receipt = arrived.tag, f"{self._name}-{self._number}"
        delivery = Delivery(tag.topic, body, tag.id, receipt, arrived.attempt, tag.key)
        lease = self._held[receipt] = Lease(delivery, arrived, until, holding)
        return lease

    def check(self, deliveries: Iterable[Delivery]) -> list[Lease]:
        """The leases of deliveries that are still ours, as far as we know. Raises LeaseLost.

        Those are left out that were ended in a settlement of which others failed: to end them again is no error.
        """
        self._prune()
        now = self._clock.monotonic()
        leases: dict[str, Lease] = {}
        seen: set[str] = set()
        for delivery in deliveries:
            receipt = delivery.receipt
            ended, lease = self._ended.get(receipt), self._held.get(receipt)
            if (
                receipt in seen
                or (ended is None and lease is None)
                or (ended is not None and not ended.again)
            ):
                raise lost(delivery)
            seen.add(receipt)
            if lease is not None:
                if lease.until <= now:
                    raise lost(delivery)
                leases[receipt] = lease
        return list(leases.values())

    def end(self, lease: Lease, *, again: bool = False) -> None:
        """It is ended. `again`: the settlement that it was in failed, and may be tried again."""
        receipt = lease.delivery.receipt
        self._held.pop(receipt, None)
        self._ended[receipt] = _Ended(max(lease.until, self._clock.monotonic() + _PRUNED_EVERY_S), again)

    def forget(self, leases: Iterable[Lease]) -> None:
        for lease in leases:
            self._held.pop(lease.delivery.receipt, None)

    def held(self) -> list[Lease]:
        """What is leased here now."""
        now = self._clock.monotonic()
        return [lease for lease in self._held.values() if lease.until > now]

    def _prune(self) -> None:
        """Forget what time has ended anyway."""
        now = self._clock.monotonic()
        if now - self._pruned_at < _PRUNED_EVERY_S:
            return
        self._pruned_at = now
        for receipt in [receipt for receipt, lease in self._held.items() if lease.until <= now]:
            del self._held[receipt]
        for receipt in [receipt for receipt, ended in self._ended.items() if ended.until <= now]:
            del self._ended[receipt]


def lost(delivery: Delivery) -> LeaseLost:
    return LeaseLost(f"message {delivery.id} on {delivery.topic!r} is no longer leased to this consumer")
