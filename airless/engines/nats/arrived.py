"""A message as it arrived, read from its lane or pulled from a consumer: one shape for both."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import orjson
from nats.aio.msg import Msg

from airless.engines.nats.connection import Connection
from airless.engines.nats.reading import batches, seq_of, subject_of
from airless.engines.nats.subjects import UNKEYED, decoded
from airless.engines.nats.wire import Tag, tag_of

_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message in hand, its body as it travelled. `tried` counts the charged tries since it was sent.

    `ack` is where its consumer hears of it; it is empty for messages with a key, which have no consumer at the server.
    """

    tag: Tag
    data: bytes
    seq: int
    tried: int = 0
    ack: str = ""

    @property
    def attempt(self) -> int:
        return self.tag.attempt + self.tried


async def messages_of(connection: Connection, subject: str) -> AsyncIterator[Arrived]:
    """The messages that wait on a subject, or on a wildcard, whoever has leased them."""
    after = 0
    while True:
        body = orjson.dumps({"seq": after + 1, "batch": _AT_ONCE, "next_by_subj": subject})
        page = await batches(connection, f"looking through {subject}", connection.names.queue, [body])
        if not page:
            return
        for message in page:
            yield of_lane(message, 0)
        after = seq_of(page[-1])


def of_lane(message: Msg, tried: int) -> Arrived:
    seq = seq_of(message)
    return Arrived(_tag(message, subject_of(message), seq), message.data, seq, tried)


def of_pull(message: Msg) -> Arrived:
    known = message.metadata
    seq = known.sequence.stream
    tried = (known.num_delivered or 1) - 1
    return Arrived(_tag(message, message.subject, seq), message.data, seq, tried, message.reply)


def lane_in(subject: str) -> str:
    """The lane's token in the subject of a waiting message."""
    return subject.split(".", 3)[2]


def topic_in(subject: str) -> str:
    """The topic in the subject of a waiting message."""
    return decoded(subject.split(".", 3)[3])


def _tag(message: Msg, subject: str, seq: int) -> Tag:
    """The tag; for what somebody else sent, what can be known."""
    tag = tag_of(message.headers)
    if tag is not None:
        return tag
    lane = lane_in(subject)
    return Tag(topic_in(subject), str(seq), None if lane == UNKEYED else decoded(lane[1:]))
