"""``airless run``: an operator on the messages of a topic, on this machine."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from contextlib import aclosing
from typing import NoReturn

import click

from airless.cli.send import DEFAULT_ENGINE
from airless.cli.signals import on_stop
from airless.core.config import Config
from airless.core.errors import ConfigError
from airless.core.outcome import Again, Dead, Done, Ended
from airless.core.targets import load_target
from airless.engines import open_engine
from airless.local.loop import run_operator
from airless.operators.operator import Operator, default_topic

_INTERRUPTED = 130


@click.command()
@click.argument("target", metavar="MODULE:OPERATOR", envvar="OPERATOR_IMPORT")
@click.option("--topic", metavar="TOPIC", help="The topic; by default the class's name: Greet on greet.")
@click.option("--engine", default=DEFAULT_ENGINE, envvar="AIRLESS_ENGINE", metavar="URL", help="Where from.")
@click.option("--concurrency", type=click.IntRange(min=1), default=16, help="Messages at once (16).")
@click.option("--until-idle", is_flag=True, help="End when no message waits any more, now or later.")
@click.pass_context
def run(
    ctx: click.Context, target: str, topic: str | None, engine: str, concurrency: int, until_idle: bool
) -> None:
    """Run an operator on the messages of a topic, and the error operator beside it. One line a message.

    The first Ctrl-C ends it when what runs is finished; the second at once. Nothing is lost either way.

    \b
    Exit codes:
      0    stopped, or idle with every message done
      1    a fault; with --until-idle also if a message was given up
      2    a wrong option or setting
      130  interrupted before it was idle, or twice

    \b
    Examples:
      airless run greet.py:Greet
      airless run shop.operators:Import --topic imports --concurrency 64
      airless run greet.py --until-idle
      airless run airless.operators:RedirectOperator --topic redirect
    """
    config = Config.from_env(os.environ)
    logging.basicConfig(level=config.log_level, format="%(levelname)s %(name)s: %(message)s")
    kind = load_target(target, Operator)  # type: ignore[type-abstract]  # subclasses are asked for
    try:
        operator = kind()
    except TypeError as error:
        raise ConfigError(f"{target} can't be made without arguments: {error}") from error
    name = topic or default_topic(kind)
    try:
        counts, interrupted = asyncio.run(_run(engine, name, operator, config, concurrency, until_idle))
    except asyncio.CancelledError:
        _end_at_once()
    click.echo(", ".join(f"{count:,} {end}" for end, count in sorted(counts.items())) or "no messages")
    if until_idle and interrupted:
        ctx.exit(_INTERRUPTED)
    if until_idle and counts.get("dead"):
        ctx.exit(1)


def _end_at_once() -> NoReturn:
    """End the process although a plain ``execute`` may still run: its thread can't be stopped, only left."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(_INTERRUPTED)


def line(end: Ended) -> str:
    """A message's end as one line."""
    place = f"{end.delivery.topic} {end.delivery.id} {end.elapsed_s * 1000:.0f} ms"
    head = f"{time.strftime('%H:%M:%S')} {{}} {place}"
    match end.outcome:
        case Done(effects):
            published = f", {len(effects.publish):,} published" if effects.publish else ""
            return head.format("done") + published
        case Again(delay_s, charge, reason):
            word = "again" if charge else "back"
            return head.format(word) + f", in {delay_s:.1f} s: {_one_line(reason)}"
        case Dead(error):
            return head.format("dead") + f": {_one_line(error)}"
    return head.format("lost")


def _one_line(text: str) -> str:
    return text.partition("\n")[0]


async def _run(
    url: str, topic: str, operator: Operator, config: Config, concurrency: int, until_idle: bool
) -> tuple[dict[str, int], bool]:
    stop = asyncio.Event()
    async with aclosing(await open_engine(url)) as engine:
        with on_stop(stop.set):
            counts = await run_operator(
                engine,
                topic,
                operator,
                config=config,
                concurrency=concurrency,
                stop=stop,
                until_idle=until_idle,
                observe=lambda end: click.echo(line(end)),
            )
    return counts, stop.is_set()
