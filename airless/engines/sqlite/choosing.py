"""What a consumer may have next, and what waits. Everything here only reads.

Lists come out as one JSON value: see `publishing` on what a row costs.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Any

from airless.core.ports import Depth


def anything(connection: sqlite3.Connection, topic: str, now: float) -> bool:
    """Whether a lease is worth a transaction."""
    row = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM messages WHERE topic = ?1 AND stage = 0)"
        " OR EXISTS (SELECT 1 FROM messages WHERE topic = ?1 AND stage = 1 AND visible_at <= ?2)"
        " OR EXISTS (SELECT 1 FROM messages WHERE topic = ?1 AND stage = 2 AND lease_until <= ?2)",
        (topic, now),
    )
    return bool(row.fetchone()[0])


def next_change(connection: sqlite3.Connection, topic: str) -> float | None:
    """When the next message becomes visible by the passing of time; None if none will."""
    row = connection.execute(
        "SELECT (SELECT min(visible_at) FROM messages WHERE topic = ?1 AND stage = 1),"
        " (SELECT min(lease_until) FROM messages WHERE topic = ?1 AND stage = 2)",
        (topic,),
    ).fetchone()
    return min((at for at in row if at is not None), default=None)


_ORDER = "ORDER BY priority DESC, visible_at, place"

# Of the lanes, only the `limit` with the best heads can hold one of the `limit` best messages.
_CHOOSE_BY_LANE = f"""
WITH best (key) AS MATERIALIZED (
    SELECT lane.value FROM json_each(?2) AS lane CROSS JOIN messages AS head ON head.seq = (
        SELECT seq FROM messages WHERE topic = ?1 AND stage = 0 AND key = lane.value {_ORDER} LIMIT 1)
    ORDER BY head.priority DESC, head.visible_at, head.place LIMIT ?3),
chosen (seq, priority, visible_at, place) AS (
    SELECT m.seq, m.priority, m.visible_at, m.place FROM best CROSS JOIN messages AS m ON m.seq IN (
        SELECT seq FROM messages WHERE topic = ?1 AND stage = 0 AND key = best.key {_ORDER} LIMIT ?3)
    UNION ALL
    SELECT * FROM (
        SELECT seq, priority, visible_at, place FROM messages
        WHERE ?4 AND topic = ?1 AND stage = 0 AND key IS NULL {_ORDER} LIMIT ?3))
SELECT json_group_array(seq) FROM (SELECT seq FROM chosen {_ORDER} LIMIT ?3)
"""  # noqa: S608
_CHOOSE = f"""
SELECT json_group_array(seq) FROM (SELECT seq FROM messages WHERE topic = ?1 AND stage = 0 {_ORDER} LIMIT ?2)
"""  # noqa: S608
# One seek for each distinct key, however many messages it has.
_LANES = """
WITH RECURSIVE lane (key) AS (
    SELECT min(key) FROM messages WHERE topic = ?1 AND stage = 0 AND key IS NOT NULL
    UNION ALL
    SELECT (SELECT min(key) FROM messages
        WHERE topic = ?1 AND stage = 0 AND key IS NOT NULL AND key > lane.key)
    FROM lane WHERE lane.key IS NOT NULL)
SELECT json_group_array(key) FROM lane WHERE key IS NOT NULL
"""
_FOREIGN = (
    "SELECT json_group_array(DISTINCT key) FROM messages"
    " WHERE topic = ?1 AND stage = 2 AND key IS NOT NULL AND lease_owner <> ?2 AND lease_until > ?3"
)


def choose(
    connection: sqlite3.Connection,
    topic: str,
    consumer: str,
    limit: int,
    keys: Sequence[str] | None,
    now: float,
) -> list[int]:
    """The messages that this consumer may have next, by their row."""
    foreign = _list(connection, _FOREIGN, (topic, consumer, now))
    if keys is None and not foreign:
        return _list(connection, _CHOOSE, (topic, limit))
    lanes = _list(connection, _LANES, (topic,)) if keys is None else dict.fromkeys(keys)
    held = set(foreign)
    allowed = json.dumps([key for key in lanes if key not in held])
    return _list(connection, _CHOOSE_BY_LANE, (topic, allowed, limit, keys is None))


def _list(connection: sqlite3.Connection, sql: str, values: tuple[object, ...]) -> list[Any]:
    found: list[Any] = json.loads(connection.execute(sql, values).fetchone()[0])
    return found


def depth(connection: sqlite3.Connection, topic: str, now: float) -> Depth:
    """What waits on a topic."""
    messages, weight, delayed, leased = connection.execute(
        "SELECT coalesce(sum(messages), 0), coalesce(sum(weight), 0),"
        " (SELECT count(*) FROM messages WHERE topic = ?1 AND stage = 1 AND visible_at > ?2),"
        " (SELECT count(*) FROM messages WHERE topic = ?1 AND stage = 2 AND lease_until > ?2)"
        " FROM topics WHERE topic = ?1",
        (topic, now),
    ).fetchone()
    return Depth(ready=messages - delayed - leased, delayed=delayed, leased=leased, weight=weight)
