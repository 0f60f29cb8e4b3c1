"""The local loop: an operator on a topic, and the error operator beside it, in one process."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack

from airless.core.clock import Clock, SystemClock
from airless.core.config import Config
from airless.core.invocation import Invocation, Policy
from airless.core.outcome import Ended
from airless.core.ports import Engine
from airless.core.retry import Retry
from airless.core.window import Window, first_error
from airless.operators.errors import ErrorOperator
from airless.operators.operator import Operator
from airless.operators.runner import OperatorRunner

_IDLE_CHECK_S = 0.02


async def run_operator(
    engine: Engine,
    topic: str,
    operator: Operator,
    *,
    config: Config | None = None,
    concurrency: int = 16,
    stop: asyncio.Event | None = None,
    until_idle: bool = False,
    lease_s: float = 60.0,
    retry: Retry | None = None,
    clock: Clock | None = None,
    observe: Callable[[Ended], None] | None = None,
) -> dict[str, int]:
    """Run `operator` on a topic until `stop` is set; the count of messages by how they ended.

    The error operator runs on the error topic, unless that is the topic asked for. With `until_idle` it also
    ends when nothing waits on these topics any more, now or later. Stopping drains: what runs is finished.
    `observe` is told of each message once its end is durable. Raises EngineError where the engine fails.
    """
    config, clock, stop = config or Config(), clock or SystemClock(), stop or asyncio.Event()
    policy = Policy.of(config, retry)
    work = {config.topic(topic): operator}
    work.setdefault(policy.error_topic, ErrorOperator())
    with ExitStack() as runners:
        windows = []
        for name, one in work.items():
            runner = OperatorRunner(one, config=config, clock=clock)
            runners.callback(runner.close)
            invocation = Invocation(engine, runner, policy=policy, clock=clock, observe=observe)
            windows.append(Window(invocation, name, concurrency=concurrency, lease_s=lease_s))
        await run_windows(engine, windows, stop=stop, until_idle=until_idle)
    total: Counter[str] = Counter()
    for window in windows:
        total.update(window.counts)
    return dict(total)


async def run_windows(
    engine: Engine, windows: list[Window], *, stop: asyncio.Event, until_idle: bool
) -> None:
    """Run windows side by side until `stop` is set or, with `until_idle`, nothing waits on their topics."""
    over = asyncio.Event()
    try:
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(_watch(engine, windows, stop, over, until_idle=until_idle))
            async with asyncio.TaskGroup() as running:
                for window in windows:
                    running.create_task(window.run(over))
            watch.cancel()
    except BaseExceptionGroup as errors:
        raise first_error(errors) from errors


async def _watch(
    engine: Engine,
    windows: list[Window],
    stop: asyncio.Event,
    over: asyncio.Event,
    *,
    until_idle: bool,
) -> None:
    """Set `over` when `stop` is, or when two readings in a row found nothing."""
    idle = 0
    while not stop.is_set() and idle < 2:
        if until_idle:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_IDLE_CHECK_S):
                    await stop.wait()
            idle = idle + 1 if await _is_idle(engine, windows) else 0
        else:
            await stop.wait()
    over.set()


async def _is_idle(engine: Engine, windows: list[Window]) -> bool:
    """Whether nothing waits on any topic. A commit meanwhile could have moved a message past the readings."""
    if any(window.held for window in windows):
        return False
    settled = [window.counts.total() for window in windows]
    for window in windows:
        if (await engine.queue.depth(window.topic)).messages:
            return False
    return settled == [window.counts.total() for window in windows]
