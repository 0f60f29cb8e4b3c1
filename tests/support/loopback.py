"""A server on loopback in a thread with a loop of its own: a test may block, or run a loop, as it likes."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Self

from aiohttp import web

HOST = "127.0.0.1"


class Loopback:
    """Answers on `port` from entering to leaving, by the routes that a subclass hands in.

    Its handlers run in the server's thread. Entering raises OSError where no port can be had. One server is
    entered once.
    """

    def __init__(self, *routes: web.RouteDef) -> None:
        self.port = 0
        self._routes = routes
        self._over = asyncio.Event()

    @property
    def origin(self) -> str:
        return f"http://{HOST}:{self.port}"

    def __enter__(self) -> Self:
        # Bound here, so that a fault is the caller's to see and whoever comes early waits in the backlog.
        listener = socket.create_server((HOST, 0))
        self.port = listener.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, args=(listener,), name="loopback", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    def _run(self, listener: socket.socket) -> None:
        with listener, asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve(listener))

    async def _serve(self, listener: socket.socket) -> None:
        app = web.Application()
        app.add_routes(self._routes)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.SockSite(runner, listener).start()
            await self._over.wait()
        finally:
            await runner.cleanup()
