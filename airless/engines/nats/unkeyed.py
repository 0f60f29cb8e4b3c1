"""Messages without an ordering key: a consumer at the server for each topic, from which everybody pulls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson

from airless.engines.nats.arrived import Arrived, of_pull
from airless.engines.nats.asking import Ask
from airless.engines.nats.connection import Connection
from airless.engines.nats.faults import OTHER_CONSUMER, Refused
from airless.engines.nats.replies import status_of
from airless.engines.nats.subjects import digest

_SECOND_NS = 1_000_000_000
_FORGOTTEN_S = 7 * 86_400
_NO_RESPONDERS = 503
# Leases this near to each other are the same.
_SAME_S = 0.001

DONE = b"+ACK"


class Unkeyed:
    """Pulls, and tells the server how leases end."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        # The lease that the server gives by itself, by the subject pulled from.
        self._waits_s: dict[str, float] = {}

    async def take(self, subject: str, limit: int, lease_s: float) -> list[Arrived]:
        """Up to `limit` messages of a subject that can be had now."""
        for _ in range(2):
            wait_s = await self._consumer(subject, lease_s)
            names, body = self._connection.names, {"batch": limit, "no_wait": True}
            pull = f"$JS.API.CONSUMER.MSG.NEXT.{names.queue}.{_name(subject)}"
            asked = Ask(pull, orjson.dumps(body), most=limit, or_nobody=True, named=True)
            got = await self._connection.ask(f"receiving from {subject}", asked)
            if status_of(got[-1]) != _NO_RESPONDERS:
                arrived = [of_pull(message) for message in got if not status_of(message)]
                if abs(wait_s - lease_s) > _SAME_S:
                    await self.tell({one.ack: again(lease_s) for one in arrived})
                return arrived
            self._waits_s.pop(subject, None)  # nobody had asked for a long time: the server has forgotten it
        return []

    async def tell(self, said: Mapping[str, bytes]) -> set[str]:
        """Say something of messages, by where their consumer hears it; where nobody hears any more, or knows of it.

        A server that was killed has forgotten what it handed out in its last moments, and says nothing to it.
        """
        asked = [Ask(ack, word, or_nobody=True, or_silence=True) for ack, word in said.items()]
        answers = await self._connection.ask_all("settling", asked)
        return {
            ack
            for ack, answer in zip(said, answers, strict=True)
            if not answer or status_of(answer[0]) == _NO_RESPONDERS
        }

    async def leased(self, subjects: Sequence[str]) -> int:
        """How many messages of these subjects are leased."""
        number = 0
        for subject in subjects:
            try:
                info = await self._connection.api(
                    "counting", f"CONSUMER.INFO.{self._connection.names.queue}.{_name(subject)}"
                )
            except Refused:  # nobody has received from it yet
                continue
            number += int(info["num_ack_pending"])
        return number

    async def _consumer(self, subject: str, lease_s: float) -> float:
        """The lease in seconds of the consumer at the server, which is made where there is none."""
        if subject in self._waits_s:
            return self._waits_s[subject]
        names, name, doing = self._connection.names, _name(subject), f"receiving from {subject}"
        config = {
            "durable_name": name,
            "name": name,
            "filter_subject": subject,
            "ack_policy": "explicit",
            "ack_wait": int(lease_s * _SECOND_NS),
            "max_deliver": -1,
            "max_ack_pending": -1,
            "inactive_threshold": _FORGOTTEN_S * _SECOND_NS,
        }
        body = {"stream_name": names.queue, "config": config, "action": "create"}
        try:
            try:
                call = f"CONSUMER.CREATE.{names.queue}.{name}.{subject}"
                info = await self._connection.api(doing, call, body)
            except Refused as refused:
                if refused.code not in OTHER_CONSUMER:
                    raise
                info = await self._connection.api(doing, f"CONSUMER.INFO.{names.queue}.{name}")
        except Refused as refused:
            raise refused.translated(doing) from refused
        self._waits_s[subject] = info["config"]["ack_wait"] / _SECOND_NS
        return self._waits_s[subject]


def again(after_s: float) -> bytes:
    """What makes the server bring a message again after some time, and not before: a retry's delay, and a lease."""
    return b"-NAK " + orjson.dumps({"delay": max(1, int(after_s * _SECOND_NS))})


def _name(subject: str) -> str:
    return f"u-{digest(subject)}"
