"""The engines, and the one place that chooses: by URL, importing nothing that the URL doesn't name."""

from __future__ import annotations

from typing import Protocol, Self

from airless.core.clock import Clock
from airless.core.errors import ConfigError
from airless.core.ports import Engine, Secrets

_BUILT = (
    "sqlite:///relative/path.db, sqlite:////absolute/path.db, redis://HOST, nats://HOST, "
    "aws://REGION?bucket=NAME and memory://"
)
_PLANNED = frozenset({"gcp", "azure"})


class OpenEngine(Engine, Protocol):
    """An engine that `async with` closes, and the secrets that are kept beside it."""

    @property
    def secrets(self) -> Secrets: ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *_: object) -> None: ...


async def open_engine(url: str, *, clock: Clock | None = None) -> OpenEngine:
    """Open the engine that a URL names; it is a new consumer, and the caller closes it.

    Raises ConfigError where the URL names no engine that there is, or has options that it doesn't take.
    """
    scheme, separator, rest = url.partition("://")
    scheme = scheme.lower()
    if not separator:
        raise ConfigError(f"{url!r} is no engine URL; there are {_BUILT}")
    if scheme == "memory":
        if rest.strip("/"):
            raise ConfigError(
                f"{url!r}: a memory engine has no name, it is its process's alone; write memory://"
            )
        from airless.engines.memory import MemoryEngine

        return MemoryEngine(clock=clock)
    if scheme == "sqlite":
        from airless.engines.sqlite import SqliteEngine

        return await SqliteEngine.open(url, clock=clock)
    if scheme == "aws":
        from airless.engines.aws.engine import AwsEngine

        return AwsEngine.open(url, clock=clock)
    if scheme in {"redis", "rediss"}:
        try:
            from airless.engines.redis.engine import RedisEngine
        except ModuleNotFoundError as error:
            raise ConfigError("the redis engine needs redis-py: pip install 'airless[redis]'") from error

        return await RedisEngine.open(url, clock=clock)
    if scheme in {"nats", "nats+tls"}:
        try:
            from airless.engines.nats.engine import NatsEngine
        except ModuleNotFoundError as error:
            raise ConfigError("the nats engine needs nats-py: pip install 'airless[nats]'") from error

        return NatsEngine.open(url, clock=clock)
    if scheme in _PLANNED:
        raise ConfigError(f"the {scheme} engine is not in this version; there are {_BUILT}")
    raise ConfigError(f"there is no engine {scheme!r} ({url!r}); there are {_BUILT}")
