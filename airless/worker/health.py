"""How a worker is, over HTTP: alive, ready, and its figures for Prometheus."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from airless.core.errors import ConfigError
from airless.worker.crew import Crew, Member

logger = logging.getLogger("airless.worker")

# A loop turns if it was heard of so long ago; to start a process takes longer on a busy machine.
_SILENT_S, _STARTING_S = 15.0, 60.0
# A broker that is started anew is waited for; one that is gone for good is for whoever looks after the worker.
_READY_S, _ALIVE_S = 30.0, 300.0


def faults_of(crew: Crew, *, ready: bool) -> list[str]:
    """What keeps it from being alive or, with `ready`, from taking work now; nothing where all is well."""
    if crew.stopping and ready:
        return ["it is being drained"]
    faults = []
    if ready and len(crew.members) < crew.processes:
        faults.append(f"{len(crew.members)} of {crew.processes} processes are there")
    for index, member in sorted(crew.members.items()):
        fault = _fault_of(member, ready=ready)
        if fault is not None:
            faults.append(f"process {index}: {fault}")
    return faults


def _fault_of(member: Member, *, ready: bool) -> str | None:
    silent_s = time.monotonic() - member.heard_at
    if member.report is None:
        if ready or silent_s > _STARTING_S:
            return "it has not begun"
        return None
    if silent_s > _SILENT_S:
        return f"its loop has not turned for {silent_s:.0f} s"
    standing = member.report.standing
    if standing is None:
        return "it has no engine yet" if ready else None
    if standing.silent_s > (_READY_S if ready else _ALIVE_S):
        return f"the broker has not answered for {standing.silent_s:.0f} s"
    return None


@asynccontextmanager
async def health_served(
    crew: Crew, address: str, metrics: Callable[[], Awaitable[bytes]] | None
) -> AsyncIterator[int]:
    """Serve ``/healthz``, ``/readyz`` and ``/metrics`` at HOST:PORT; the port. Raises ConfigError."""
    host, port = _parsed(address)

    async def answer(request: web.Request) -> web.Response:
        faults = faults_of(crew, ready=request.path == "/readyz")
        return web.Response(text="\n".join(faults) or "ok", status=503 if faults else 200)

    async def figures(request: web.Request) -> web.Response:
        if metrics is None:
            return web.Response(text="metrics come with an extra: pip install 'airless[metrics]'", status=501)
        return web.Response(body=await metrics(), headers={"content-type": "text/plain; version=0.0.4"})

    app = web.Application()
    app.add_routes([web.get("/healthz", answer), web.get("/readyz", answer), web.get("/metrics", figures)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            raise ConfigError(f"nothing can be served at {address}: {error}") from error
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def _parsed(address: str) -> tuple[str, int]:
    host, separator, port = address.rpartition(":")
    if not separator or not port.isdecimal() or int(port) > 65_535:
        raise ConfigError(f"--http is {address!r}; it must be HOST:PORT, as 127.0.0.1:8080 or :8080")
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104 - probes come from outside a container
