"""What travels: a message on a topic."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any


@dataclass(frozen=True, slots=True)
class Message:
    """A JSON object on its way to the operators of a topic.

    `data` is the user's object, with the reserved key ``metadata`` if the user gave one (``run_next``, ``dataset``…).
    `id` is opaque; `attempt` counts the earlier attempts that were charged (0 on the first). `not_before_s` is epoch
    seconds. Messages of one `ordering_key` are delivered to one consumer at a time, in order. `hops` counts the
    publishes since the run's first message. `priority` (higher first) is honoured where the engine can. `weight` is
    the number of units of work inside, for a queue's depth.
    """

    topic: str
    data: Mapping[str, Any]
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    run_id: str | None = None
    attempt: int = 0
    not_before_s: float = 0.0
    ordering_key: str | None = None
    traceparent: str | None = None
    hops: int = 0
    priority: int = 0
    weight: int = 1

    def derive(
        self,
        position: int | str,
        topic: str,
        data: Mapping[str, Any],
        *,
        not_before_s: float = 0.0,
        ordering_key: str | None = None,
        priority: int = 0,
        weight: int = 1,
    ) -> Message:
        """A message that this one caused. The same position gives the same id, so a replay overwrites."""
        return Message(
            topic=topic,
            data=data,
            id=derived_id(self.id, position),
            run_id=self.run_id,
            not_before_s=not_before_s,
            ordering_key=ordering_key,
            traceparent=self.traceparent,
            hops=self.hops + 1,
            priority=priority,
            weight=weight,
        )

    def with_attempt(self, attempt: int) -> Message:
        return self if attempt == self.attempt else replace(self, attempt=attempt)


def derived_id(parent: str, position: int | str) -> str:
    """32 hex digits that depend on nothing but the parent's id and the position."""
    return blake2b(f"{parent}\x00{position}".encode(), digest_size=16).hexdigest()
