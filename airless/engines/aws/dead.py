"""Dead letters: what was given up waits with its error, and can be brought back."""

from __future__ import annotations

from dataclasses import replace

from airless.core.clock import Clock
from airless.core.ports import DeadLetter
from airless.engines.aws.batches import Batches
from airless.engines.aws.clients import AwsClients
from airless.engines.aws.ending import Ending
from airless.engines.aws.limits import SqsLimits
from airless.engines.aws.polls import ask
from airless.engines.aws.queues import Queues
from airless.engines.aws.records import Arrived
from airless.engines.aws.routing import Routes, packed
from airless.engines.aws.topics import queue_name

# Long enough to bring back what is there: what belongs to other topics is not seen twice.
_LEASE_S = 120
# A long poll asks all of SQS's servers: an empty answer is the truth.
_WAIT_S = 1


class DeadLetters:
    """The dead-letter queues of a consumer's topics."""

    def __init__(
        self,
        clients: AwsClients,
        queues: Queues,
        batches: Batches,
        ending: Ending,
        routes: Routes,
        limits: SqsLimits,
        clock: Clock,
    ) -> None:
        self._clients = clients
        self._queues = queues
        self._batches = batches
        self._ending = ending
        self._routes = routes
        self._limits = limits
        self._clock = clock

    async def bring_back(self, topic: str) -> int:
        """Publish a topic's dead letters again, their tries counted from the start; how many there were."""
        return sum([await self._empty(queue, url, topic) for queue, url in await self._existing(topic)])

    async def show(self, topic: str, limit: int) -> list[DeadLetter]:
        """Up to `limit` of a topic's dead letters, which are there again when this returns."""
        found: list[DeadLetter] = []
        for queue, url in await self._existing(topic):
            seen: list[str] = []
            try:
                while len(found) < limit and (arrived := await self._next(queue, url)):
                    seen += [one.handle for one in arrived]
                    found += [
                        DeadLetter(one.tag.id, one.error, one.tag.key)
                        for one in arrived
                        if _is_of(one, topic)
                    ]
            finally:
                await self._batches.show_after(queue, url, dict.fromkeys(seen, 0))
        return found[:limit]

    async def _existing(self, topic: str) -> list[tuple[str, str]]:
        """Those of the topic's two dead-letter queues that there are: name and URL."""
        prefix = self._clients.options.prefix
        names = [queue_name(prefix, topic, fifo=fifo, dead=True) for fifo in (True, False)]
        found = [(name, await self._queues.existing(name)) for name in names]
        return [(name, url) for name, url in found if url is not None]

    async def _empty(self, queue: str, url: str, topic: str) -> int:
        count, others = 0, list[str]()
        try:
            while arrived := await self._next(queue, url):
                ours = [one for one in arrived if _is_of(one, topic)]
                others += [one.handle for one in arrived if one not in ours]
                await self._send_back(ours, topic)
                count += len(ours)
        finally:
            await self._batches.show_after(queue, url, dict.fromkeys(others, 0))
        return count

    async def _next(self, queue: str, url: str) -> list[Arrived]:
        return await ask(self._clients, self._clock, queue, url, self._limits.entries, _LEASE_S, _WAIT_S)

    async def _send_back(self, arrived: list[Arrived], topic: str) -> None:
        now = self._clock.now()
        copies = [
            self._routes.out(
                replace(
                    one.tag,
                    topic=one.tag.topic if one.ours else topic,
                    attempt=0,
                    generation=one.tag.generation + 1,
                    due=0.0,
                ),
                packed(one),
                now,
            )
            for one in arrived
        ]
        await self._ending.replace(arrived, copies)


def _is_of(arrived: Arrived, topic: str) -> bool:
    """Whether a letter is of this topic; what somebody else sent is of every topic that shares the queue."""
    return arrived.tag.topic == topic or not arrived.ours
