"""SQS's batch requests: ten entries each, many at once, and each entry that fails in a 200 tried again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airless.core.clock import Clock
from airless.core.errors import EngineError
from airless.engines.aws.clients import AwsClients
from airless.engines.aws.faults import translated
from airless.engines.aws.limits import SqsLimits

# At once, of one consumer: as many as one bulk publish keeps busy on a link of 50 ms.
_REQUESTS = 32
_TRIES = 6
_WAIT_S = 0.1
# What SQS says of a receipt handle that is nobody's any more, or never was one.
_LOST = frozenset(
    {"ReceiptHandleIsInvalid", "InvalidParameterValue", "MessageNotInflight", "InvalidIdFormat"}
)

Entry = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Refused:
    """What SQS says of an entry that it won't take however often it is asked."""

    code: str
    text: str

    @property
    def lost(self) -> bool:
        """The receipt handle is no longer good: somebody else has the message, or it is gone."""
        return self.code in _LOST


class Batches:
    """Batch requests of one consumer. Each method returns when every entry has its answer."""

    def __init__(self, clients: AwsClients, limits: SqsLimits, clock: Clock) -> None:
        self._clients = clients
        self._limits = limits
        self._clock = clock
        self._free = asyncio.Semaphore(_REQUESTS)
        self._rng = random.Random()  # noqa: S311 - jitter, no secret

    async def send(self, queue: str, url: str, entries: Sequence[Entry]) -> None:
        """One request, of entries that keep to the limits, in their order. Raises EngineError."""
        sqs = await self._clients.sqs()

        async def call(chunk: list[Any]) -> Any:
            return await sqs.send_message_batch(QueueUrl=url, Entries=chunk)

        for refused in (await self._request(call, entries, f"sending to queue {queue}")).values():
            raise EngineError(f"queue {queue} does not take a message: {refused.text} ({refused.code})")

    async def delete(self, queue: str, url: str, handles: Sequence[str]) -> dict[str, Refused]:
        """Delete messages; those handles that SQS doesn't take."""
        sqs = await self._clients.sqs()

        async def call(chunk: list[Any]) -> Any:
            return await sqs.delete_message_batch(QueueUrl=url, Entries=chunk)

        entries = [{"ReceiptHandle": handle} for handle in handles]
        return await self._handles(call, entries, f"deleting from queue {queue}")

    async def show_after(self, queue: str, url: str, delays_s: Mapping[str, int]) -> dict[str, Refused]:
        """Let others have messages after so many seconds, by handle; those handles that SQS doesn't take."""
        sqs = await self._clients.sqs()

        async def call(chunk: list[Any]) -> Any:
            return await sqs.change_message_visibility_batch(QueueUrl=url, Entries=chunk)

        entries = [
            {"ReceiptHandle": handle, "VisibilityTimeout": delay_s} for handle, delay_s in delays_s.items()
        ]
        return await self._handles(call, entries, f"changing leases of queue {queue}")

    async def _handles(
        self, call: Callable[[list[Any]], Awaitable[Any]], entries: Sequence[Entry], doing: str
    ) -> dict[str, Refused]:
        size = self._limits.entries
        chunks = [entries[start : start + size] for start in range(0, len(entries), size)]
        refused: dict[str, Refused] = {}
        answers = await together(self._request(call, chunk, doing) for chunk in chunks)
        for chunk, answer in zip(chunks, answers, strict=True):
            refused.update({chunk[place]["ReceiptHandle"]: why for place, why in answer.items()})
        if others := [why for why in refused.values() if not why.lost]:
            raise EngineError(f"{doing} failed: {others[0].text} ({others[0].code})")
        return refused

    async def _request(
        self, call: Callable[[list[Any]], Awaitable[Any]], entries: Sequence[Entry], doing: str
    ) -> dict[int, Refused]:
        """Ask until each entry is taken, or refused for good: those, by their place. Raises EngineError."""
        left = list(range(len(entries)))
        refused: dict[int, Refused] = {}
        for turn in range(_TRIES):
            if turn:
                await self._clock.sleep(self._rng.uniform(0.5, 1.0) * _WAIT_S * 2 ** (turn - 1))
            async with self._free:
                with translated(doing):
                    answer = await call([{"Id": str(place), **entries[place]} for place in left])
            failed = {int(entry["Id"]): entry for entry in answer.get("Failed") or ()}
            for place, entry in failed.items():
                if not _passing(entry):
                    refused[place] = Refused(_code(entry), str(entry.get("Message", "")))
            left = [place for place in left if place in failed and place not in refused]
            if not left:
                return refused
        why = failed[left[0]]
        raise EngineError(
            f"{doing} failed {_TRIES} times for {len(left)} entries: {why.get('Message', '')} ({_code(why)})"
        )


async def together(requests: Iterable[Awaitable[Any]]) -> list[Any]:
    """The results of what runs at once, in its order; when all are through, the first error is raised."""
    results = await asyncio.gather(*requests, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


def _code(entry: Mapping[str, Any]) -> str:
    return str(entry.get("Code", "")).removeprefix("AWS.SimpleQueueService.")


def _passing(entry: Mapping[str, Any]) -> bool:
    """Whether asking again may help: it is SQS's own fault, or we ask too fast."""
    return not entry.get("SenderFault") or "hrottl" in _code(entry)
