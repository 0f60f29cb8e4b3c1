"""The shop on a loopback port, in a thread of its own."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web

from airless.local.demo.shop import Shop

HOST, PORT = "127.0.0.1", 8765


@contextmanager
def served(shop: Shop, *, port: int = PORT) -> Iterator[str]:
    """Serve on 127.0.0.1 within; gives the shop's address.

    Where `port` can't be had, the system chooses another. Raises OSError where there is none.
    """
    with _listening(port) as listener:
        origin = f"http://{HOST}:{listener.getsockname()[1]}"
        loop, over = asyncio.new_event_loop(), asyncio.Event()
        thread = threading.Thread(target=_run, args=(loop, _serve(shop, origin, listener, over)), name="shop")
        thread.start()
        try:
            yield f"{origin}/"
        finally:
            loop.call_soon_threadsafe(over.set)
            thread.join()


def _listening(port: int) -> socket.socket:
    try:
        return socket.create_server((HOST, port))
    except OSError:
        return socket.create_server((HOST, 0))


def _run(loop: asyncio.AbstractEventLoop, serving: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(serving)


async def _serve(shop: Shop, origin: str, listener: socket.socket, over: asyncio.Event) -> None:
    async def answer(request: web.Request) -> web.Response:
        page = shop.page(request.path, origin)
        headers = {"Content-Type": page.content_type}
        if page.location is not None:
            headers["Location"] = page.location
        return web.Response(body=page.body, status=page.status, headers=headers)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.SockSite(runner, listener).start()
        await over.wait()
    finally:
        await runner.cleanup()
