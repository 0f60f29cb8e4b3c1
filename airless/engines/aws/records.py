"""A message as it arrived, from a receive or in the event of a function: one shape for both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airless.engines.aws.leases import Receipt
from airless.engines.aws.topics import part_in
from airless.engines.aws.wire import ATTRIBUTE, ERROR_ATTRIBUTE, Tag, tag_of


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message in hand, its body still as it travelled. `tried` counts the receives before this one.

    `error` is that of a dead letter, where it has one. `ours` is False where somebody else sent it: its tag then says
    what can be known.
    """

    queue: str
    text: str
    tag: Tag
    ours: bool
    tried: int
    handle: str
    since: float
    until: float | None
    error: str = ""

    @property
    def attempt(self) -> int:
        return self.tag.attempt + self.tried

    @property
    def receipt(self) -> Receipt:
        tag = self.tag
        return Receipt(
            self.queue, self.handle, self.since, self.until, tag.generation, tag.encoding, tag.claim
        )


def of_receive(queue: str, prefix: str, message: Mapping[str, Any], now: float, lease_s: float) -> Arrived:
    """A message of ReceiveMessage's answer."""
    attributes = message.get("Attributes") or {}
    sent = message.get("MessageAttributes") or {}
    tag = tag_of(sent.get(ATTRIBUTE, {}).get("StringValue", ""))
    return Arrived(
        queue=queue,
        text=message.get("Body", ""),
        tag=tag or Tag(part_in(prefix, queue), message["MessageId"]),
        ours=tag is not None,
        tried=int(attributes.get("ApproximateReceiveCount", 1)) - 1,
        handle=message["ReceiptHandle"],
        since=now,
        until=now + lease_s,
        error=sent.get(ERROR_ATTRIBUTE, {}).get("StringValue", ""),
    )


def of_record(prefix: str, record: Mapping[str, Any], now: float) -> Arrived:
    """A record of the event that an event source mapping calls a function with.

    Its shape: "Using Lambda with Amazon SQS", AWS Lambda Developer Guide. The mapping holds the lease.
    """
    queue = str(record["eventSourceARN"]).rpartition(":")[2]
    attributes = record.get("attributes") or {}
    value = (record.get("messageAttributes") or {}).get(ATTRIBUTE, {}).get("stringValue", "")
    tag = tag_of(value)
    return Arrived(
        queue=queue,
        text=record.get("body") or "",
        tag=tag or Tag(part_in(prefix, queue), record["messageId"]),
        ours=tag is not None,
        tried=int(attributes.get("ApproximateReceiveCount", 1)) - 1,
        handle=record["receiptHandle"],
        since=now,
        until=None,
    )
