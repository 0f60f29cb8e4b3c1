"""The shop on a loopback port, in a thread of its own."""

from __future__ import annotations

import asyncio
import errno
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from airless.core.errors import ConfigError
from airless.local.demo.shop import Shop

PORT = 8765


@contextmanager
def served(shop: Shop, *, port: int = PORT) -> Iterator[str]:
    """Serve on 127.0.0.1 within; gives the shop's address. Where `port` is taken, the system chooses another.

    Raises ConfigError where no port can be had.
    """
    server = _Server(shop, port)
    try:
        yield server.start()
    finally:
        server.stop()


class _Server:
    def __init__(self, shop: Shop, port: int) -> None:
        self._shop = shop
        self._port = port
        self._origin = ""
        self._fault: OSError | None = None
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bookshop", daemon=True)

    def start(self) -> str:
        self._thread.start()
        self._ready.wait()
        if self._fault is not None:
            raise ConfigError(
                f"the shop can't be served on 127.0.0.1: {self._fault.strerror}"
            ) from self._fault
        return f"{self._origin}/"

    def stop(self) -> None:
        if self._fault is None:
            self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        app = web.Application()
        app.router.add_get("/{path:.*}", self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await self._listen(runner)
            self._origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
        except OSError as error:
            self._fault = error
        self._ready.set()
        if self._fault is None:
            await self._over.wait()
        await runner.cleanup()

    async def _listen(self, runner: web.AppRunner) -> None:
        try:
            await web.TCPSite(runner, "127.0.0.1", self._port).start()
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            await web.TCPSite(runner, "127.0.0.1", 0).start()

    async def _answer(self, request: web.Request) -> web.Response:
        page = self._shop.page(request.path, self._origin)
        headers = {"Content-Type": page.content_type}
        if page.location is not None:
            headers["Location"] = page.location
        return web.Response(body=page.body, status=page.status, headers=headers)
