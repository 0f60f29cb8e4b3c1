"""``airless worker``: processes that do the work on crawls and operators' messages of a broker."""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import click

from airless.cli.signals import on_stop
from airless.cli.unanswered import told_of_silence
from airless.core.config import Config
from airless.core.errors import ConfigError
from airless.core.targets import load_target
from airless.operators.operator import Operator, default_topic
from airless.worker.crew import Crew
from airless.worker.duty import Duty
from airless.worker.logs import FORMATS, TEXT, write_logs

logger = logging.getLogger("airless.worker")

_INTERRUPTED = 130
# Processes take a while to start.
_SILENT_S = 10.0
EMBEDDED_ENGINE = "nats://127.0.0.1:4222"
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMG]i?B?)?", re.IGNORECASE)
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


class Size(click.ParamType[int]):
    """A number of bytes, as ``400MiB``."""

    name = "size"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        found = _SIZE.fullmatch(str(value).strip())
        if found is None:
            self.fail(f"{value!r} is no size; write 400MiB or 1.5GiB", param, ctx)
        return int(float(found[1]) * _UNITS[(found[2] or "")[:1].lower()])


@click.command()
@click.argument("targets", metavar="[TARGET]...", nargs=-1)
@click.option("--engine", envvar="AIRLESS_ENGINE", metavar="URL", help="The broker.")
@click.option("--embedded", is_flag=True, help="Start a NATS server here, and be a worker on it.")
@click.option(
    "--state-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=".airless",
    metavar="FOLDER",
    help="Where the embedded server keeps everything (.airless).",
)
@click.option("-n", "--processes", type=click.IntRange(min=1), help="How many (as many as processors).")
@click.option(
    "--concurrency",
    type=click.IntRange(min=1),
    default=256,
    help="Requests under way in a process, of all crawls together (256).",
)
@click.option(
    "--messages", type=click.IntRange(min=1), default=16, help="Messages an operator has at once (16)."
)
@click.option("--crawls/--no-crawls", default=True, help="Serve crawls too (yes).")
@click.option("--max-memory", type=Size(), metavar="SIZE", help="A process beyond it is replaced: 400MiB.")
@click.option(
    "--lease",
    type=click.FloatRange(min=1),
    default=30.0,
    metavar="SECONDS",
    help="After this others take over from a process that died (30).",
)
@click.option(
    "--grace",
    type=click.FloatRange(min=0),
    default=25.0,
    metavar="SECONDS",
    help="How long what is under way may go on once the worker is told to stop (25).",
)
@click.option("--http", metavar="HOST:PORT", help="Serve /healthz, /readyz and /metrics there.")
@click.option("--log-format", type=click.Choice(FORMATS), default=TEXT, help="Lines of text, or of JSON.")
@click.pass_context
def worker(
    ctx: click.Context,
    targets: tuple[str, ...],
    engine: str | None,
    embedded: bool,
    state_dir: Path,
    processes: int | None,
    concurrency: int,
    messages: int,
    crawls: bool,
    max_memory: int | None,
    lease: float,
    grace: float,
    http: str | None,
    log_format: str,
) -> None:
    """Work on the crawls of a broker, and on the messages of operators, until told to stop.

    A TARGET is an operator, as module:Class on the topic of its name, or as TOPIC=module:Class. The first Ctrl-C or
    SIGTERM drains: what is under way ends and is committed, the rest is handed back to the broker. The second ends at
    once. Nothing is lost either way.

    \b
    Exit codes:
      0    stopped and drained
      1    a fault
      2    a wrong option, setting, engine or operator
      130  ended at once

    \b
    Examples:
      airless worker --engine redis://localhost
      airless worker --engine redis://localhost greet.py:Greet imports=shop.operators:Import -n 4
      airless worker --engine nats://localhost --max-memory 400MiB --http :8080 --log-format json
      airless worker --embedded
    """
    config = Config.from_env(os.environ)
    write_logs(config.log_level, log_format)
    if embedded:
        engine = engine or EMBEDDED_ENGINE
    elif engine is None:
        raise ConfigError("a worker needs a broker: --engine redis://HOST, or --embedded for one of its own")
    operators = tuple(map(_named, targets))
    if not crawls and not operators:
        raise ConfigError("with --no-crawls there is nothing to do without a TARGET")
    duty = Duty(
        engine_url=engine,
        operators=operators,
        crawls=crawls,
        concurrency=concurrency,
        messages=messages,
        lease_s=lease,
        grace_s=grace,
        log_level=logging.getLevelNamesMapping()[config.log_level],
        log_format=log_format,
    )
    try:
        folder = state_dir.resolve() if embedded else None
        asyncio.run(_run(duty, config, processes or _processors(), max_memory, http, folder))
    except asyncio.CancelledError:
        ctx.exit(_INTERRUPTED)


async def _run(
    duty: Duty,
    config: Config,
    processes: int,
    max_memory: int | None,
    http: str | None,
    folder: Path | None,
) -> None:
    crew = Crew(duty, processes, max_memory_bytes=max_memory)
    topics = [config.topic(topic) for topic, _ in duty.operators]
    async with AsyncExitStack() as stack:
        if folder is not None:
            from airless.worker.embedded import embedded

            await stack.enter_async_context(embedded(duty.engine_url, folder))
            logger.info("the broker is here, on %s", duty.engine_url)
        if http is not None:
            from airless.worker.health import health_served

            metrics = _metrics(crew, duty, topics, stack)
            port = await stack.enter_async_context(health_served(crew, http, metrics))
            logger.info("health on port %d", port)
        served = [*(["crawls"] if duty.crawls else []), *topics]
        serving = f"{processes} processes serve {', '.join(served)}"
        telling = asyncio.create_task(_tell(crew, duty.engine_url, serving))
        try:
            with on_stop(lambda: _drain(crew)):
                await crew.run()
        finally:
            telling.cancel()
    logger.info("drained")


async def _tell(crew: Crew, url: str, serving: str) -> None:
    """Say that all processes serve, once they do; and that the broker doesn't answer, where it is that."""
    with told_of_silence(url, logger.warning, after_s=_SILENT_S):
        await crew.ready.wait()
    logger.info("%s", serving)


def _drain(crew: Crew) -> None:
    logger.info("draining: what is under way ends, the rest is handed back; a second signal ends it at once")
    crew.stop()


def _metrics(
    crew: Crew, duty: Duty, topics: Sequence[str], stack: AsyncExitStack
) -> Callable[[], Awaitable[bytes]] | None:
    """What ``/metrics`` answers; None where the extra isn't there."""
    try:
        from airless.worker.metrics import Metrics
    except ModuleNotFoundError as error:
        if error.name != "prometheus_client":
            raise
        return None
    metrics = Metrics(crew, duty.engine_url, topics, crawls=duty.crawls)
    stack.push_async_callback(metrics.aclose)
    return metrics


def _named(target: str) -> tuple[str, str]:
    """Topic and target of an argument. Raises ConfigError where it is no operator."""
    topic, separator, named = target.partition("=")
    kind = load_target(named if separator else target, Operator)  # type: ignore[type-abstract]
    return (topic, named) if separator else (default_topic(kind), target)


def _processors() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
