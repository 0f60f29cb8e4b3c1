"""What every operator can do while it works on a message."""

from __future__ import annotations

import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from airless.core.config import Config
from airless.core.failure import error_report, sink_name
from airless.core.message import Message
from airless.operators.chain import chained
from airless.operators.context import CURRENT, MessageLogger, current


class Operator(ABC):
    """The base of operators. One instance works on many messages at once: keep none of theirs on ``self``.

    What is published or put here happens if and only if the message is done, in the same commit.

    A subclass declares what it uses beside its own messages, and where it is deployed it may use nothing else:
    `topics` that it publishes on; `buckets` of others, as ``name`` or ``name/prefix``, which it reads, or with
    ``:write`` behind it changes too; `secrets` by name. `schedules` are messages that come by the clock: a
    schedule in cron's five fields (UTC) → the message's data.
    """

    input_type: ClassVar[str] = "event"
    topics: ClassVar[Sequence[str]] = ()
    buckets: ClassVar[Sequence[str]] = ()
    secrets: ClassVar[Sequence[str]] = ()
    schedules: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    @property
    def message(self) -> Message:
        """The message at work."""
        return current().message

    @property
    def message_id(self) -> str:
        """Its id: an opaque string."""
        return current().message.id

    @property
    def config(self) -> Config:
        return current().config

    @property
    def logger(self) -> logging.Logger | logging.LoggerAdapter[logging.Logger]:
        """A logger named for the operator's class, bound to the message at work, if there is one."""
        logger = logging.getLogger(f"{type(self).__module__}.{type(self).__qualname__}")
        context = CURRENT.get(None)
        return logger if context is None else MessageLogger(logger, context.message.id)

    @property
    def queue_hook(self) -> QueueHook:
        return QueueHook()

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
        """Publish a message when this one is done; `data` is copied, so it may be changed afterwards.

        Without an `id` it gets one that follows from this message's and from how many were published before,
        so a replay that publishes in the same order publishes the same messages. Raises MessageError for
        what isn't JSON.
        """
        current().publish(topic, data, id=id, delay_s=delay_s, ordering_key=ordering_key, priority=priority)

    async def publish_many(
        self, topic: str, data: Iterable[Mapping[str, Any]], *, delay_s: float = 0.0, priority: int = 0
    ) -> None:
        """Publish many messages when this one is done; the engine sends them in bulk."""
        context = current()
        for entry in data:
            context.publish(topic, entry, delay_s=delay_s, priority=priority)

    def put(self, name: str, data: bytes) -> None:
        """Write an object when this message is done. Give it a name that a replay gives again."""
        current().put(name, data)

    def report_error(self, message: str, data: Any = None) -> None:
        """Report a fault on the error topic without failing this message; `data` is its own by default.

        On the error topic itself nothing is published: the report is kept in the terminal sink.
        """
        context = current()
        self.logger.error("%s", message)
        report = error_report(
            context.message, message, input_type=self.input_type, now_s=context.clock.now(), data=data
        )
        error_topic = context.config.topic(context.config.error_topic)
        if context.message.topic == error_topic:
            context.put(sink_name(error_topic, f"{context.message.id}-report"), message.encode())
        else:
            context.publish(error_topic, report)

    def chain_messages(self, messages: Sequence[Mapping[str, Any]]) -> None:
        """Publish the first of ``[{topic, data}, …]`` with this message; each success publishes the next."""
        if messages:
            first = chained(messages)
            current().publish(first["topic"], first["data"])

    @abstractmethod
    async def handle(self, message: Message) -> Any:
        """Do the work on a message; the kinds of operators say what they make of it."""


def default_topic(kind: type[Operator]) -> str:
    """The class's name in kebab case, without "Operator" at its end: ``SendMail`` works on ``send-mail``."""
    name = re.sub(r"(?<=.)Operator$", "", kind.__name__)
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()


class QueueHook:
    """Publishing by the old signature. An engine has one project, so `project` names nothing here."""

    def publish(self, project: str | None, topic: str, data: Mapping[str, Any]) -> None:
        current().publish(topic, data)

    def publish_many(self, project: str | None, topic: str, data: Iterable[Mapping[str, Any]]) -> None:
        context = current()
        for entry in data:
            context.publish(topic, entry)
