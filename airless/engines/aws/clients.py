"""The clients of AWS's services: opened when they are first asked for, kept, and their requests counted."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from io import BytesIO
from typing import TYPE_CHECKING, Any, cast

from airless.core.errors import ConfigError, EngineError
from airless.cost.usage import Usage
from airless.engines.aws.meter import Meter
from airless.engines.aws.options import AwsOptions

if TYPE_CHECKING:
    from types_aiobotocore_s3.client import S3Client
    from types_aiobotocore_scheduler.client import EventBridgeSchedulerClient
    from types_aiobotocore_secretsmanager.client import SecretsManagerClient
    from types_aiobotocore_sqs.client import SQSClient

# Of one process to one service: as many as a bulk publish has requests under way.
_CONNECTIONS = 64
_PIECE_BYTES = 256 * 1024


class AwsClients:
    """One session. `usage` counts what was asked of AWS, retries too: ``{"sqs.SendMessageBatch": 12, …}``."""

    def __init__(self, options: AwsOptions) -> None:
        self.options = options
        self._meter = Meter()
        self._session: Any = None
        self._clients: dict[str, Any] = {}
        self._opening = asyncio.Lock()
        self._open = AsyncExitStack()
        self._closed = False

    @property
    def usage(self) -> Usage:
        """Requests, and the units that AWS bills for them; grows as the clients are used."""
        return self._meter.usage

    @property
    def requests(self) -> Counter[str]:
        """The requests alone, by kind."""
        return self.usage.requests

    async def sqs(self) -> SQSClient:
        return cast("SQSClient", await self.client("sqs"))

    async def s3(self) -> S3Client:
        return cast("S3Client", await self.client("s3"))

    async def secretsmanager(self) -> SecretsManagerClient:
        return cast("SecretsManagerClient", await self.client("secretsmanager"))

    async def scheduler(self) -> EventBridgeSchedulerClient:
        return cast("EventBridgeSchedulerClient", await self.client("scheduler"))

    async def client(self, service: str) -> Any:
        """The client of a service by botocore's name for it. Raises ConfigError without the extra ``aws``."""
        if self._closed:
            raise EngineError("this engine is closed")
        if service in self._clients:
            return self._clients[service]
        async with self._opening:
            if service not in self._clients:
                self._clients[service] = await self._opened(service)
            return self._clients[service]

    async def aclose(self) -> None:
        self._closed = True
        self._clients.clear()
        await self._open.aclose()

    async def _opened(self, service: str) -> Any:
        try:
            # Not at the top: it takes half a second to import.
            from aiobotocore.config import AioConfig
            from aiobotocore.session import get_session
        except ImportError as error:
            raise ConfigError("the aws engine needs aiobotocore: pip install 'airless[aws]'") from error
        config = AioConfig(
            max_pool_connections=_CONNECTIONS,
            retries={"mode": "standard", "total_max_attempts": 5},
            s3={"addressing_style": "path"} if self.options.endpoint else {},
        )
        # Of one session, which reads botocore's descriptions of AWS once.
        if self._session is None:
            self._session = get_session()
        client = await self._open.enter_async_context(
            self._session.create_client(
                service, region_name=self.options.region, endpoint_url=self.options.endpoint, config=config
            )
        )
        self._meter.watch(client, service)
        client.meta.events.register(f"before-send.{service}", _in_parts)
        return client


def _in_parts(request: Any, **_: Any) -> None:
    """A large body goes out in parts: aiohttp warns of one that it has to write in one piece."""
    if isinstance(request.body, bytes) and len(request.body) > _PIECE_BYTES:
        request.body = BytesIO(request.body)
