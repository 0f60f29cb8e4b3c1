"""One shot, as a function is called: a batch of deliveries in, one commit, and back to the host."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from airless.core.invocation import Invocation
from airless.core.lanes import lanes
from airless.core.outcome import Again, Ended
from airless.core.ports import Delivery


async def run_batch(
    invocation: Invocation,
    deliveries: Sequence[Delivery],
    *,
    concurrency: int = 32,
    deadline_s: float | None = None,
    margin_s: float = 10.0,
    commit_s: float = 3.0,
) -> list[Ended]:
    """Run the messages, end them in one commit, say how each ended, in their order.

    `deadline_s` is on the clock's monotonic scale. From `margin_s` before it nothing more is started, and
    what wasn't goes back without a charge; what still runs `commit_s` before it is cut off and charged.
    Raises what the engine's commit raises; nothing is acknowledged then.
    """
    clock = invocation.clock
    waiting = deque(lanes(deliveries, invocation.runner.batch_size))
    started: set[str] = set()
    ended: dict[str, Ended] = {}

    def late() -> bool:
        return deadline_s is not None and clock.monotonic() >= deadline_s - margin_s

    async def work() -> None:
        while waiting and not late():
            await run_lane(waiting.popleft())

    async def run_lane(lane: list[Delivery]) -> None:
        size = invocation.runner.batch_size
        for start in range(0, len(lane), size):
            if late():
                return
            chunk = lane[start : start + size]
            started.update(delivery.receipt for delivery in chunk)
            for end in await invocation.run(chunk):
                ended[end.delivery.receipt] = end
            rest = lane[start + size :]
            delay_s = put_off_s([ended[delivery.receipt] for delivery in chunk])
            if delay_s is not None and rest:
                ended.update((delivery.receipt, held_back(delivery, delay_s)) for delivery in rest)
                return

    async def cut_off(workers: Sequence[asyncio.Task[None]], at_s: float) -> None:
        await clock.sleep(at_s - clock.monotonic())
        for worker in workers:
            worker.cancel()

    async with asyncio.TaskGroup() as group:
        workers = [group.create_task(work()) for _ in range(min(concurrency, len(waiting)))]
        if deadline_s is not None and workers:
            watch = group.create_task(cut_off(workers, deadline_s - commit_s))
            await asyncio.wait(workers)
            watch.cancel()
    for delivery in deliveries:
        if delivery.receipt in ended:
            continue
        if delivery.receipt in started:
            ended[delivery.receipt] = invocation.cut_off(delivery)
        else:
            ended[delivery.receipt] = Ended(delivery, None, Again(charge=False, reason="not started"))
    return await invocation.commit([ended[delivery.receipt] for delivery in deliveries])


def put_off_s(ends: Sequence[Ended]) -> float | None:
    """The longest wait among the messages that are put off; None where none is."""
    return max((end.outcome.delay_s for end in ends if isinstance(end.outcome, Again)), default=None)


def held_back(delivery: Delivery, delay_s: float) -> Ended:
    """The end of a message that must not overtake one of its ordering key."""
    return Ended(
        delivery, None, Again(delay_s, charge=False, reason="an earlier message of its key comes first")
    )
