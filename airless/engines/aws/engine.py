"""The engine on AWS: a queue on SQS, state and objects on S3, commits in steps over the three; secrets, schedules."""

from __future__ import annotations

from collections import Counter
from typing import Self

from airless.core.clock import Clock, SystemClock
from airless.core.steps import SteppedEngine
from airless.cost.usage import Usage
from airless.engines.aws.clients import AwsClients
from airless.engines.aws.objects import S3Objects
from airless.engines.aws.options import AwsOptions
from airless.engines.aws.queue import SqsQueue
from airless.engines.aws.schedules import EventSchedules
from airless.engines.aws.secrets import ManagedSecrets
from airless.engines.aws.state import S3State


class AwsEngine(SteppedEngine):
    """`Engine` on AWS. Nothing is asked of AWS before something is asked of the engine."""

    def __init__(self, options: AwsOptions, *, clock: Clock | None = None) -> None:
        self.options = options
        self.clients = AwsClients(options)
        self.secrets = ManagedSecrets(self.clients, clock=clock)
        self.schedules = EventSchedules(self.clients, clock=clock)
        claims = S3Objects(self.clients, options, "claims")
        queue = SqsQueue(self.clients, options, clock or SystemClock(), claims)
        super().__init__(
            queue,
            S3State(self.clients, options),
            S3Objects(self.clients, options),
            close=queue.aclose,
        )

    @classmethod
    def open(cls, url: str, *, clock: Clock | None = None) -> Self:
        """The engine of an ``aws://`` URL. Raises ConfigError."""
        return cls(AwsOptions.parse(url), clock=clock)

    async def prepare(self) -> None:
        """Open the clients that every consumer needs, which takes most of a second; nothing is asked of AWS."""
        await self.clients.sqs()
        await self.clients.s3()

    @property
    def usage(self) -> Usage:
        """What was asked of AWS so far, in the units that it bills."""
        return self.clients.usage

    @property
    def requests(self) -> Counter[str]:
        """What was asked of AWS so far, by service and operation."""
        return self.clients.requests

    async def aclose(self) -> None:
        """Hand back what is leased, then close the clients."""
        try:
            await super().aclose()
        finally:
            await self.clients.aclose()
