"""One process's work: an engine, the crawls on it and the operators, until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing

from airless.core.clock import Clock, SystemClock
from airless.core.config import Config
from airless.core.errors import ConfigError, EngineError
from airless.core.ports import TopicsBelow
from airless.core.targets import load_target
from airless.engines import OpenEngine, open_engine
from airless.operators.errors import ErrorOperator
from airless.operators.operator import Operator
from airless.worker.calling import Calling
from airless.worker.crawling import Crawling
from airless.worker.duty import Duty
from airless.worker.operating import Operating
from airless.worker.spans import spans_of
from airless.worker.tally import Standing, Tally, memory_bytes, summed

logger = logging.getLogger("airless.worker")

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 10.0


class Worker:
    """Serves its duty. `run` ends when it was told to stop, and all is handed back that it had."""

    def __init__(
        self,
        duty: Duty,
        environ: Mapping[str, str],
        *,
        clock: Clock | None = None,
        open_engine: Callable[[str], Awaitable[OpenEngine]] = open_engine,
    ) -> None:
        self._duty = duty
        self._config = Config.from_env(environ)
        self._clock = clock or SystemClock()
        self._open_engine = open_engine
        self._spans = spans_of(environ)
        self._stop = asyncio.Event()
        self._crawling: Crawling | None = None
        self._calling: Calling | None = None
        self._operating: list[Operating] = []
        self._answered_at: float | None = None

    def stop(self) -> None:
        """Take nothing more, and end what is under way."""
        self._stop.set()

    def standing(self) -> Standing | None:
        """How it stands; None before it has its engine."""
        if self._answered_at is None:
            return None
        crawling = self._crawling
        return Standing(
            requests=0 if crawling is None else crawling.requests,
            batches=0 if crawling is None else crawling.batches,
            leased=sum(one.leased for one in self._operating) + (0 if crawling is None else crawling.leased),
            memory_bytes=memory_bytes(),
            silent_s=time.monotonic() - self._answered_at,
            done=self._done(),
        )

    async def run(self) -> None:
        """Work until `stop`. Raises ConfigError where the duty can't be done: no such engine, no such operator."""
        operators = operators_of(self._duty, self._config)
        engine = await self._opened()
        if engine is None:
            return
        async with aclosing(engine):
            if self._duty.crawls and not isinstance(engine.queue, TopicsBelow):
                raise ConfigError(
                    f"no worker can wait for the crawls on {self._duty.engine_url!r}: it takes a broker that many "
                    "share (redis://…, nats://…); on AWS functions do this work"
                )
            self._answered()
            try:
                await self._serve(engine, operators)
            finally:
                await asyncio.to_thread(self._spans.close)

    async def _opened(self) -> OpenEngine | None:
        """The engine, as soon as it can be had; None where the wait for it is stopped."""
        pause_s = _FIRST_PAUSE_S
        while not self._stop.is_set():
            try:
                return await self._open_engine(self._duty.engine_url)
            except EngineError as fault:
                logger.warning("the engine can't be had yet: %s", fault)
            await self._clock.sleep(pause_s)
            pause_s = min(_LONGEST_PAUSE_S, 2 * pause_s)
        return None

    async def _serve(self, engine: OpenEngine, operators: Mapping[str, Operator]) -> None:
        duty, clock = self._duty, self._clock
        self._operating = [
            Operating(
                engine,
                topic,
                operator,
                config=self._config,
                clock=clock,
                messages=duty.messages,
                lease_s=duty.lease_s,
                spans=self._spans,
            )
            for topic, operator in operators.items()
        ]
        if duty.crawls:
            self._crawling = Crawling(
                engine,
                clock,
                concurrency=duty.concurrency,
                lease_s=duty.lease_s,
                answered=self._answered,
                spans=self._spans,
            )
            self._calling = Calling(engine, clock, lease_s=duty.lease_s)
        working: list[asyncio.Task[None]] = []
        async with asyncio.TaskGroup() as group:
            drain = group.create_task(self._drain(working))
            if self._crawling is not None and self._calling is not None:
                working.append(group.create_task(self._crawling.run()))
                working.append(group.create_task(self._calling.run(self._stop)))
            working.extend(group.create_task(one.run(self._stop)) for one in self._operating)
            beating = group.create_task(self._keep_asking(engine))
            await asyncio.wait(working)
            drain.cancel()
            beating.cancel()

    async def _drain(self, working: list[asyncio.Task[None]]) -> None:
        """Once told to stop, let what is under way end in order for as long as the grace lasts."""
        await self._stop.wait()
        if self._crawling is not None:
            self._crawling.stop()
        await self._clock.sleep(self._duty.grace_s)
        logger.warning("what is still under way after %.0f s is let go of", self._duty.grace_s)
        if self._crawling is not None:
            self._crawling.cut_off()
        crawls = working[:1] if self._crawling is not None else []
        for task in working:
            if task not in crawls:
                task.cancel()

    async def _keep_asking(self, engine: OpenEngine) -> None:
        """Have the broker answer now and then, also where nothing else asks it."""
        topic = next((one.topic for one in self._operating), "frontier")
        while True:
            await self._clock.sleep(_LONGEST_PAUSE_S)
            try:
                await engine.queue.depth(topic)
            except EngineError as fault:
                logger.warning("the broker doesn't answer: %s", fault)
            else:
                self._answered()

    def _answered(self) -> None:
        self._answered_at = time.monotonic()

    def _done(self) -> Tally:
        parts = [one.done() for one in (self._crawling, self._calling) if one is not None]
        return summed([*parts, *(one.done() for one in self._operating)])


def operators_of(duty: Duty, config: Config) -> dict[str, Operator]:
    """The operators by topic, and the one of errors beside them. Raises ConfigError where one can't be made."""
    operators: dict[str, Operator] = {}
    for topic, target in duty.operators:
        kind = load_target(target, Operator)  # type: ignore[type-abstract]  # subclasses are asked for
        try:
            operators[config.topic(topic)] = kind()
        except TypeError as error:
            raise ConfigError(f"{target} can't be made without arguments: {error}") from error
    if operators:
        operators.setdefault(config.topic(config.error_topic), ErrorOperator())
    return operators
