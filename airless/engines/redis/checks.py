"""What a server must be, and how well it keeps what it is given: asked once, when an engine is opened."""

from __future__ import annotations

import logging
from typing import Any

from redis.exceptions import ResponseError

from airless.core.errors import ConfigError
from airless.engines.redis.server import Server

logger = logging.getLogger(__name__)

_OLDEST = (6, 2)


async def check(server: Server) -> None:
    """Raises ConfigError where the server is too old, EngineError where there is none; warns of what may get lost."""
    info = await server.ask(lambda _: server.client.info())
    version = str(info.get("redis_version", "0"))
    if tuple(int(part) for part in version.split(".")[:2]) < _OLDEST:
        raise ConfigError(f"{server.options.place} is Redis {version}: 6.2 or later is needed, or Valkey")
    for warning in warnings(info, await _fsync(server)):
        logger.warning("%s %s", server.options.place, warning)


def warnings(info: dict[str, Any], fsync: str | None) -> list[str]:
    """What a user should know of how a server keeps things."""
    told = []
    if not info.get("aof_enabled"):
        told.append(
            "keeps no append-only file: when it stops, messages and state since its last snapshot are lost; "
            "set appendonly to yes"
        )
    elif fsync == "no":
        told.append(
            "leaves it to the system when to write its append-only file to disk: a power cut may lose half a "
            "minute; set appendfsync to everysec or always"
        )
    if info.get("maxmemory") and not str(info.get("maxmemory_policy", "")).startswith(
        ("noeviction", "volatile-")
    ):
        told.append(
            f"throws away what it was given where its memory is full (maxmemory-policy "
            f"{info['maxmemory_policy']}): set noeviction"
        )
    return told


async def _fsync(server: Server) -> str | None:
    """None where the server doesn't tell, as many that are hosted don't."""
    try:
        found = await server.client.config_get("appendfsync")
    except ResponseError:
        return None
    fsync: str | None = found.get("appendfsync")
    return fsync
