"""The engine on AWS: a queue on SQS, state and objects on S3, and commits in steps over the three."""

from __future__ import annotations

from collections import Counter
from typing import Self

from airless.core.clock import Clock, SystemClock
from airless.core.steps import SteppedEngine
from airless.engines.aws.clients import AwsClients
from airless.engines.aws.objects import S3Objects
from airless.engines.aws.options import AwsOptions
from airless.engines.aws.queue import SqsQueue
from airless.engines.aws.state import S3State


class AwsEngine(SteppedEngine):
    """`Engine` on AWS. Nothing is asked of AWS before something is asked of the engine."""

    def __init__(self, options: AwsOptions, *, clock: Clock | None = None) -> None:
        self.options = options
        self.clients = AwsClients(options)
        claims = S3Objects(self.clients, options, "claims")
        self._sqs = SqsQueue(self.clients, options, clock or SystemClock(), claims)
        super().__init__(
            self._sqs, S3State(self.clients, options), S3Objects(self.clients, options), close=self._closed
        )

    @classmethod
    def open(cls, url: str, *, clock: Clock | None = None) -> Self:
        """The engine of an ``aws://`` URL. Raises ConfigError."""
        return cls(AwsOptions.parse(url), clock=clock)

    async def _closed(self) -> None:
        """Hand back what is leased, then let the clients go."""
        try:
            await self._sqs.aclose()
        finally:
            await self.clients.aclose()

    @property
    def requests(self) -> Counter[str]:
        """What was asked of AWS so far, by service and operation."""
        return self.clients.requests
