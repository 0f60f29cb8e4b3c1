"""The URLs of queues: looked up once, and made where the engine is told to."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson

from airless.core.clock import Clock
from airless.core.errors import ConfigError
from airless.engines.aws.clients import AwsClients
from airless.engines.aws.faults import code_of, translated
from airless.engines.aws.topics import dead_name, is_dead, is_fifo

# A message that so many consumers got and none ended kills them: SQS itself puts it aside.
_MAX_RECEIVES = 50
_RETENTION_S = 14 * 24 * 3600
# How long a queue that was missing isn't looked for: in deployments it hardly comes into being.
_MISSING_S = 60.0
_MISSING_WHERE_MADE_S = 0.5


class Queues:
    """The queues behind names."""

    def __init__(self, clients: AwsClients, clock: Clock) -> None:
        self._clients = clients
        self._clock = clock
        self._create = clients.options.create
        self._urls: dict[str, str] = {}
        self._missing: dict[str, float] = {}
        self._making = asyncio.Lock()

    @property
    def come_and_go(self) -> bool:
        """Whether a queue that is missing may be made by who publishes next."""
        return self._create

    async def url(self, name: str) -> str:
        """The queue's URL; it is made where it is missing. Raises ConfigError where it may not be made."""
        if found := self._urls.get(name):
            return found
        async with self._making:
            found = self._urls.get(name) or await self._look_up(name)
            if found is None:
                if not self._create:
                    raise ConfigError(
                        f"there is no queue {name!r} in {self._clients.options.region}: deploy first, or let the "
                        "engine make its queues with create=yes in its URL"
                    )
                found = await self._make(name)
            self._urls[name] = found
            return found

    async def existing(self, name: str) -> str | None:
        """The URL of a queue if there is one. A missing one is not looked for at every call."""
        if found := self._urls.get(name):
            return found
        patience_s = _MISSING_WHERE_MADE_S if self._create else _MISSING_S
        if self._clock.monotonic() - self._missing.get(name, -patience_s) < patience_s:
            return None
        found = await self._look_up(name)
        if found is None:
            self._missing[name] = self._clock.monotonic()
        else:
            self._urls[name] = found
        return found

    async def _look_up(self, name: str) -> str | None:
        from botocore.exceptions import ClientError

        sqs = await self._clients.sqs()
        with translated(f"looking up queue {name}"):
            try:
                return (await sqs.get_queue_url(QueueName=name))["QueueUrl"]
            except ClientError as error:
                if code_of(error).rpartition(".")[2] not in {"NonExistentQueue", "QueueDoesNotExist"}:
                    raise
                return None

    async def _make(self, name: str) -> str:
        sqs = await self._clients.sqs()
        attributes: dict[Any, str] = {"MessageRetentionPeriod": str(_RETENTION_S)}
        if is_fifo(name):
            # The quota is a message group's then, and not the queue's.
            attributes |= {
                "FifoQueue": "true",
                "DeduplicationScope": "messageGroup",
                "FifoThroughputLimit": "perMessageGroupId",
            }
        if not is_dead(name):
            policy = {"deadLetterTargetArn": await self._dead_arn(name), "maxReceiveCount": _MAX_RECEIVES}
            attributes["RedrivePolicy"] = orjson.dumps(policy).decode()
        with translated(f"making queue {name}"):
            return (await sqs.create_queue(QueueName=name, Attributes=attributes))["QueueUrl"]

    async def _dead_arn(self, name: str) -> str:
        dead = dead_name(name)
        url = self._urls.get(dead) or await self._look_up(dead) or await self._make(dead)
        self._urls[dead] = url
        sqs = await self._clients.sqs()
        with translated(f"asking about queue {dead}"):
            answer = await sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return answer["Attributes"]["QueueArn"]
