"""What a function's process keeps from its first invocation to its last: engine, configuration, operator, crawls."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from airless.core.clock import Clock, SystemClock
from airless.core.config import Config
from airless.core.errors import ConfigError, RetryableError
from airless.core.outcome import Again, Ended, Lost
from airless.core.ports import Delivery, Engine, Settlement
from airless.crawl.topics import FRONTIER
from airless.functions.acknowledging import Acknowledging
from airless.functions.deadline import Deadline

if TYPE_CHECKING:
    from airless.engines import OpenEngine
    from airless.functions.crawl import CrawlHost, Terms
    from airless.operators.http import HttpRequest, HttpResponse
    from airless.operators.runner import OperatorRunner

logger = logging.getLogger(__name__)

ENGINE = "AIRLESS_ENGINE"
_CRAWLS = f"{FRONTIER}/"


@runtime_checkable
class _Prepares(Protocol):
    """An engine that takes its time for what it does when it is first asked for something, and may do that before."""

    async def prepare(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Ends:
    """How deliveries ended, durably: by receipt. What has no end must come again; `faults` say why."""

    ended: Mapping[str, Settlement]
    faults: Sequence[Exception]


class Host:
    """Works on what a platform delivers. Nothing is opened before it is needed, and nothing twice.

    `environ` names the engine (AIRLESS_ENGINE) and the operator (OPERATOR_IMPORT); see `Config.from_env` for the rest.
    `terms` says on what terms it crawls, if it does; `open_engine` opens the engine of a URL.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        clock: Clock | None = None,
        terms: Callable[[], Terms] | None = None,
        open_engine: Callable[[str], Awaitable[OpenEngine]] | None = None,
    ) -> None:
        self.config = Config.from_env(environ)
        self.clock = clock or SystemClock()
        self._url = environ.get(ENGINE, "").strip()
        self._terms = terms
        self._open = open_engine
        self._engine: OpenEngine | None = None
        self._runner: OperatorRunner | None = None
        self._crawls: CrawlHost | None = None

    async def engine(self) -> OpenEngine:
        """The engine, opened by the first who asks. Raises ConfigError where none is named."""
        if self._engine is None:
            if not self._url:
                raise ConfigError(f"{ENGINE} is not set: it must hold the engine's URL")
            self._engine = await (self._open or _open_engine)(self._url)
        return self._engine

    async def prepare(self) -> None:
        """Import and open what the first invocation will need; nothing is asked of anybody.

        Raises ConfigError where no engine is named, and what making the operator raises.
        """
        engine = await self.engine()
        if self.config.operator_import is None:
            self._crawling(engine)
        else:
            import airless.core.batch  # noqa: F401 - what `_operate` imports

            self._running()
        if isinstance(engine, _Prepares):
            await engine.prepare()

    async def deliver(self, deliveries: Sequence[Delivery], deadline: Deadline) -> Ends:
        """Work on messages of the engine's queues: those of crawls by the crawl host, the others by the operator.

        A message on the topic of crawls itself calls for one (`airless.fleet.begin`).

        What fails as a whole is logged, and left without an end. Raises ConfigError where no engine is named.
        """
        faults: list[Exception] = []
        engine = Acknowledging(await self.engine(), deliveries)
        frontier, calls, others = _sorted(deliveries)
        for call in calls:
            try:
                await self._begin(engine, call)
            except Exception as fault:
                logger.exception(
                    "the crawl that %s calls for could not be begun; the call comes again", call.id
                )
                faults.append(fault)
        if others:
            try:
                await self._operate(engine, others, deadline)
            except Exception as fault:
                logger.exception("%d messages failed together, and come again", len(others))
                faults.append(fault)
        if frontier:
            faults += await self._crawling(await self.engine()).run(engine, frontier, deadline)
        return Ends(engine.ended, faults)

    async def call(self, delivery: Delivery, deadline: Deadline) -> None:
        """Work on an event that comes from no queue of ours; what is given up is reported on the error topic.

        Raises RetryableError where it is to be tried again: the platform does that.
        """
        engine = Acknowledging(await self.engine(), [delivery], queued=False)
        (end,) = await self._operate(engine, [delivery], deadline)
        if isinstance(end.outcome, Again):
            raise RetryableError(f"to be tried again: {end.outcome.reason}", after_s=end.outcome.delay_s)
        if isinstance(end.outcome, Lost):
            raise RetryableError("to be tried again: the commit was refused")

    async def respond(
        self, request: HttpRequest, deadline: Deadline, *, request_id: str | None = None
    ) -> HttpResponse:
        """Have an HTTP operator answer a request; 504 where that takes longer than there is time.

        Raises ConfigError where the operator is of another kind, and what the engine's commit raises.
        """
        from airless.operators.http import HttpOperator, HttpResponse, answer

        runner = self._running()
        if not isinstance(runner.operator, HttpOperator):
            raise ConfigError(f"{self.config.operator_import} is no HttpOperator, and can't answer requests")
        engine = await self.engine()
        try:
            async with asyncio.timeout(deadline.cut_off_s - self.clock.now()):
                return await answer(
                    runner.operator,
                    request,
                    engine,
                    config=self.config,
                    clock=self.clock,
                    request_id=request_id,
                )
        except TimeoutError:
            logger.error(
                "%s %s: the invocation's time was up before its answer", request.method, request.path
            )
            return HttpResponse(b'{"error":"out of time"}', 504, {"content-type": "application/json"})

    async def aclose(self) -> None:
        """Close what was opened."""
        if self._crawls is not None:
            await self._crawls.aclose()
        if self._runner is not None:
            self._runner.close()
        if self._engine is not None:
            await self._engine.aclose()

    async def _operate(
        self, engine: Acknowledging, deliveries: Sequence[Delivery], deadline: Deadline
    ) -> list[Ended]:
        from airless.core.batch import run_batch
        from airless.core.invocation import Invocation, Policy

        invocation = Invocation(engine, self._running(), policy=Policy.of(self.config), clock=self.clock)
        return await run_batch(
            invocation,
            deliveries,
            deadline_s=deadline.monotonic_s,
            margin_s=deadline.commit_s + deadline.finish_s,
            commit_s=deadline.commit_s,
        )

    async def _begin(self, engine: Acknowledging, call: Delivery) -> None:
        from airless.core.codec import decode
        from airless.fleet.begin import begin_called

        message = decode(call.topic, call.body, id=call.id)
        job = await begin_called(await self.engine(), message, self.clock)
        logger.info("the crawl %s has begun", job.name)
        await engine.queue.settle([Settlement.done(call)])

    def _running(self) -> OperatorRunner:
        """The operator, made by the first who asks. Raises ConfigError where none is named."""
        if self._runner is None:
            from airless.core.targets import load_target
            from airless.operators.operator import Operator
            from airless.operators.runner import OperatorRunner

            target = self.config.operator_import
            if target is None:
                raise ConfigError("OPERATOR_IMPORT is not set: it must name the operator, as module:Class")
            # Operators are subclasses of an abstract class, and made without arguments.
            operator = load_target(target, Operator)()  # type: ignore[type-abstract]
            self._runner = OperatorRunner(operator, config=self.config, clock=self.clock)
        return self._runner

    def _crawling(self, engine: Engine) -> CrawlHost:
        if self._crawls is None:
            from airless.cost.usage import Metered
            from airless.functions.crawl import CrawlHost, Terms
            from airless.functions.spending import Spending

            terms = Terms() if self._terms is None else self._terms()
            spending = None
            if isinstance(engine, Metered):
                spending = Spending(engine, self.clock, memory_mb=terms.memory_mb, arch=terms.arch)
            self._crawls = CrawlHost(self.clock, terms, spending)
        return self._crawls


def _sorted(
    deliveries: Sequence[Delivery],
) -> tuple[list[Delivery], list[Delivery], list[Delivery]]:
    """Those of crawls, the calls for crawls, and all others."""
    frontier, calls, others = [], [], []
    for delivery in deliveries:
        if delivery.topic.startswith(_CRAWLS):
            frontier.append(delivery)
        elif delivery.topic == FRONTIER:
            calls.append(delivery)
        else:
            others.append(delivery)
    return frontier, calls, others


async def _open_engine(url: str) -> OpenEngine:
    from airless.engines import open_engine

    return await open_engine(url)
