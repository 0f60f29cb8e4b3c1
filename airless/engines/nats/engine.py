"""The engine on NATS: a queue on JetStream, state in a KV bucket, objects in a stream or a folder; commits in steps."""

from __future__ import annotations

from typing import Self

from airless.core.clock import Clock, SystemClock
from airless.core.ports import Objects
from airless.core.secrets import EnvironmentSecrets
from airless.core.steps import SteppedEngine
from airless.engines.files import FileObjects
from airless.engines.nats.connection import Connection
from airless.engines.nats.objects import NatsObjects
from airless.engines.nats.options import NatsOptions
from airless.engines.nats.queue import NatsQueue
from airless.engines.nats.state import NatsState

# Objects of the user's commits, and bodies and documents too large for a message.
_OBJECTS, _LARGE = "objects", "large"


class NatsEngine(SteppedEngine):
    """`Engine` on NATS. Nothing is asked of the server before something is asked of the engine."""

    def __init__(self, options: NatsOptions, *, clock: Clock | None = None) -> None:
        self.options = options
        self.secrets = EnvironmentSecrets()
        self._connection = Connection(options, clock or SystemClock())
        self._files: list[FileObjects] = []
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
            for files in self._files:
                await files.aclose()

    def _objects(self, name: str) -> Objects:
        if self.options.objects is None:
            return NatsObjects(self._connection, name)
        self._files.append(
            FileObjects(FileObjects.parse(self.options.objects).root / self.options.prefix / name)
        )
        return self._files[-1]
