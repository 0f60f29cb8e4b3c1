"""The engine on NATS: a queue on JetStream, state in a KV bucket, objects in a stream or outside; commits in steps."""

from __future__ import annotations

from typing import Self

from airless.core.clock import Clock, SystemClock
from airless.core.ports import Objects
from airless.core.secrets import EnvironmentSecrets
from airless.core.steps import SteppedEngine
from airless.engines.nats.connection import Connection
from airless.engines.nats.objects import NatsObjects
from airless.engines.nats.options import NatsOptions
from airless.engines.nats.queue import NatsQueue
from airless.engines.nats.state import NatsState
from airless.engines.outside import Outside

# Objects of the user's commits, and bodies and documents too large for a message.
_OBJECTS, _LARGE = "objects", "large"


class NatsEngine(SteppedEngine):
    """`Engine` on NATS. Nothing is asked of the server before something is asked of the engine."""

    def __init__(self, options: NatsOptions, *, clock: Clock | None = None) -> None:
        self.options = options
        self.secrets = EnvironmentSecrets()
        self._connection = Connection(options, clock or SystemClock())
        self._outside = Outside(options.objects, options.prefix) if options.objects else None
        objects, large = self._objects(_OBJECTS), self._objects(_LARGE)
        queue = NatsQueue(self._connection, large, clock or SystemClock())
        super().__init__(queue, NatsState(self._connection, large), objects, close=queue.aclose)

    @classmethod
    def open(cls, url: str, *, clock: Clock | None = None) -> Self:
        """The engine of a ``nats://`` URL. Raises ConfigError."""
        return cls(NatsOptions.parse(url), clock=clock)

    async def aclose(self) -> None:
        """Hand back what is leased, then close the connection."""
        try:
            await super().aclose()
        finally:
            await self._connection.aclose()
            if self._outside is not None:
                await self._outside.aclose()

    def _objects(self, name: str) -> Objects:
        return NatsObjects(self._connection, name) if self._outside is None else self._outside.objects(name)
