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
