"""The leases of a process, held in bulk for as long as somebody works on their messages."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from airless.core.clock import Clock
from airless.core.errors import EngineError, LeaseLost
from airless.core.ports import Delivery, Queue, Settlement

logger = logging.getLogger(__name__)

# What is settled at this moment looks as if it were lost, until the answer is here.
_ANSWER_S = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Holding:
    """Messages that somebody works on. Those in `ended` are his no more; `lost` is called where a lease is lost."""

    deliveries: Sequence[Delivery]
    ended: Mapping[str, Settlement]
    lost: Callable[[], None]

    def left(self) -> list[Delivery]:
        return [delivery for delivery in self.deliveries if delivery.receipt not in self.ended]


class Leases:
    """Extends all that is held, in one request, three times as often as need be.

    Where the broker can't be reached they are tried for again until they have run out, and are lost then: somebody
    else has the messages. `answered` is called whenever the broker has answered.
    """

    def __init__(
        self, queue: Queue, clock: Clock, lease_s: float, *, answered: Callable[[], None] = lambda: None
    ) -> None:
        self._queue = queue
        self._clock = clock
        self._lease_s = lease_s
        self._answered = answered
        self._until: dict[Holding, float] = {}

    @property
    def messages(self) -> int:
        """How many messages are held."""
        return sum(len(holding.left()) for holding in self._until)

    def hold(self, holding: Holding) -> None:
        """Keep these leases, which began just now."""
        self._until[holding] = self._clock.monotonic() + self._lease_s

    def release(self, holding: Holding) -> None:
        self._until.pop(holding, None)

    async def run(self) -> None:
        """Until it is cancelled."""
        wait_s = self._lease_s / 3
        while True:
            await self._clock.sleep(wait_s)
            try:
                await self._extend(list(self._until))
            except EngineError as fault:
                logger.warning("leases could not be extended, to be tried again: %s", fault)
                self._give_up_late()
                wait_s = self._lease_s / 20
            else:
                wait_s = self._lease_s / 3

    async def _extend(self, holdings: Sequence[Holding]) -> None:
        """All at once or, where one of them is lost, by halves, so that the others needn't be asked for singly."""
        deliveries = [delivery for holding in holdings for delivery in holding.left()]
        if not deliveries:
            return
        until = self._clock.monotonic() + self._lease_s
        try:
            await self._queue.extend(deliveries, self._lease_s)
        except LeaseLost:
            if len(holdings) > 1:
                middle = len(holdings) // 2
                await self._extend(holdings[:middle])
                await self._extend(holdings[middle:])
            else:
                await self._look_again(holdings[0])
            return
        self._answered()
        for holding in holdings:
            if holding in self._until:
                self._until[holding] = until

    async def _look_again(self, holding: Holding) -> None:
        await self._clock.sleep(_ANSWER_S)
        left = holding.left()
        if not left or holding not in self._until:
            return
        until = self._clock.monotonic() + self._lease_s
        try:
            await self._queue.extend(left, self._lease_s)
        except LeaseLost as fault:
            self._lose(holding, str(fault))
        else:
            self._until[holding] = until

    def _give_up_late(self) -> None:
        now = self._clock.monotonic()
        for holding in [holding for holding, until in self._until.items() if until <= now]:
            self._lose(holding, "they ran out while the broker could not be reached")

    def _lose(self, holding: Holding, why: str) -> None:
        self.release(holding)
        left = holding.left()
        if left:
            logger.warning("leases on %s were lost: %s", left[0].topic, why)
            holding.lost()
