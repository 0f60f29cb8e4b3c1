"""What a crawl will use, reckoned before it runs from the way it works.

A crawl's pages travel in packed messages; a link to another shard goes there in a message as well, several to one
shard together. A function takes a batch of messages, fetches what they ask for as fast as the hosts' pace allows,
and ends in one commit a shard: its state, a segment of items, now and then a segment of seen URLs.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, exp

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
    """Reckon a crawl. `prices` decide where waiting is too dear and the rest is handed back instead."""
    e = expected
    own = e.pages / e.message_requests_filled
    commits, messages = _commits(e, own)
    invocations = commits / e.batch_shards
    pages = e.pages / invocations
    gap_s = 1 / _pages_per_s(e)
    stays = 1.0
    longest_s = wait_at_most_s(prices, memory_mb=e.memory_mb, arch=e.arch, batch=round(e.batch_messages))
    if gap_s > longest_s:
        # A page of each host, then all goes back until the next slots.
        stays = max(1.0, pages / e.hosts_a_batch)
        wait_s = e.latency_s
    else:
        wait_s = pages * gap_s * e.unevenness
    cpu_s = pages / stays * e.cpu_s_a_page / e.vcpus
    invocation_s = e.start_s + max(wait_s, cpu_s)
    if invocation_s > e.deadline_s:
        # What isn't done by the deadline is handed back too.
        parts = ceil(invocation_s / e.deadline_s)
        stays, invocation_s = stays * parts, invocation_s / parts
    # Billed time is in whole milliseconds, half of one more in the mean.
    usage = _functions(e, invocations * stays, invocation_s + 0.0005)
    handed_back = (stays - 1) * messages
    _queues(e, usage, messages, handed_back, invocations, commits)
    _objects(e, usage, commits * stays)
    return Estimate(e, usage, messages, commits * stays, pages / stays, invocation_s)


def _commits(e: Expected, own: float) -> tuple[float, float]:
    """How many commits there are, and messages: more commits send more messages to other shards, up to one a link."""
    others = min(e.shards, e.hosts) - 1
    offers = e.pages * e.links * e.elsewhere if others else 0.0
    a_commit = max(1.0, e.batch_messages / e.batch_shards)
    commits = messages = own
    for _ in range(_ROUNDS):
        # So many of the others get something of a commit's offers, thrown at random.
        to_others = others * (1 - exp(-offers / commits / others)) * commits if offers else 0.0
        messages = own + to_others
        commits = max(1.0, messages / a_commit)
    return commits, messages


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


def _queues(
    e: Expected, usage: Usage, messages: float, handed_back: float, invocations: float, commits: float
) -> None:
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


def _objects(e: Expected, usage: Usage, commits: float) -> None:
    """A state and a segment of items a commit; seen URLs by segments, which are merged as they grow."""
    segments = e.pages / e.segment_urls
    merged = segments / (e.merged_segments - 1)
    usage.ask("s3.PutObject", times=ceil(commits * e.puts_a_commit + segments + merged))
    in_a_shard = segments / min(e.shards, e.hosts)
    read = commits * (1 - e.warm_share) * min(in_a_shard / 2, e.merged_segments)
    usage.ask("s3.GetObject", times=ceil(commits + read + merged * e.merged_segments))
    if merged >= 1:
        usage.ask("s3.DeleteObjects", times=ceil(merged))
