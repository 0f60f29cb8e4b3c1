"""Messages into their topics. The caller has begun a transaction.

The connection's thread shares the interpreter with a busy event loop, and may have to wait for it at every
statement and row that it steps over: so rows go in many at a time.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

from airless.core.errors import MessageError
from airless.core.message import Message
from airless.engines.sqlite.schema import DELAYED, READY

_CHUNKS = (64, 8, 1)
_INSERT_MESSAGE = (
    "INSERT INTO messages (seq, topic, id, key, priority, weight, visible_at, place, attempt, stage) VALUES "
)
_INSERT_BODY = "INSERT INTO bodies (seq, body) VALUES "


def publish(connection: sqlite3.Connection, items: Sequence[tuple[Message, bytes]], now: float) -> None:
    """Add messages, but those whose id still waits on their topic."""
    taken = _waiting(connection, items)
    seq = connection.execute("SELECT coalesce(max(seq), 0) FROM messages").fetchone()[0]
    rows: list[tuple[Any, ...]] = []
    bodies: list[tuple[Any, ...]] = []
    totals: dict[str, tuple[int, int]] = {}
    for message, body in items:
        identity = (message.topic, message.id)
        if identity in taken:
            continue
        taken.add(identity)
        seq += 1
        key, visible_at = message.ordering_key, max(now, message.not_before_s)
        if key is not None and "\0" in key:
            raise MessageError(f"an ordering key can't hold the character NUL: {key!r}")
        stage = DELAYED if visible_at > now else READY
        rows.append(
            (
                seq,
                message.topic,
                message.id,
                key,
                message.priority,
                message.weight,
                visible_at,
                seq,
                message.attempt,
                stage,
            )
        )
        bodies.append((seq, body))
        count, weight = totals.get(message.topic, (0, 0))
        totals[message.topic] = (count + 1, weight + message.weight)
    connection.executemany(
        "INSERT INTO topics (topic, messages, weight) VALUES (?, ?, ?) ON CONFLICT (topic)"
        " DO UPDATE SET messages = messages + excluded.messages, weight = weight + excluded.weight",
        [(topic, *added) for topic, added in totals.items()],
    )
    _insert(connection, _INSERT_MESSAGE, rows)
    _insert(connection, _INSERT_BODY, bodies)


def _waiting(connection: sqlite3.Connection, items: Sequence[tuple[Message, bytes]]) -> set[tuple[str, str]]:
    ids: dict[str, list[str]] = {}
    for message, _ in items:
        ids.setdefault(message.topic, []).append(message.id)
    found: set[tuple[str, str]] = set()
    for topic, wanted in ids.items():
        for chunk in _chunks(wanted):
            marks = ", ".join("?" * len(chunk))
            sql = f"SELECT id FROM messages WHERE topic = ? AND id IN ({marks})"  # noqa: S608
            found.update((topic, row[0]) for row in connection.execute(sql, (topic, *chunk)))
    return found


def _insert(connection: sqlite3.Connection, sql: str, rows: Sequence[tuple[Any, ...]]) -> None:
    for chunk in _chunks(rows):
        marks = "(" + ", ".join("?" * len(chunk[0])) + ")"
        values = [value for row in chunk for value in row]
        connection.execute(sql + ", ".join([marks] * len(chunk)), values)


def _chunks(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Runs of few different lengths, so that the statements made for them are prepared once."""
    start = 0
    for size in _CHUNKS:
        while len(items) - start >= size:
            yield items[start : start + size]
            start += size
