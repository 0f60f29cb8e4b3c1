"""Secrets on AWS Secrets Manager."""

from __future__ import annotations

import asyncio

from airless.core.clock import Clock, SystemClock
from airless.core.errors import ConfigError
from airless.engines.aws.clients import AwsClients
from airless.engines.aws.faults import code_of, translated


class ManagedSecrets:
    """`Secrets` on Secrets Manager. What was asked for is kept for `keep_s`, also that there is nothing.

    A name may be an ARN. A secret that was changed is known `keep_s` later; until then the old value is given out.
    """

    def __init__(self, clients: AwsClients, *, clock: Clock | None = None, keep_s: float = 60.0) -> None:
        self._clients = clients
        self._clock = clock or SystemClock()
        self._keep_s = keep_s
        self._kept: dict[str, tuple[float, str | None]] = {}
        # Many invocations ask for one secret when it is no longer kept; AWS is asked once.
        self._asking = asyncio.Lock()

    async def get(self, name: str) -> str | None:
        """As `Secrets.get`. Raises ConfigError where reading it isn't allowed, or where it is no text."""
        async with self._asking:
            until, value = self._kept.get(name, (0.0, None))
            if self._clock.monotonic() >= until:
                value = await self._ask(name)
                self._kept[name] = (self._clock.monotonic() + self._keep_s, value)
            return value

    async def _ask(self, name: str) -> str | None:
        with translated(f"reading the secret {name!r}"):
            client = await self._clients.secretsmanager()
            try:
                answer = await client.get_secret_value(SecretId=name)
            except Exception as error:
                if code_of(error) == "ResourceNotFoundException":
                    return None
                raise
        if "SecretString" in answer:
            return answer["SecretString"]
        try:
            return answer["SecretBinary"].decode()
        except UnicodeDecodeError as error:
            raise ConfigError(f"the secret {name!r} is no text: it is binary, and not UTF-8") from error
