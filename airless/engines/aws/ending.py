"""How leases end: deleted, shown again after a delay, or replaced by a copy; here or in the dead-letter queue."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from airless.core.clock import Clock
from airless.core.errors import LeaseLost
from airless.core.ports import Delivery, Settlement
from airless.engines.aws.batches import Batches, Refused, together
from airless.engines.aws.claims import Claims, Packed
from airless.engines.aws.leases import Leases, Receipt, lost
from airless.engines.aws.limits import SqsLimits
from airless.engines.aws.queues import Queues
from airless.engines.aws.records import Arrived
from airless.engines.aws.routing import Routes, packed
from airless.engines.aws.sending import Outgoing, Sender
from airless.engines.aws.wire import Tag

# A lease of which less than this part is left is taken anew before a message is given out.
_FRESH = 0.75


class Ending:
    """Ends the leases of one consumer."""

    def __init__(
        self,
        batches: Batches,
        queues: Queues,
        sender: Sender,
        routes: Routes,
        leases: Leases,
        claims: Claims,
        limits: SqsLimits,
        clock: Clock,
    ) -> None:
        self._batches = batches
        self._queues = queues
        self._sender = sender
        self._routes = routes
        self._leases = leases
        self._claims = claims
        self._limits = limits
        self._clock = clock

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        """As `Queue.settle`, but not as one: what SQS finds lost is lost, and the others have ended.

        Copies are sent before anything is deleted.
        """
        receipts = self._leases.check(settlement.delivery for settlement in settlements)
        now = self._clock.now()
        open_ones = [one for one in settlements if one.delivery.receipt in receipts]
        shown: dict[str, dict[str, int]] = {}
        gone: list[Settlement] = []
        for one in open_ones:
            receipt = receipts[one.delivery.receipt]
            if self._waits_in_place(one, receipt, now):
                shown.setdefault(receipt.queue, {})[receipt.handle] = math.ceil(max(0.0, one.delay_s))
            else:
                gone.append(one)
        copied = [one for one in gone if one.again or one.dead is not None]
        await self._sender.send(
            await together(self._copy(one, receipts[one.delivery.receipt], now) for one in copied)
        )
        refused = await self._shown(shown)
        deleted = [receipts[one.delivery.receipt] for one in gone]
        refused |= await self.delete(
            (receipt.queue, receipt.handle) for receipt in deleted if not receipt.hosted
        )
        done = [receipts[one.delivery.receipt] for one in gone if not one.again and one.dead is None]
        await self._claims.drop(
            [receipt.claim for receipt in done if receipt.claim and receipt.handle not in refused]
        )
        self._note(receipts, refused)
        for one in open_ones:
            if receipts[one.delivery.receipt].handle in refused:
                raise lost(one.delivery)

    async def extend(self, deliveries: Sequence[Delivery], lease_s: float) -> None:
        receipts = self._leases.check(deliveries)
        if len(receipts) < len(deliveries):
            raise LeaseLost("a message whose lease is to be extended has been settled")
        lease_s = max(1, min(math.ceil(lease_s), self._limits.visibility_s))
        shown: dict[str, dict[str, int]] = {}
        for receipt in receipts.values():
            shown.setdefault(receipt.queue, {})[receipt.handle] = lease_s
        now = self._clock.now()
        refused = await self._shown(shown)
        for delivery in deliveries:
            receipt = receipts[delivery.receipt]
            if receipt.handle in refused:
                self._leases.end(delivery.receipt, receipt)
            else:
                self._leases.hold(delivery.receipt, receipt, now + lease_s)
        for delivery in deliveries:
            if receipts[delivery.receipt].handle in refused:
                raise lost(delivery)

    async def fresh(self, arrived: Sequence[Arrived], lease_s: float) -> list[Arrived]:
        """Those that are still ours, with leases that were not used up while they lay here."""
        now, lease_s = self._clock.now(), max(1, min(math.ceil(lease_s), self._limits.visibility_s))
        stale = [one for one in arrived if one.until is not None and one.until - now < lease_s * _FRESH]
        if not stale:
            return list(arrived)
        shown: dict[str, dict[str, int]] = {}
        for one in stale:
            shown.setdefault(one.queue, {})[one.handle] = lease_s
        refused = await self._shown(shown)
        return [
            replace(one, until=now + lease_s) if one in stale else one
            for one in arrived
            if one.handle not in refused
        ]

    async def hand_back(self, arrived: Sequence[Arrived], *, wait_s: float = 0.0) -> None:
        """Messages that nobody has begun with: uncharged copies take their places."""
        now = self._clock.now()
        tags = [replace(one.tag, attempt=one.attempt, generation=one.tag.generation + 1) for one in arrived]
        await self.replace(
            arrived,
            [
                self._routes.out(tag, packed(one), now, wait_s=wait_s)
                for tag, one in zip(tags, arrived, strict=True)
            ],
        )

    async def replace(self, arrived: Sequence[Arrived], copies: Sequence[Outgoing]) -> None:
        """Send what takes the place of messages, then delete them, unless a host does."""
        await self._sender.send(copies)
        await self.delete((one.queue, one.handle) for one in arrived if one.until is not None)

    async def delete(self, messages: Iterable[tuple[str, str]]) -> dict[str, Refused]:
        """Delete by queue and handle; the handles that SQS doesn't take."""
        by_queue: dict[str, list[str]] = {}
        for queue, handle in messages:
            by_queue.setdefault(queue, []).append(handle)
        refused: dict[str, Refused] = {}
        for queue, handles in by_queue.items():
            url = await self._queues.existing(queue)
            if url is None:
                refused |= {handle: _no_queue(queue) for handle in handles}
            else:
                refused |= await self._batches.delete(queue, url, handles)
        return refused

    async def _shown(self, delays_s: Mapping[str, Mapping[str, int]]) -> dict[str, Refused]:
        refused: dict[str, Refused] = {}
        for queue, by_handle in delays_s.items():
            url = await self._queues.existing(queue)
            if url is None:
                refused |= {handle: _no_queue(queue) for handle in by_handle}
            else:
                refused |= await self._batches.show_after(queue, url, by_handle)
        return refused

    def _waits_in_place(self, one: Settlement, receipt: Receipt, now: float) -> bool:
        """Whether SQS itself can bring it again: its count of receives is the charge."""
        elapsed_s = now - receipt.since
        return (
            one.again
            and one.charge
            and one.delivery.ordering_key is None
            and not receipt.hosted
            and one.delay_s + elapsed_s < self._limits.visibility_s - 1
        )

    async def _copy(self, one: Settlement, receipt: Receipt, now: float) -> Outgoing:
        delivery = one.delivery
        body = await self._body(delivery, receipt)
        tag = Tag(
            delivery.topic,
            delivery.id,
            delivery.ordering_key,
            attempt=delivery.attempt + one.charge,
            generation=receipt.generation + 1,
            due=now + one.delay_s if one.delay_s > 0 else 0.0,
        )
        if one.again:
            return self._routes.out(tag, body, now)
        return self._routes.dead(tag, body, one.dead or "")

    async def _body(self, delivery: Delivery, receipt: Receipt) -> Packed:
        if receipt.claim is not None:
            return self._claims.packed(receipt.claim, receipt.encoding)
        return await self._claims.pack(delivery.body)

    def _note(self, receipts: Mapping[str, Receipt], refused: Mapping[str, Refused]) -> None:
        """Of a settlement that failed in part, the other part may be settled once more."""
        for text, receipt in receipts.items():
            self._leases.end(text, receipt, again=bool(refused) and receipt.handle not in refused)


def _no_queue(queue: str) -> Refused:
    return Refused("ReceiptHandleIsInvalid", f"there is no queue {queue}")
