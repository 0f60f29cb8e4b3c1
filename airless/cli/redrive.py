"""``airless redrive``: what was given up, with its errors, and the way back for it."""

from __future__ import annotations

import asyncio
import os
from contextlib import aclosing

import click

from airless.cli.send import DEFAULT_ENGINE
from airless.core.config import Config
from airless.core.errors import ConfigError
from airless.core.ports import DeadLetter, DeadLetters
from airless.engines import open_engine

_MOST = 100


@click.command()
@click.argument("topic")
@click.option("--list", "listed", is_flag=True, help="Only tell what was given up, and why; it stays there.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help=f"With --list: N at most ({_MOST}).")
@click.option("--engine", default=DEFAULT_ENGINE, envvar="AIRLESS_ENGINE", metavar="URL", help="Of which.")
def redrive(topic: str, listed: bool, limit: int | None, engine: str) -> None:
    """Publish again what was given up on TOPIC, its tries counted from the start.

    A message whose tries are spent, or whose error says that to try again can't help, waits in the topic's
    dead-letter queue. Look why with --list, mend the operator, deploy it, and bring the messages back.

    \b
    Exit codes:
      0    done, also where nothing was given up
      1    a fault; what had come back by then is back, and the same command goes on
      2    a wrong option, or an engine that keeps no dead letters

    \b
    Examples:
      airless redrive orders --engine 'aws://eu-west-1?bucket=shop' --list
      airless redrive orders --engine 'aws://eu-west-1?bucket=shop'
    """
    if limit is not None and not listed:
        raise click.UsageError("--limit goes with --list: everything is brought back")
    name = Config.from_env(os.environ).topic(topic)
    if not listed:
        click.echo(brought_back(asyncio.run(_redrive(engine, name)), name))
        return
    most = limit or _MOST
    letters = asyncio.run(_letters(engine, name, most + 1))
    for letter in letters[:most]:
        click.echo(line(letter))
    if not letters:
        click.echo(f"nothing was given up on {name}")
    if len(letters) > most:
        click.echo(f"and more: these are the first {most:,}", err=True)


def line(letter: DeadLetter) -> str:
    """A dead letter as one line."""
    key = "" if letter.ordering_key is None else f" (key {letter.ordering_key})"
    error = (
        letter.error.partition("\n")[0] or "no error is known: its consumers died, or somebody put it there"
    )
    return f"{letter.id}{key}: {error}"


def brought_back(count: int, topic: str) -> str:
    if not count:
        return f"nothing was given up on {topic}"
    return f"{count:,} {'message' if count == 1 else 'messages'} came back on {topic}"


async def _redrive(url: str, topic: str) -> int:
    async with aclosing(await open_engine(url)) as engine:
        return await keeping(engine.queue, url).redrive(topic)


async def _letters(url: str, topic: str, most: int) -> list[DeadLetter]:
    async with aclosing(await open_engine(url)) as engine:
        return await keeping(engine.queue, url).letters(topic, limit=most)


def keeping(queue: object, url: str) -> DeadLetters:
    """The queue, if it keeps dead letters. Raises ConfigError."""
    if isinstance(queue, DeadLetters):
        return queue
    raise ConfigError(
        f"the engine {url.partition(':')[0]} keeps no dead letters: it reports what is given up on the topic error, "
        "data and all, from where it can be sent again"
    )
