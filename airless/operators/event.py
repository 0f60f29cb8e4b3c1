"""Operators of messages: one at a time, or many in one call."""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

from airless.core.errors import OperatorError
from airless.core.message import Message
from airless.core.outcome import Again, Dead, Done
from airless.operators.context import BATCH, CURRENT
from airless.operators.operator import Operator


class EventOperator(Operator):
    """Runs on each message of a topic."""

    @abstractmethod
    def execute(self, data: dict[str, Any], topic: str) -> Any:
        """Do the work. May be ``async def``, or a plain ``def``, which runs in a thread.

        `data` is the message's JSON object with its ``metadata``, if it has one. Returning means done; any
        exception means that it is tried again, until its tries are spent; PermanentError means that it is
        given up at once.
        """

    async def handle(self, message: Message) -> Any:
        return await CURRENT.get().call(self.execute, dict(message.data), message.topic)


class BatchOperator(Operator):
    """Runs on many messages in one call: up to `batch_size` of those that wait."""

    batch_size: int = 100

    @abstractmethod
    def execute_many(self, messages: Sequence[Message]) -> Any:
        """Do the work, and return how each message ended, in their order; None means that all are done.

        An end is None or Done (done), Again (later), Dead (given up) or an exception (judged as if raised).
        Raising fails them all. To publish for a message: ``with self.bound(message): self.publish(…)``.
        """

    @contextlib.contextmanager
    def bound(self, message: Message) -> Iterator[None]:
        """Within, this is the message at work: what is published happens if and only if it is done."""
        contexts = BATCH.get(None)
        if contexts is None or id(message) not in contexts:
            raise OperatorError("that message is none of the batch at work")
        token = CURRENT.set(contexts[id(message)])
        try:
            yield
        finally:
            CURRENT.reset(token)

    async def handle(self, message: Message) -> Any:
        raise OperatorError("a batch operator takes its messages by execute_many")


End = None | Done | Again | Dead | BaseException
