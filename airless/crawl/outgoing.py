"""What a shard publishes with its next commit: requests, as messages of hundreds of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from operator import attrgetter

from airless.core.message import Message, derived_id
from airless.crawl.layout import Layout
from airless.crawl.packing import in_batches, pack
from airless.crawl.received import ORIGIN, Origin
from airless.crawl.request import Request
from airless.crawl.sent import Sent
from airless.crawl.sites import host_key

BATCH_REQUESTS = 200
ADMIT = "admit"

_priority = attrgetter("priority")


@dataclass(slots=True)
class Outgoing:
    """Requests of the shard itself to be had `now`, or `later` by the second (epoch), or each `apart` from the others.

    And those that are `foreign`: offered to the shard of that index, which decides whether they are new.
    """

    now: list[Request] = field(default_factory=list)
    later: dict[int, list[Request]] = field(default_factory=dict)
    apart: list[Request] = field(default_factory=list)
    foreign: dict[int, list[Request]] = field(default_factory=dict)

    def put_later(self, request: Request, not_before_s: float) -> None:
        """One that waits until `not_before_s` (epoch)."""
        self.later.setdefault(int(not_before_s) + 1, []).append(request)

    def put_off(self, late: Mapping[str, float]) -> None:
        """Have what is for hosts in `late` wait until the time there (epoch)."""
        sent, self.now = self.now, []
        for request in sent:
            not_before_s = late.get(host_key(request.url))
            if not_before_s is None:
                self.now.append(request)
            else:
                self.put_later(request, not_before_s)

    def messages(
        self,
        layout: Layout,
        index: int,
        parent: str,
        *,
        origin: Callable[[int], Origin] | None = None,
        sent: Sent | None = None,
    ) -> Iterator[Message]:
        """All of it as messages of the shard of that index, whose ids follow from `parent` and their order.

        `origin` gives the number that a message to a shard gets, where that is kept; `sent` is told of plain links.
        """
        number = 0

        def message(
            to: int, batch: list[Request], not_before_s: float = 0.0, *, admitted: bool = True
        ) -> Message:
            nonlocal number
            number += 1
            data = pack(batch)
            data["shard"] = to
            if not admitted:
                data[ADMIT] = True
            if origin is not None:
                data[ORIGIN] = origin(to)
            return Message(
                topic=layout.topic,
                data=data,
                id=derived_id(parent, number),
                run_id=layout.job,
                not_before_s=not_before_s,
                ordering_key=str(to),
                priority=batch[0].priority,
                weight=len(batch) if admitted else 0,
            )

        for lane in _by_priority(self.now):
            for batch in in_batches(lane, BATCH_REQUESTS):
                made = message(index, batch)
                if sent is not None and "requests" not in made.data:
                    sent.remember(made.id, index, batch)
                yield made
        for not_before_s, requests in self.later.items():
            for lane in _by_priority(requests):
                for batch in in_batches(lane, BATCH_REQUESTS):
                    yield message(index, batch, float(not_before_s))
        for to, requests in self.foreign.items():
            for batch in in_batches(requests, BATCH_REQUESTS):
                yield message(to, batch, admitted=False)
        for request in self.apart:
            yield message(index, [request])


def _by_priority(requests: list[Request]) -> Iterable[list[Request]]:
    if len(set(map(_priority, requests))) < 2:
        return [requests] if requests else []
    lanes: dict[int, list[Request]] = {}
    for request in requests:
        lanes.setdefault(request.priority, []).append(request)
    return lanes.values()
