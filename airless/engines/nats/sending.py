"""What goes out: messages that can be had at once, that wait for their time at the server, and that were given up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from airless.core.at_once import each
from airless.engines.nats.asking import Ask, said
from airless.engines.nats.claims import Claims
from airless.engines.nats.connection import Connection
from airless.engines.nats.faults import Refused
from airless.engines.nats.subjects import encoded, lane_of
from airless.engines.nats.wire import (
    ERROR_HEADER,
    HEADER,
    HEADERS_BYTES,
    ID_HEADER,
    Tag,
    error_text,
    tag_text,
)

# Before its time a message waits at the server, if it has to wait at all.
_AT_ONCE_S = 0.005
_LATEST_S = datetime(9999, 1, 1, tzinfo=UTC).timestamp()
_CLAIMS_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message and its body. `once` is the id by which the server knows it from its double for some minutes.

    `due` is the time (epoch seconds, by our clock) before which nobody gets it; `dead` the error of a dead letter.
    """

    tag: Tag
    body: bytes
    once: str
    due: float = 0.0
    dead: str | None = None


class Sender:
    """Publishes, with as many messages on their way as the connection lets."""

    def __init__(self, connection: Connection, claims: Claims) -> None:
        self._connection = connection
        self._claims = claims

    async def send(self, messages: Sequence[Outgoing]) -> None:
        """Durable when it returns; on an error some may be out, and to send all once more is right."""
        if not messages:
            return
        await self._connection.ready()
        packed = await self._packed(messages)
        await self.publish("publishing", [self._ask(message) for message in packed])

    async def publish(self, doing: str, asked: Sequence[Ask]) -> list[int]:
        """Their sequence numbers in the stream."""
        try:
            answers = await self._connection.ask_all(doing, asked)
            return [int(said(answer)["seq"]) for (answer,) in answers]
        except Refused as refused:
            raise refused.translated(doing) from refused

    async def _packed(self, messages: Sequence[Outgoing]) -> Sequence[Outgoing]:
        """With claims in the place of bodies that are too large."""
        most = self._connection.max_payload - HEADERS_BYTES
        large = [at for at, message in enumerate(messages) if len(message.body) > most]
        if not large:
            return messages

        async def check_in(at: int) -> Outgoing:
            claim, encoding = await self._claims.check_in(messages[at].body)
            tag = replace(messages[at].tag, claim=claim, encoding=encoding)
            return replace(messages[at], tag=tag, body=b"")

        packed = list(messages)
        for at, message in zip(large, await each(check_in, large, at_once=_CLAIMS_AT_ONCE), strict=True):
            packed[at] = message
        return packed

    def _ask(self, message: Outgoing) -> Ask:
        names, tag, clock = self._connection.names, message.tag, self._connection.clock
        lane, topic = lane_of(tag.key), encoded(tag.topic)
        headers = {HEADER: tag_text(tag), ID_HEADER: message.once}
        if message.dead is not None:
            headers[ERROR_HEADER] = error_text(message.dead)
            return Ask(names.letter(lane, topic), message.body, headers)
        waiting = names.waiting(lane, topic)
        if message.due <= clock.now() + _AT_ONCE_S:
            return Ask(waiting, message.body, headers)
        at = datetime.fromtimestamp(min(message.due + self._connection.skew_s, _LATEST_S), UTC)
        headers["Nats-Schedule"] = f"@at {at:%Y-%m-%dT%H:%M:%S.%fZ}"
        headers["Nats-Schedule-Target"] = waiting
        return Ask(names.later(lane, topic, message.once), message.body, headers)
