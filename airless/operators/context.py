"""What belongs to one message while an operator works on it; the operator's instance is shared by many."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import itertools
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any

import orjson

from airless.core.clock import Clock
from airless.core.config import Config
from airless.core.errors import MessageError, OperatorError
from airless.core.message import Message
from airless.core.outcome import Effects


class Context:
    """A message at work: what it has published and written so far, which happens when it is done.

    Threads of the operator may use it too; once the message has ended it takes nothing more.
    """

    def __init__(
        self, message: Message, config: Config, clock: Clock, executor: Executor | None = None
    ) -> None:
        self.message = message
        self.config = config
        self.clock = clock
        self.result: Any = None
        self.next_held = False
        self.next_delay_s = 0.0
        self._executor = executor
        self._publish: list[Message] = []
        self._put: dict[str, bytes] = {}
        self._positions = itertools.count()
        self._over = False

    def publish(
        self,
        topic: str,
        data: Mapping[str, Any],
        *,
        id: str | None = None,
        delay_s: float = 0.0,
        ordering_key: str | None = None,
        priority: int = 0,
    ) -> None:
        """Publish a copy of `data` with the commit. Raises MessageError where it is no JSON object."""
        position = next(self._positions)
        message = self.message.derive(
            position,
            self.topic(topic),
            copied(data, topic),
            not_before_s=self.due_s(delay_s),
            ordering_key=ordering_key,
            priority=priority,
        )
        self.publish_message(message if id is None else replace(message, id=id))

    def publish_message(self, message: Message) -> None:
        """Publish a message of the caller's own making with the commit."""
        self._check()
        self._publish.append(message)

    def put(self, name: str, data: bytes) -> None:
        """Write an object with the commit."""
        self._check()
        if not name or name.startswith("/"):
            raise OperatorError(
                f"an object can't be named {name!r}: give it a name that doesn't start with '/'"
            )
        self._put[name] = bytes(data)

    def topic(self, name: str) -> str:
        if not isinstance(name, str) or not name:
            raise MessageError(f"a topic is named by a string that isn't empty, not by {name!r}")
        return self.config.topic(name)

    def due_s(self, delay_s: float) -> float:
        return self.clock.now() + delay_s if delay_s > 0 else 0.0

    def end(self) -> Effects:
        """Everything collected; from here on the context takes nothing more."""
        self._over = True
        return Effects(publish=tuple(self._publish), put=self._put)

    def abandon(self) -> None:
        """Take nothing more, and let go of what was collected."""
        self._over = True
        self._publish.clear()
        self._put.clear()

    async def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """The result of a function that may be ``async def`` or plain; a plain one runs in a thread."""
        if inspect.iscoroutinefunction(function):
            return await function(*arguments)
        run = contextvars.copy_context().run
        loop = asyncio.get_running_loop()
        result = await loop.run_in_executor(self._executor, run, _without_stop, function, arguments)
        return await result if inspect.isawaitable(result) else result

    def _check(self) -> None:
        if self._over:
            raise OperatorError(
                f"message {self.message.id} has ended; nothing can be published or written for it"
            )


CURRENT: contextvars.ContextVar[Context] = contextvars.ContextVar("airless_message")
BATCH: contextvars.ContextVar[Mapping[int, Context]] = contextvars.ContextVar("airless_batch")


def current() -> Context:
    """The context of the message at work here. Raises OperatorError where there is none."""
    context = CURRENT.get(None)
    if context is not None:
        return context
    if BATCH.get(None) is not None:
        raise OperatorError("say which message of the batch this is for: with self.bound(message): …")
    raise OperatorError("this is only there while a message is worked on")


class MessageLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger whose lines start with the message's id, and whose records carry it as `message_id`."""

    def __init__(self, logger: logging.Logger, message_id: str) -> None:
        super().__init__(logger, {"message_id": message_id})
        self._message_id = message_id

    def process(self, msg: Any, kwargs: Any) -> tuple[Any, Any]:
        kwargs["extra"] = {**(self.extra or {}), **(kwargs.get("extra") or {})}
        return f"[{self._message_id}] {msg}", kwargs


def copied(data: Mapping[str, Any], topic: str) -> dict[str, Any]:
    """A deep copy of what will be JSON, as it will be read: later changes of `data` don't reach it."""
    if not isinstance(data, Mapping):
        raise MessageError(f"the data for {topic!r} must be a JSON object, not {type(data).__name__}")
    metadata = data.get("metadata")
    if metadata is not None and not isinstance(metadata, Mapping):
        raise MessageError(f"the key 'metadata' of the data for {topic!r} must hold a JSON object")
    try:
        copy: dict[str, Any] = orjson.loads(orjson.dumps(dict(data)))
    except TypeError as error:
        raise MessageError(f"the data for {topic!r} is not JSON: {error}") from error
    return copy


def _without_stop(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """Call it; a StopIteration can't be raised into a future, so it is told as what it is."""
    try:
        return function(*arguments)
    except StopIteration as error:
        raise RuntimeError("execute raised StopIteration") from error
