"""What a crawl will use, reckoned before it runs from the way it works.

A crawl's pages travel in packed messages; a link to another shard goes there in a message as well, several to one
shard together. A function takes a batch of messages, fetches what they ask for as fast as the hosts' pace allows,
and ends in one commit a shard: its state, a segment of items, now and then a segment of seen URLs. What the command
asks that follows a crawl from here is not in it: some requests a second at first, then ever fewer.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, exp, log2

from airless.cost.expected import Expected
from airless.cost.prices import AWS, Prices
from airless.cost.usage import Usage, message_units
from airless.cost.waiting import wait_at_most_s

_SEND_ENTRIES = 10
_ROUNDS = 50


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is expected, what that comes to in usage, and the figures on the way there."""

    expected: Expected
    usage: Usage
    messages: float
    commits: float
    pages_an_invocation: float
    invocation_s: float


def estimate(expected: Expected, prices: Prices = AWS) -> Estimate:
    """Reckon a crawl. `prices` decide where waiting is too dear and the rest is handed back instead.

    The more often is committed, the more messages go to other shards, up to one a link; and the more messages there
    are, the more invocations, which commit at least once. So it is reckoned until that comes to rest.
    """
    e = expected
    others = min(e.shards, e.hosts) - 1
    offers = e.pages * e.links * e.elsewhere if others else 0.0
    own = messages = e.pages / e.message_requests_filled
    for _ in range(_ROUNDS):
        invocations = max(1.0, messages / e.batch_messages)
        stays, stay_s = _stays(e, e.pages / invocations, prices)
        commits = invocations * stays * e.batch_shards * _commits(e, stay_s)
        # So many of the others get something of a commit's offers, thrown at random.
        messages = own + (others * (1 - exp(-offers / commits / others)) * commits if offers else 0.0)
    # Billed time is in whole milliseconds, half of one more in the mean.
    usage = _functions(e, invocations * stays, stay_s + 0.0005)
    _queues(e, usage, messages, (stays - 1) * messages, commits)
    _objects(e, usage, commits, invocations * stays * e.batch_shards)
    return Estimate(e, usage, messages, commits, e.pages / invocations / stays, stay_s)


def _stays(e: Expected, pages: float, prices: Prices) -> tuple[float, float]:
    """Over how many invocations a batch of so many pages goes, and how long each takes."""
    gap_s = 1 / _pages_per_s(e)
    longest_s = wait_at_most_s(prices, memory_mb=e.memory_mb, arch=e.arch, batch=round(e.batch_messages))
    stays = 1.0
    if gap_s > longest_s:
        # A page of each host, then all goes back until the next slots.
        stays = max(1.0, pages / e.hosts_a_batch)
        wait_s = e.latency_s
    else:
        wait_s = pages * gap_s * e.unevenness
    stay_s = e.start_s + max(wait_s, pages / stays * e.cpu_s_a_page / e.vcpus)
    # What isn't done by the deadline is handed back too.
    parts = ceil(stay_s / e.deadline_s)
    return stays * parts, stay_s / parts


def _commits(e: Expected, stay_s: float) -> float:
    """How often a shard commits in an invocation: each time after as long again, and in the end."""
    doubled = log2(max(1.0, min(stay_s, e.rarest_commit_s) / e.commit_s))
    return 1 + doubled + max(0.0, stay_s / e.rarest_commit_s - 1)


def _pages_per_s(e: Expected) -> float:
    """What the hosts of a batch give together."""
    a_host = e.per_host / e.latency_s if e.latency_s else float("inf")
    if e.delay_s:
        a_host = min(a_host, 1 / e.delay_s)
    return min(e.hosts_a_batch * a_host, e.concurrency / e.latency_s if e.latency_s else float("inf"))


def _functions(e: Expected, invocations: float, billed_s: float) -> Usage:
    number = ceil(invocations)
    cold = ceil(invocations * e.cold_share)
    billed_ms = round((number * billed_s + cold * e.init_s) * 1_000)
    gb_s = billed_ms / 1_000 * e.memory_mb / 1024
    return Usage(
        invocations=number,
        billed_ms=billed_ms,
        gb_s={e.arch: gb_s},
        stored_bytes=e.pages * e.item_bytes,
        fetched_bytes=e.pages * e.page_bytes,
    )


def _queues(e: Expected, usage: Usage, messages: float, handed_back: float, commits: float) -> None:
    """Every message is sent, received and deleted; one that was handed back also by way of the standard queue."""
    body_bytes = e.request_bytes * e.pages / messages
    through = messages + handed_back
    # A commit publishes at once, up to ten messages a request.
    sends = max(through / _SEND_ENTRIES, min(commits, through))
    units = message_units(round(body_bytes * through / sends))
    usage.ask("sqs-fifo.SendMessageBatch", units=units, times=ceil(sends))
    batches = through / e.batch_messages
    units = message_units(round(body_bytes * e.batch_messages))
    usage.ask("sqs-fifo.ReceiveMessage", units=units, times=ceil(batches))
    usage.ask("sqs-fifo.ReceiveMessage", times=ceil(batches * e.empty_receives))
    usage.ask("sqs-fifo.DeleteMessageBatch", times=ceil(batches))
    if handed_back:
        batches = ceil(handed_back / e.batch_messages)
        for operation in ("SendMessageBatch", "ReceiveMessage", "DeleteMessageBatch"):
            usage.ask(f"sqs.{operation}", units=units, times=batches)
        usage.invocations += batches
        moved_s = batches * e.start_s
        usage.billed_ms += round(moved_s * 1_000)
        usage.gb_s[e.arch] += moved_s * e.memory_mb / 1024


def _objects(e: Expected, usage: Usage, commits: float, loads: float) -> None:
    """A state and a segment of items a commit; seen URLs by segments, which are merged as they grow."""
    segments = e.pages / e.segment_urls
    merged = segments / (e.merged_segments - 1)
    usage.ask("s3.PutObject", times=ceil(commits * e.puts_a_commit + segments + merged))
    in_a_shard = segments / min(e.shards, e.hosts)
    read = loads * (1 - e.warm_share) * min(in_a_shard / 2, e.merged_segments)
    usage.ask("s3.GetObject", times=ceil(loads + read + merged * e.merged_segments))
    if merged >= 1:
        usage.ask("s3.DeleteObjects", times=ceil(merged))
