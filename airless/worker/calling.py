"""Calls for crawls: messages on the topic of crawls itself, each of which begins one."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections import Counter

from airless.core.clock import Clock
from airless.core.codec import decode
from airless.core.errors import AirlessError, ConfigError, EngineError, LeaseLost, MessageError
from airless.core.failure import error_text
from airless.core.ports import Delivery, Engine, Settlement
from airless.core.retry import Retry
from airless.crawl.topics import FRONTIER
from airless.fleet.begin import begin_called
from airless.worker.tally import Tally, end_of

logger = logging.getLogger("airless.worker")

_POLL_S = 1.0
_PAUSE_S = 2.0
_RETRY = Retry()


class Calling:
    """Begins what is called for, one crawl after the other. A call that can't be understood is given up."""

    def __init__(self, engine: Engine, clock: Clock, *, lease_s: float) -> None:
        self._engine = engine
        self._clock = clock
        # To begin a crawl can mean to read sitemaps, and a call that comes twice begins one crawl all the same.
        self._lease_s = 10 * lease_s
        self._messages: Counter[tuple[str, str]] = Counter()
        self._rng = random.Random()  # noqa: S311 - jitter, no secret

    def done(self) -> Tally:
        return Tally(self._messages.copy())

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                calls = await self._engine.queue.receive(
                    FRONTIER, limit=1, lease_s=self._lease_s, wait_s=_POLL_S
                )
                for call in calls:
                    await self._answer(call)
            except EngineError as fault:
                logger.warning("calls for crawls could not be had, to be tried again: %s", fault)
                await self._clock.sleep(_PAUSE_S)

    async def _answer(self, call: Delivery) -> None:
        settled = Settlement.done(call)
        try:
            message = decode(call.topic, call.body, id=call.id)
            job = await begin_called(self._engine, message, self._clock)
            logger.info("the crawl %s has begun", job.name, extra={"run": job.name, "message_id": call.id})
        except EngineError:
            raise
        except Exception as fault:
            settled = self._failed(call, fault)
        with contextlib.suppress(LeaseLost):
            await self._engine.queue.settle([settled])
        self._messages[FRONTIER, end_of(settled)] += 1

    def _failed(self, call: Delivery, fault: Exception) -> Settlement:
        logger.error(
            "the crawl that %s calls for could not be begun: %s",
            call.id,
            fault,
            exc_info=None if isinstance(fault, AirlessError) else fault,
            extra={"message_id": call.id},
        )
        if isinstance(fault, (ConfigError, MessageError)) or call.attempt + 1 >= _RETRY.max_attempts:
            return Settlement.given_up(call, error_text(fault))
        return Settlement.retry(call, _RETRY.wait_s(call.attempt, self._rng))
