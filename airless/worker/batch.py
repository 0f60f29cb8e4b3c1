"""A batch: messages of one shard that a worker has at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from airless.core.ports import Delivery
from airless.functions.acknowledging import Acknowledging
from airless.functions.company import Company


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Messages of one shard at work, until it is `over`; `since` (monotonic) this process has been at that shard."""

    deliveries: Sequence[Delivery]
    view: Acknowledging
    company: Company
    since: float
    over: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def key(self) -> tuple[str, str | None]:
        """Its topic and its shard."""
        return self.deliveries[0].topic, self.deliveries[0].ordering_key


def by_shard(deliveries: Sequence[Delivery]) -> list[list[Delivery]]:
    """The deliveries by job and shard: a batch commits one shard's state, and ends without waiting for others."""
    shards: dict[tuple[str, str | None], list[Delivery]] = {}
    for delivery in deliveries:
        shards.setdefault((delivery.topic, delivery.ordering_key), []).append(delivery)
    return list(shards.values())


def least_tried(deliveries: Sequence[Delivery], at_a_time: int) -> tuple[list[Delivery], list[Delivery]]:
    """Those that consumers died of least often, fewer than `at_a_time` the more often they did; and the others.

    So a message that kills its consumers is soon alone.
    """
    tries = min((delivery.attempt for delivery in deliveries), default=0)
    most = len(deliveries) if not tries else max(1, at_a_time >> tries)
    chosen = [delivery for delivery in deliveries if delivery.attempt == tries][:most]
    return chosen, [delivery for delivery in deliveries if delivery not in chosen]
