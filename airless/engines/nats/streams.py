"""The streams of a prefix, as they are made where they are missing; what is there already is left as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_SECOND_NS = 1_000_000_000
DUPLICATES_S = 300
"""How long the id of a message with a key is known."""


@dataclass(frozen=True, slots=True)
class Names:
    """What the streams of a prefix are called, and the subjects in them."""

    prefix: str

    @property
    def queue(self) -> str:
        return f"{self.prefix}-queue"

    @property
    def lanes(self) -> str:
        return f"{self.prefix}-lanes"

    @property
    def dead(self) -> str:
        return f"{self.prefix}-dead"

    @property
    def objects(self) -> str:
        return f"{self.prefix}-objects"

    @property
    def bucket(self) -> str:
        return f"{self.prefix}-state"

    @property
    def state(self) -> str:
        """The stream of the KV bucket."""
        return f"KV_{self.bucket}"

    def waiting(self, lane: str, topic: str) -> str:
        """Messages that can be had."""
        return f"{self.prefix}.q.{lane}.{topic}"

    def later(self, lane: str, topic: str, id: str) -> str:
        """A message that the server holds back until its time."""
        return f"{self.prefix}.s.{lane}.{topic}.{id}"

    def later_below(self, topics: str) -> str:
        """Messages that are held back on the topics of a wildcard, which ends in ``>``."""
        return f"{self.prefix}.s.*.{topics}"

    def lane(self, lane: str, topic: str) -> str:
        """Who leases the messages of an ordering key."""
        return f"{self.prefix}.l.{lane}.{topic}"

    def letter(self, lane: str, topic: str) -> str:
        """Messages that were given up."""
        return f"{self.prefix}.d.{lane}.{topic}"

    def bell(self, topic: str) -> str:
        """What is rung when there is something to be had; it is stored nowhere."""
        return f"{self.prefix}.b.{topic}"

    def document(self, key: str) -> str:
        return f"$KV.{self.bucket}.{key}"

    def blob(self, folder: str, name: str) -> str:
        return f"{self.prefix}.o.{folder}.{name}"

    def chunk(self, folder: str, name: str, put: str, number: int | str) -> str:
        """A part of a blob that is larger than a message."""
        return f"{self.prefix}.c.{folder}.{name}.{put}.{number}"


def configs(names: Names) -> list[Mapping[str, Any]]:
    """How each stream is made: on disk, and nothing in it goes of itself but what has a time to live."""
    prefix = names.prefix
    queue = {
        "name": names.queue,
        "subjects": [f"{prefix}.q.>", f"{prefix}.s.>"],
        "retention": "workqueue",
        "discard": "old",  # which a stream with schedules has to have; it has no limits, so that nothing goes
        "allow_msg_schedules": True,
        "allow_msg_ttl": True,
        "duplicate_window": DUPLICATES_S * _SECOND_NS,
    }
    dead = {"name": names.dead, "subjects": [f"{prefix}.d.>"], "duplicate_window": DUPLICATES_S * _SECOND_NS}
    latest = {"max_msgs_per_subject": 1}
    lanes = {"name": names.lanes, "subjects": [f"{prefix}.l.>"], "allow_msg_ttl": True, **latest}
    objects = {"name": names.objects, "subjects": [f"{prefix}.o.>", f"{prefix}.c.>"], **latest}
    state = {
        "name": names.state,
        "subjects": [f"$KV.{names.bucket}.>"],
        "allow_rollup_hdrs": True,
        "deny_delete": True,
        **latest,
    }
    common = {"storage": "file", "discard": "new", "allow_direct": True, "num_replicas": 1}
    return [{"retention": "limits", **common, **stream} for stream in (queue, lanes, dead, state, objects)]
