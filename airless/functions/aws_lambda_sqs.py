"""Batches of SQS: records in, which of them failed out ("Handling errors for an SQS event source in Lambda").

The event source mapping deletes every message that isn't named in the answer. In a FIFO queue it holds back what
follows a message that is named, as a group that stops at its first failure has to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from airless.core.errors import ConfigError
from airless.core.ports import Delivery
from airless.functions.deadline import Deadline
from airless.functions.host import Host


@runtime_checkable
class _TakesRecords(Protocol):
    """The queue on SQS. None stands for a record that has ended well already."""

    async def deliveries_of(self, records: Sequence[Mapping[str, Any]]) -> list[Delivery | None]: ...


async def work_on(host: Host, records: Sequence[Mapping[str, Any]], deadline: Deadline) -> dict[str, Any]:
    """Work on a batch; ``{"batchItemFailures": […]}``.

    Raises ConfigError where the engine is not on AWS, and what kept all of the batch from being worked on.
    """
    engine = await host.engine()
    queue = engine.queue
    if not isinstance(queue, _TakesRecords):
        raise ConfigError("a batch of SQS came, but the engine that AIRLESS_ENGINE names is not on AWS")
    found = dict(
        zip((record["messageId"] for record in records), await queue.deliveries_of(records), strict=True)
    )
    ends = await host.deliver([delivery for delivery in found.values() if delivery is not None], deadline)
    if ends.faults and not ends.ended:
        # Nothing came of it: an error shows in the function's metrics, and makes the mapping ask less often.
        raise ends.faults[0]
    failed = [
        id for id, delivery in found.items() if delivery is not None and delivery.receipt not in ends.ended
    ]
    return {"batchItemFailures": [{"itemIdentifier": id} for id in failed]}
