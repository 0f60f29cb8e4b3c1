"""Is waiting for a host's next slot cheaper than handing the rest back with a delay?

A second of waiting costs the function's memory for a second. Handing a shard's rest back costs the requests by
which it comes again, and its share of another invocation:

    send (standard, with the delay) → receive, delete → send (FIFO) → receive, delete → state GET … commit

The message that waits is on the standard queue, since a FIFO queue delays no single message, and is sent on to
the FIFO queue when it is due: two invocations see it. A commit puts the state and a segment of items.
"""

from __future__ import annotations

from airless.cost.prices import Prices

# What a warm function takes to decode an event, read its state and commit, with nothing to fetch.
START_S = 0.05
_COMMIT_PUTS = 2


def hand_back_usd(
    prices: Prices,
    *,
    memory_mb: int,
    arch: str,
    messages: int = 1,
    shards: int = 1,
    batch: int = 1,
    start_s: float = START_S,
) -> float:
    """What it costs to hand `messages` of `shards` back, to be had again later.

    `batch` is how many messages share a request and an invocation at the time: 1 where a crawl is thin, up to 10
    where its queues are full.
    """
    standard = prices.of("sqs.SendMessageBatch") + prices.of("sqs.ReceiveMessage")
    standard += prices.of("sqs.DeleteMessageBatch")
    fifo = prices.of("sqs-fifo.SendMessageBatch") + prices.of("sqs-fifo.ReceiveMessage")
    fifo += prices.of("sqs-fifo.DeleteMessageBatch")
    invocations = 2 * (prices.invocation + start_s * prices.second(memory_mb, arch))
    commit = prices.of("s3.GetObject") + _COMMIT_PUTS * prices.of("s3.PutObject")
    return messages / batch * (standard + fifo + invocations) + shards * commit


def wait_at_most_s(
    prices: Prices,
    *,
    memory_mb: int,
    arch: str,
    messages: int = 1,
    shards: int = 1,
    batch: int = 1,
    start_s: float = START_S,
) -> float:
    """For how long an invocation that has nothing else to do may wait for all that it has left.

    While some of its shards are at work anyway the others wait for nothing, so ask only when all of them wait.
    """
    back_usd = hand_back_usd(
        prices,
        memory_mb=memory_mb,
        arch=arch,
        messages=messages,
        shards=shards,
        batch=batch,
        start_s=start_s,
    )
    return back_usd / prices.second(memory_mb, arch)
