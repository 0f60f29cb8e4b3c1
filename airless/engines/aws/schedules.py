"""Schedules on EventBridge Scheduler.

Source: the EventBridge Scheduler User Guide on templated targets, schedule types and context attributes.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import orjson

from airless.core.clock import Clock, SystemClock
from airless.core.codec import encode
from airless.core.errors import ConfigError
from airless.core.message import Message
from airless.engines.aws.clients import AwsClients
from airless.engines.aws.cron import schedule_expression
from airless.engines.aws.faults import code_of, translated
from airless.engines.aws.queues import Queues
from airless.engines.aws.topics import part_in, queue_name

if TYPE_CHECKING:
    from types_aiobotocore_scheduler.type_defs import CreateScheduleInputTypeDef

_NAME = re.compile(r"[0-9A-Za-z_.-]+")
_NAME_CHARS = 64
# Filled in by the scheduler: so a call that it repeats brings the same message, and the next time another.
_TIME = "<aws.scheduler.scheduled-time>"


@dataclass(frozen=True, slots=True)
class Caller:
    """What the schedules call where it isn't the queue of a message's topic, and the role that lets them.

    A function gets ``{"airless": "message", "topic": …, "body": …}``, the body as `airless.core.codec` writes it.
    Without a role, it is the one called ``{prefix}-schedules`` of the account.
    """

    function_arn: str | None = None
    role_arn: str | None = None


class EventSchedules:
    """`Schedules` on EventBridge Scheduler, named ``{prefix}.{name}`` in its default group.

    A message goes to the standard queue of its topic, as a stranger's would, or to a function. So it can't have an
    ordering key, nor, on its way to a queue, a topic of several parts.
    """

    def __init__(
        self, clients: AwsClients, *, caller: Caller | None = None, clock: Clock | None = None
    ) -> None:
        self._clients = clients
        self._options = clients.options
        self._caller = caller or Caller()
        self._queues = Queues(clients, clock or SystemClock())

    async def put(self, name: str, when: str, message: Message, *, timezone: str = "UTC") -> None:
        """As `Schedules.put`."""
        full_name = self._named(name)
        if message.ordering_key is not None:
            raise ConfigError(f"schedule {name!r}: its message can't have an ordering key on AWS")
        body = encode(replace(message, id=f"{name}-{_TIME}")).decode()
        expression = schedule_expression(when)
        arn, text = self._caller.function_arn, body
        if arn is None:
            arn = await self._queue_arn(name, message.topic)
        else:
            call = {"airless": "message", "topic": message.topic, "body": body}
            text = orjson.dumps(call).decode()
        schedule: CreateScheduleInputTypeDef = {
            "Name": full_name,
            "ScheduleExpression": expression,
            "ScheduleExpressionTimezone": timezone,
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "Target": {"Arn": arn, "RoleArn": self._caller.role_arn or self._role_arn(arn), "Input": text},
        }
        with translated(f"making schedule {name!r}"):
            scheduler = await self._clients.scheduler()
            try:
                await scheduler.create_schedule(**schedule)
            except Exception as error:
                if code_of(error) != "ConflictException":
                    raise
                await scheduler.update_schedule(**schedule)

    async def delete(self, name: str) -> None:
        """As `Schedules.delete`."""
        with translated(f"deleting schedule {name!r}"):
            scheduler = await self._clients.scheduler()
            try:
                await scheduler.delete_schedule(Name=self._named(name))
            except Exception as error:
                if code_of(error) != "ResourceNotFoundException":
                    raise

    async def list(self) -> AsyncIterator[str]:
        """As `Schedules.list`."""
        start = f"{self._options.prefix}."
        names: list[str] = []
        with translated("listing schedules"):
            scheduler = await self._clients.scheduler()
            pages = scheduler.get_paginator("list_schedules").paginate(GroupName="default", NamePrefix=start)
            async for page in pages:
                names += [found["Name"].removeprefix(start) for found in page["Schedules"]]
        for name in sorted(names):
            yield name

    async def _queue_arn(self, name: str, topic: str) -> str:
        queue = queue_name(self._options.prefix, topic)
        if part_in(self._options.prefix, queue) != topic:
            raise ConfigError(
                f"schedule {name!r}: its message can't go to {topic!r}; a topic that schedules publish to has one "
                "part, of letters, digits, '-' and '_'"
            )
        url = await self._queues.url(queue)
        with translated(f"asking about queue {queue}"):
            sqs = await self._clients.sqs()
            answer = await sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return answer["Attributes"]["QueueArn"]

    def _role_arn(self, target_arn: str) -> str:
        """The role that a deployment makes for schedules, in the target's account."""
        partition, account = target_arn.split(":")[1], target_arn.split(":")[4]
        return f"arn:{partition}:iam::{account}:role/{self._options.prefix}-schedules"

    def _named(self, name: str) -> str:
        full_name = f"{self._options.prefix}.{name}"
        if not _NAME.fullmatch(name) or len(full_name) > _NAME_CHARS:
            raise ConfigError(
                f"{name!r} can't be a schedule's name: letters, digits, '-', '_' and '.', up to "
                f"{_NAME_CHARS - len(self._options.prefix) - 1}"
            )
        return full_name
