"""Receiving: requests that outlive who asked, since a message that SQS has handed out must not get lost on its way.

SQS leases a message when it answers, whether or not anybody still listens. So a request is never cut off: when a
receive ends or is cancelled, what its requests bring waits a moment for the next receive, and is handed back then.
"""

from __future__ import annotations

import asyncio
import logging
import math
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from airless.core.clock import Clock
from airless.core.errors import AirlessError
from airless.engines.aws.clients import AwsClients
from airless.engines.aws.faults import translated
from airless.engines.aws.limits import SqsLimits
from airless.engines.aws.records import Arrived, of_receive
from airless.engines.aws.topics import is_fifo
from airless.engines.aws.wire import ATTRIBUTE, ERROR_ATTRIBUTE

_log = logging.getLogger(__name__)

# Requests at once for one bulk receive from one queue.
_AT_ONCE = 16
_PATIENCE_S = 1.0

HandBack = Callable[[Sequence[Arrived]], Awaitable[None]]


class Poll:
    """One request to one queue. `answered` is done when it has ended, well or not."""

    def __init__(
        self, queue: str, visible_s: int, request: Callable[[], Awaitable[list[Arrived]]], hand_back: HandBack
    ) -> None:
        self.queue = queue
        self.visible_s = visible_s
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.error: Exception | None = None
        self.arrived: list[Arrived] = []
        self._request = request
        self._hand_back = hand_back
        self._taken = asyncio.Event()
        self.task = asyncio.create_task(self._run())

    def take(self, limit: int) -> list[Arrived]:
        """Up to `limit` of what came; the rest waits on."""
        if not self.answered.done():
            return []
        taken, self.arrived = self.arrived[:limit], self.arrived[limit:]
        if not self.arrived:
            self._taken.set()
        return taken

    async def _run(self) -> None:
        try:
            self.arrived = await self._request()
        except Exception as error:  # it is raised by the receive that waits for this
            self.error = error
        self.answered.set_result(None)
        if not self.arrived:
            return
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await self._taken.wait()
        except TimeoutError:
            await self._hand_back(self.take(len(self.arrived)))


class Polls:
    """The requests of one consumer."""

    def __init__(self, clients: AwsClients, limits: SqsLimits, clock: Clock, hand_back: HandBack) -> None:
        self._clients = clients
        self._limits = limits
        self._clock = clock
        self._hand_back = hand_back
        self._open: set[Poll] = set()

    async def receive(
        self, queues: Mapping[str, str], limit: int, lease_s: float, wait_s: float
    ) -> list[Arrived]:
        """Up to `limit` messages of these queues (URLs by name), as soon as there are any, within `wait_s`.

        Their leases are whole seconds, and not shorter than `lease_s` unless that is more than SQS allows.
        """
        visible_s = max(1, min(math.ceil(lease_s), self._limits.visibility_s))
        taken = self._left_over(queues, limit)
        if taken:
            return taken
        size = min(limit, self._limits.entries)
        polls = [
            (self._waiting(queue, visible_s) if wait_s > 0 else None)
            or self._ask(queue, url, size, visible_s, wait_s)
            for queue, url in queues.items()
        ]
        await self._answer(polls, wait_s)
        taken = [arrived for poll in polls for arrived in poll.take(limit)]
        try:
            for queue, url in queues.items():
                more = sum(arrived.queue == queue for arrived in taken) >= self._limits.entries
                while more and len(taken) < limit:
                    more = await self._more(queue, url, taken, limit, visible_s)
        except BaseException:
            self.keep(taken)
            raise
        self.keep(taken[limit:])
        return taken[:limit]

    def keep(self, arrived: Sequence[Arrived]) -> None:
        """Messages that nobody takes now: for the next receive, or to be handed back."""
        by_queue: dict[str, list[Arrived]] = {}
        for one in arrived:
            by_queue.setdefault(one.queue, []).append(one)
        for queue, kept in by_queue.items():
            self._start(queue, 0, partial(_at_once, kept))

    async def aclose(self) -> list[Arrived]:
        """End all requests; what was handed out and taken by nobody."""
        polls = list(self._open)
        left = [arrived for poll in polls for arrived in poll.take(len(poll.arrived))]
        for poll in polls:
            if not poll.answered.done():
                poll.task.cancel()
        await asyncio.gather(*(poll.task for poll in polls), return_exceptions=True)
        for poll in polls:
            if not poll.answered.done():
                poll.answered.set_result(None)
        return left

    def _left_over(self, queues: Mapping[str, str], limit: int) -> list[Arrived]:
        now = self._clock.now()
        taken: list[Arrived] = []
        for poll in self._open:
            if poll.queue in queues and len(taken) < limit:
                taken += poll.take(limit - len(taken))
        return [arrived for arrived in taken if arrived.until is None or arrived.until > now]

    def _waiting(self, queue: str, visible_s: int) -> Poll | None:
        """A request that an earlier receive left behind, and that asks for the same lease."""
        same = (poll for poll in self._open if poll.queue == queue and poll.visible_s == visible_s)
        return next((poll for poll in same if not poll.answered.done()), None)

    async def _answer(self, polls: Sequence[Poll], wait_s: float) -> None:
        """Until one of them has brought something, or all have ended, or the time is over. Raises its error."""
        loop = asyncio.get_running_loop()
        until = loop.time() + wait_s
        while open_ones := [poll for poll in polls if not poll.answered.done()]:
            left_s = max(0.0, until - loop.time()) if wait_s > 0 else None
            if left_s == 0.0 or (wait_s > 0 and any(poll.arrived for poll in polls)):
                break
            when = asyncio.FIRST_COMPLETED if wait_s > 0 else asyncio.ALL_COMPLETED
            await asyncio.wait([poll.answered for poll in open_ones], timeout=left_s, return_when=when)
        for poll in polls:
            if poll.error is not None:
                raise poll.error

    async def _more(self, queue: str, url: str, taken: list[Arrived], limit: int, visible_s: int) -> bool:
        """What else is there now, many requests at once; whether all of them came back full."""
        size = self._limits.entries
        wanted = min(limit - len(taken), _AT_ONCE * size)
        sizes = [min(size, wanted - start) for start in range(0, wanted, size)]
        polls = [self._ask(queue, url, size, visible_s, 0.0) for size in sizes]
        await self._answer(polls, 0.0)
        came = [arrived for poll in polls for arrived in poll.take(size)]
        taken += came
        return len(came) == wanted

    def _ask(self, queue: str, url: str, size: int, visible_s: int, within_s: float) -> Poll:
        wait_s = min(math.ceil(within_s), self._limits.wait_s)
        request = partial(ask, self._clients, self._clock, queue, url, size, visible_s, wait_s)
        return self._start(queue, visible_s, request)

    def _start(self, queue: str, visible_s: int, request: Callable[[], Awaitable[list[Arrived]]]) -> Poll:
        poll = Poll(queue, visible_s, request, self._handed_back)
        self._open.add(poll)
        poll.task.add_done_callback(lambda _: self._open.discard(poll))
        return poll

    async def _handed_back(self, arrived: Sequence[Arrived]) -> None:
        try:
            await self._hand_back(arrived)
        except AirlessError as error:
            _log.warning(
                "%d messages could not be handed back, and come again later: %s", len(arrived), error
            )


async def ask(
    clients: AwsClients, clock: Clock, queue: str, url: str, size: int, visible_s: int, wait_s: int
) -> list[Arrived]:
    """One ReceiveMessage. Raises EngineError."""
    sqs: Any = await clients.sqs()
    # A try after a lost answer gets the messages that went with it: FIFO queues know it by this id.
    attempt = {"ReceiveRequestAttemptId": uuid.uuid4().hex} if is_fifo(queue) else {}
    with translated(f"receiving from queue {queue}"):
        answer = await sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=size,
            VisibilityTimeout=visible_s,
            WaitTimeSeconds=wait_s,
            MessageSystemAttributeNames=["ApproximateReceiveCount"],
            MessageAttributeNames=[ATTRIBUTE, ERROR_ATTRIBUTE],
            **attempt,
        )
    prefix, now = clients.options.prefix, clock.now()
    return [of_receive(queue, prefix, message, now, visible_s) for message in answer.get("Messages") or ()]


async def _at_once(arrived: list[Arrived]) -> list[Arrived]:
    return arrived
