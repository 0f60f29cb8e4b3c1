"""Receipts, which tell all that is needed to end a message, and what this consumer knows of its leases."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import orjson

from airless.core.clock import Clock
from airless.core.errors import LeaseLost
from airless.core.ports import Delivery

# A function's host doesn't say until when it holds a message; it lives no longer than this.
_HELD_BY_HOST_S = 900.0
_PRUNED_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Receipt:
    """A lease. `since` and `until` are epoch seconds; `until` is None where the host of a function holds it.

    The host deletes what ends well; so nothing but copies is sent for it.
    """

    queue: str
    handle: str
    since: float
    until: float | None
    generation: int = 0
    encoding: str = ""
    claim: str | None = None

    @property
    def hosted(self) -> bool:
        return self.until is None

    def text(self) -> str:
        return orjson.dumps(
            [self.queue, self.handle, self.since, self.until, self.generation, self.encoding, self.claim]
        ).decode()

    @classmethod
    def parse(cls, text: str) -> Receipt:
        """Raises ValueError where it is no receipt of ours."""
        match orjson.loads(text):
            case [
                str() as queue,
                str() as handle,
                float() as since,
                (float() | None) as until,
                int() as generation,
                str() as encoding,
                (str() | None) as claim,
            ]:
                return cls(queue, handle, since, until, generation, encoding, claim)
        raise ValueError(f"no receipt: {text!r}")


@dataclass(frozen=True, slots=True)
class _Ended:
    """Until when a receipt is remembered that was ended here; `again`: to end it once more is no error."""

    until: float
    again: bool


class Leases:
    """What this consumer holds and has ended. A receipt that it never gave out is judged by what it says."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._held: dict[str, Delivery] = {}
        self._until: dict[str, float] = {}
        # By the receipt's hash: receipts are long, and these are many.
        self._ended: dict[int, _Ended] = {}
        self._pruned_at = 0.0

    def give(self, delivery: Delivery, until: float) -> None:
        self._held[delivery.receipt] = delivery
        self._until[delivery.receipt] = until

    def check(self, deliveries: Iterable[Delivery]) -> dict[str, Receipt]:
        """The receipts of deliveries that are still ours, as far as we know. Raises LeaseLost.

        Those are left out that were ended in a settlement of which others failed: to end them again is no error.
        """
        self._prune()
        now = self._clock.now()
        seen: set[str] = set()
        receipts: dict[str, Receipt] = {}
        for delivery in deliveries:
            text = delivery.receipt
            try:
                receipt = Receipt.parse(text)
            except ValueError as error:
                raise lost(delivery) from error
            ended = self._ended.get(hash(text))
            until = self._until.get(text, receipt.until)
            if text in seen or (ended is not None and not ended.again):
                raise lost(delivery)
            if ended is None and until is not None and until <= now:
                raise lost(delivery)
            seen.add(text)
            if ended is None:
                receipts[text] = receipt
        return receipts

    def hold(self, text: str, receipt: Receipt, until: float) -> None:
        """The lease was extended."""
        if not receipt.hosted:
            self._until[text] = until

    def end(self, text: str, receipt: Receipt, *, again: bool = False) -> None:
        """It is ended, or lost. `again`: the settlement that it was in failed, and may be tried again."""
        self._held.pop(text, None)
        now = self._clock.now()
        until = self._until.pop(text, receipt.until if receipt.until is not None else now + _HELD_BY_HOST_S)
        self._ended[hash(text)] = _Ended(until, again)

    def held(self) -> list[Delivery]:
        """What is leased here now, as it was given out."""
        now = self._clock.now()
        return [delivery for text, delivery in self._held.items() if self._until[text] > now]

    def _prune(self) -> None:
        """Forget what time has ended anyway."""
        now = self._clock.now()
        if now - self._pruned_at < _PRUNED_EVERY_S:
            return
        self._pruned_at = now
        for text in [text for text, until in self._until.items() if until <= now]:
            del self._until[text]
            self._held.pop(text, None)
        for key in [key for key, ended in self._ended.items() if ended.until <= now]:
            del self._ended[key]


def lost(delivery: Delivery) -> LeaseLost:
    return LeaseLost(f"message {delivery.id} on {delivery.topic!r} is no longer leased to this consumer")
