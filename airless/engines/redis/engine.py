"""The engine on Redis: queue, state and objects on one server, and commits that are one script there."""

from __future__ import annotations

from dataclasses import replace
from typing import Self

from airless.core.at_once import each
from airless.core.clock import Clock, SystemClock
from airless.core.ports import Commit
from airless.core.secrets import EnvironmentSecrets
from airless.core.steps import Outbox, SteppedEngine, wrap
from airless.engines.outside import Outside
from airless.engines.redis.checks import check
from airless.engines.redis.committing import Committing, arguments
from airless.engines.redis.objects import RedisObjects
from airless.engines.redis.options import RedisOptions
from airless.engines.redis.queue import RedisQueue
from airless.engines.redis.server import Server
from airless.engines.redis.state import RedisState

_PUTS = 32


class RedisEngine(SteppedEngine):
    """`Engine` on Redis or Valkey. A commit is one step, done once however often its answer gets lost.

    Objects in a folder or a bucket (the option `objects`) are outside of it: they are put before and deleted after,
    and who loads the state deletes what was left over, as in `airless.core.steps`.
    """

    def __init__(self, options: RedisOptions, *, clock: Clock | None = None) -> None:
        self.options = options
        self.secrets = EnvironmentSecrets()
        self._server = Server(options, clock or SystemClock())
        self._committing = Committing(self._server)
        self._outside = Outside(options.objects, options.prefix) if options.objects else None
        self._topics = RedisQueue(self._server, self._committing, clock or SystemClock())
        super().__init__(
            self._topics,
            RedisState(self._server, self._committing),
            self._outside.objects("objects")
            if self._outside
            else RedisObjects(self._server, self._committing),
            close=self._end,
        )

    @classmethod
    async def open(cls, url: str, *, clock: Clock | None = None) -> Self:
        """The engine of a ``redis://`` or ``rediss://`` URL, whose server was asked how well it keeps things.

        Raises ConfigError, and EngineError where there is no server in the time that the URL gives.
        """
        engine = cls(RedisOptions.parse(url), clock=clock)
        try:
            await check(engine._server)
        except BaseException:
            await engine._server.aclose()
            raise
        return engine

    async def commit(self, commit: Commit) -> tuple[str, ...]:
        """As `Engine.commit`. Where it raises, nothing was applied, but for objects that were put into a folder."""
        self._server.check_open()
        if commit == Commit():
            return ()
        # What is published needs no outbox: it comes with the state.
        left = Outbox(delete=commit.delete) if self._outside is not None else Outbox()
        state = [
            replace(write, data=wrap(write.data, Outbox() if at else left))
            for at, write in enumerate(commit.state)
        ]
        inside = replace(commit, state=state)
        if self._outside is not None:
            inside = replace(inside, put={}, delete=())
        args = arguments(inside)
        if self._outside is not None:
            await each(lambda item: self.objects.put(*item), commit.put.items(), at_once=_PUTS)
        versions = await self._committing.send(args, state)
        self._topics.leases.end(commit.settle)
        if self._outside is not None and commit.delete:
            await self.objects.delete(commit.delete)
        if versions:
            self.state.carried_out(state[0].key, versions[0])
        return versions

    async def _end(self) -> None:
        """Hand back what is leased, if the server is there to take it, and close."""
        if self._server.closed:
            return
        try:
            await self._topics.aclose()
        finally:
            await self._server.aclose()
            if self._outside is not None:
                await self._outside.aclose()
