"""``airless send``: messages on a topic, from the command line or a pipe."""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
import time
from collections.abc import Iterator
from contextlib import aclosing
from typing import Any, BinaryIO

import click
import orjson

from airless.core.config import Config
from airless.core.errors import MessageError
from airless.core.message import Message
from airless.engines import open_engine

DEFAULT_ENGINE = "sqlite:///.airless/airless.db"
_CHUNK = 1_000


@click.command()
@click.argument("topic")
@click.argument("data", metavar="JSON", default="-")
@click.option("--lines", is_flag=True, help="Read one JSON object a line from standard input; send in bulk.")
@click.option("--delay", "delay_s", type=click.FloatRange(min=0), metavar="SECONDS", help="Not before.")
@click.option("--key", metavar="KEY", help="Ordering key: messages of one key run one after the other.")
@click.option(
    "--id", "message_id", metavar="ID", help="The id; sent twice while it waits, it is one message."
)
@click.option("--engine", default=DEFAULT_ENGINE, envvar="AIRLESS_ENGINE", metavar="URL", help="Where to.")
def send(
    topic: str,
    data: str,
    lines: bool,
    delay_s: float | None,
    key: str | None,
    message_id: str | None,
    engine: str,
) -> None:
    """Publish messages on TOPIC. JSON is an object, or - to read it from standard input.

    \b
    Examples:
      airless send greet '{"name": "Ada"}'
      airless send greet '{"name": "Ada"}' --delay 60
      echo '{"name": "Ada"}' | airless send greet -
      airless send greet --lines < names.jsonl
      airless send report '{}' --id report-2026-11-21
    """
    if lines and (data != "-" or message_id is not None):
        raise click.UsageError("--lines reads standard input: it goes with neither JSON nor --id")
    config = Config.from_env(os.environ)
    not_before_s = time.time() + delay_s if delay_s else 0.0
    options: dict[str, Any] = {"not_before_s": not_before_s, "ordering_key": key}
    if lines:
        entries = _entries(sys.stdin.buffer)
        sent = asyncio.run(_publish(engine, (Message(config.topic(topic), e, **options) for e in entries)))
        click.echo(f"sent {sent:,} messages on {config.topic(topic)}")
        return
    text = sys.stdin.buffer.read() if data == "-" else data.encode()
    if message_id is not None:
        options["id"] = message_id
    message = Message(config.topic(topic), _object(text, "the message"), **options)
    asyncio.run(_publish(engine, iter([message])))
    click.echo(message.id)


async def _publish(url: str, messages: Iterator[Message]) -> int:
    """Publish them a chunk at a time, so that a pipe of any length needs the memory of one; their number."""
    sent = 0
    async with aclosing(await open_engine(url)) as engine:
        while chunk := _take(messages, sent):
            await engine.queue.publish_many(chunk)
            sent += len(chunk)
    return sent


def _take(messages: Iterator[Message], sent: int) -> list[Message]:
    try:
        return list(itertools.islice(messages, _CHUNK))
    except MessageError as error:
        raise MessageError(f"{error}; {sent:,} messages from before were sent, the rest was not") from error


def _entries(stream: BinaryIO) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(stream, 1):
        if line.strip():
            yield _object(line, f"line {number}")


def _object(text: bytes, what: str) -> dict[str, Any]:
    try:
        data = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise MessageError(f"{what} is not JSON: {error}") from error
    if not isinstance(data, dict):
        raise MessageError(f"{what} must be a JSON object, not {type(data).__name__}")
    return data
