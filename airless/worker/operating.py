"""An operator on its topic, on a worker: a window that outlives the failures of its broker."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter

from airless.core.clock import Clock
from airless.core.config import Config
from airless.core.errors import EngineError
from airless.core.invocation import Invocation, Policy
from airless.core.outcome import Dead, Ended
from airless.core.ports import Engine
from airless.core.window import Window
from airless.operators.operator import Operator
from airless.operators.runner import OperatorRunner
from airless.worker.spans import NoSpans, Spans
from airless.worker.tally import Tally, end_named

logger = logging.getLogger("airless.worker")

_PAUSE_S = 2.0


class Operating:
    """Runs one operator on one topic."""

    def __init__(
        self,
        engine: Engine,
        topic: str,
        operator: Operator,
        *,
        config: Config,
        clock: Clock,
        messages: int,
        lease_s: float,
        spans: Spans | None = None,
    ) -> None:
        self.topic = topic
        self._spans = spans or NoSpans()
        self._runner = OperatorRunner(operator, config=config, clock=clock)
        self._invocation = Invocation(
            engine, self._runner, policy=Policy.of(config), clock=clock, observe=self._note
        )
        self._clock = clock
        self._messages = messages
        self._lease_s = lease_s
        self._window: Window | None = None
        self._counts: Counter[tuple[str, str]] = Counter()

    @property
    def leased(self) -> int:
        return 0 if self._window is None else self._window.held

    def done(self) -> Tally:
        return Tally(self._counts.copy())

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`, then what runs is finished. Where the engine fails its messages come again."""
        try:
            while not stop.is_set():
                self._window = Window(
                    self._invocation, self.topic, concurrency=self._messages, lease_s=self._lease_s
                )
                try:
                    await self._window.run(stop)
                except EngineError as fault:
                    logger.warning("work on %s is interrupted, to go on soon: %s", self.topic, fault)
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(_PAUSE_S):
                            await stop.wait()
        finally:
            self._runner.close()

    def _note(self, end: Ended) -> None:
        named = end_named(end)
        self._counts[self.topic, named] += 1
        now_s = self._clock.now()
        attributes = {
            "messaging.destination.name": self.topic,
            "messaging.message.id": end.delivery.id,
            "airless.end": named,
        }
        error = end.outcome.error if isinstance(end.outcome, Dead) else None
        self._spans.record(self.topic, now_s - end.elapsed_s, now_s, attributes, error)
        logger.debug(
            "%s: %s on %s",
            named.replace("_", " "),
            end.delivery.id,
            self.topic,
            extra={
                "topic": self.topic,
                "message_id": end.delivery.id,
                "end": named,
                "ms": round(end.elapsed_s * 1_000, 1),
                "run": None if end.message is None else end.message.run_id,
            },
        )
