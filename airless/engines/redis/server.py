"""The server: calls that outlive a broken connection, and that happen once however often they are sent."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from redis.asyncio import BlockingConnectionPool, Redis, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError

from airless.core.clock import Clock
from airless.core.errors import EngineError
from airless.core.heeding import heeded
from airless.engines.redis.faults import may_pass, translate
from airless.engines.redis.options import RedisOptions
from airless.engines.redis.scripts import script

T = TypeVar("T")
Value = bytes | str | int

_CONNECTIONS = 32
_CONNECT_S = 5.0
# How long an answer may take. Who was only slow finds what it did under the call's nonce.
_ANSWER_S = 10.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 2.0
# How long who is cancelled waits for the answer to what is under way already.
_LAST_ANSWER_S = 2.0


class Unanswered(EngineError):
    """The server was not there for as long as a call is tried; what was asked may have happened, or may yet."""


class Server:
    """One consumer's way to the server."""

    def __init__(self, options: RedisOptions, clock: Clock) -> None:
        self.options = options
        self.consumer = uuid.uuid4().hex
        self.root = f"{{{options.prefix}}}"
        self._clock = clock
        self.closed = False
        self._slots = _Slots()
        tls: Any = {"connection_class": SSLConnection, "ssl_ca_certs": options.ca} if options.tls else {}
        self.client: Any = Redis(
            connection_pool=BlockingConnectionPool(
                max_connections=_CONNECTIONS,
                timeout=options.timeout_s,
                host=options.host,
                port=options.port,
                db=options.db,
                username=options.username,
                password=options.password,
                socket_timeout=min(_ANSWER_S, options.timeout_s / 3),
                socket_connect_timeout=min(_CONNECT_S, options.timeout_s / 3),
                socket_keepalive=True,
                socket_read_size=65536,
                retry=Retry(NoBackoff(), 0),
                protocol=2,
                **tls,
            )
        )

    def key(self, part: str, name: str) -> str:
        """A key of the server's, as the scripts build them."""
        return f"{self.root}:{part}:{name}"

    async def once(
        self, name: str, args: Sequence[Value], undo: Callable[[Any], Awaitable[None]] | None = None
    ) -> Any:
        """Run a script that notes what it did, so that it is done once also where its answer gets lost.

        It begins with consumer, slot, nonce and whether it is sent again; what follows is `args`. Who is cancelled
        waits a moment for the answer: it has happened or it never will; and what it came to goes to `undo`.
        """
        return await _whole(self._noted(name, args), undo)

    async def _noted(self, name: str, args: Sequence[Value]) -> Any:
        nonce = uuid.uuid4().hex
        with self._slots.one() as slot:
            return await self.ask(
                lambda again: self._run(name, (self.consumer, slot, nonce, int(again), *args))
            )

    async def run(self, name: str, args: Sequence[Value]) -> Any:
        """Run a script that may run twice to the same effect."""
        return await self.ask(lambda again: self._run(name, args))

    async def ask(self, call: Callable[[bool], Awaitable[T]]) -> T:
        """Call until there is an answer, for up to the time that the options say; then EngineError.

        `call` is told whether it was called before: then it may have happened already.
        """
        pause_s, again = _FIRST_PAUSE_S, False
        until_s = self._clock.monotonic() + self.options.timeout_s
        while True:
            self.check_open()
            try:
                return await heeded(call(again))
            except Exception as error:
                if not may_pass(error):
                    raise translate(error, self.options.place) from error
                if self._clock.monotonic() + pause_s > until_s:
                    raise Unanswered(
                        f"{self.options.place} has not answered for {self.options.timeout_s:g} s: {error}"
                    ) from error
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311 - not all at once
            pause_s, again = min(pause_s * 2, _LONGEST_PAUSE_S), True

    async def _run(self, name: str, args: Sequence[Value]) -> Any:
        code = script(name)
        try:
            return await self.client.evalsha(code.digest, 1, self.root, *args)
        except NoScriptError:  # it is new there, or was forgotten
            return await self.client.eval(code.text, 1, self.root, *args)

    def check_open(self) -> None:
        """Raises EngineError where it was closed."""
        if self.closed:
            raise EngineError("this engine is closed")

    async def aclose(self) -> None:
        self.closed = True
        await self.client.aclose(close_connection_pool=True)
        await self.client.connection_pool.disconnect()


class _Slots:
    """Numbers for calls under way, used again when they have ended: what the server notes of each takes one place."""

    def __init__(self) -> None:
        self._free: list[int] = []
        self._used = 0

    @contextmanager
    def one(self) -> Iterator[int]:
        if not self._free:
            self._free.append(self._used)
            self._used += 1
        slot = self._free.pop()
        try:
            yield slot
        except (Unanswered, asyncio.CancelledError):
            raise  # it may still happen, and must not take another's place
        except BaseException:
            self._free.append(slot)
            raise
        self._free.append(slot)


async def _whole(call: Coroutine[Any, Any, T], undo: Callable[[T], Awaitable[None]] | None) -> T:
    task = asyncio.ensure_future(call)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=_LAST_ANSWER_S)
        if task.cancel():
            await asyncio.wait({task})
        elif not task.cancelled() and task.exception() is None and undo is not None:
            await undo(task.result())
        raise
