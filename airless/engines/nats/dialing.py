"""How a connection to the server is made: what is said of who we are, and how it comes back when it breaks."""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import nats
from nats.aio.client import Client

from airless.core.errors import ConfigError
from airless.engines.nats.options import NatsOptions

_log = logging.getLogger(__name__)

_CONNECT_S, _PING_S, _CLOSE_S = 5, 5, 0.5
_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 1.0


async def dialled(
    options: NatsOptions, *, broke: Callable[[], Awaitable[None]], back: Callable[[], Awaitable[None]]
) -> Client:
    """A connection, which comes back by itself as often as it breaks; what is told on it doesn't come back to us.

    Raises ConfigError where the server isn't trusted, or doesn't trust us; else what nats-py raises, or OSError.
    """
    token = options.user if options.password is None else None
    client = Client()
    try:
        await client.connect(
            options.server,
            name=f"airless {options.prefix}",
            user=None if token else options.user,
            password=options.password,
            token=token,
            tls=_tls(options),
            connect_timeout=_CONNECT_S,
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            reconnect_to_server_handler=_with_pauses(),
            allow_reconnect=False,
            no_echo=True,
            ping_interval=_PING_S,
            disconnected_cb=broke,
            reconnected_cb=back,
            error_cb=_noted,
        )
    except BaseException as error:
        await _given_up(client)
        if isinstance(error, ssl.SSLCertVerificationError):
            raise ConfigError(f"the certificate of {options.server} isn't trusted: {error}") from error
        if isinstance(error, nats.errors.Error) and "uthori" in str(error):
            raise ConfigError(f"{options.server} doesn't take these credentials: {error}") from error
        raise
    # Only now: at first a server that isn't there is the caller's to wait for.
    client.options["allow_reconnect"] = True
    client.options["max_reconnect_attempts"] = -1
    return client


def _with_pauses() -> Callable[[list[Any], dict[str, Any]], tuple[Any, float]]:
    """Which server is tried when the connection broke, and after how long."""

    def choose(servers: list[Any], _: dict[str, Any]) -> tuple[Any, float]:
        server = random.choice(servers)  # noqa: S311 - no secret
        return server, min(_LONGEST_PAUSE_S, _PAUSE_S * 2 ** min(int(server.reconnects), 6))

    return choose


def _tls(options: NatsOptions) -> ssl.SSLContext | None:
    """What TLS is spoken with, where it is. Raises ConfigError where the certificate can't be read."""
    if not options.server.startswith("tls:"):
        return None
    try:
        return ssl.create_default_context(cafile=options.ca)
    except OSError as error:
        raise ConfigError(f"the certificate {options.ca!r} can't be read: {error}") from error


async def _given_up(client: Client) -> None:
    """Close a connection that didn't come about; one whose TLS failed doesn't end by itself."""
    try:
        async with asyncio.timeout(_CLOSE_S):
            await client.close()
    except TimeoutError:
        _log.debug("a connection to NATS that failed was left to the system")


async def _noted(error: Exception) -> None:
    _log.debug("the connection to NATS: %s", error)
