"""State and objects in SQL. What writes is called inside a transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

from airless.core.errors import Conflict
from airless.core.ports import StateWrite, Versioned


def load(connection: sqlite3.Connection, key: str) -> Versioned | None:
    row = connection.execute("SELECT version, data FROM state WHERE key = ?", (key,)).fetchone()
    return Versioned(str(row[0]), row[1]) if row else None


def write(connection: sqlite3.Connection, writes: Sequence[StateWrite]) -> tuple[str, ...]:
    """The new versions. Raises Conflict."""
    return tuple(_write(connection, write) for write in writes)


def _write(connection: sqlite3.Connection, write: StateWrite) -> str:
    if write.expected is None:
        done = connection.execute(
            "INSERT INTO state (key, version, data) VALUES (?, 1, ?) ON CONFLICT (key) DO NOTHING",
            (write.key, write.data),
        )
        version = 1
    else:
        version = _number(write.expected) + 1
        done = connection.execute(
            "UPDATE state SET version = ?, data = ? WHERE key = ? AND version = ?",
            (version, write.data, write.key, version - 1),
        )
    if done.rowcount != 1:
        raise Conflict(write.key)
    return str(version)


def _number(version: str) -> int:
    """The version that we gave out; 0, which none has, for what we did not."""
    return int(version) if version.isascii() and version.isdecimal() and len(version) < 19 else 0


def keys(connection: sqlite3.Connection, start: str, limit: int) -> list[str]:
    rows = connection.execute("SELECT key FROM state WHERE key >= ? ORDER BY key LIMIT ?", (start, limit))
    return [row[0] for row in rows]


def put(connection: sqlite3.Connection, objects: Mapping[str, bytes]) -> None:
    connection.executemany(
        "INSERT INTO objects (name, data) VALUES (?, ?)"
        " ON CONFLICT (name) DO UPDATE SET data = excluded.data",
        objects.items(),
    )


def put_if_absent(connection: sqlite3.Connection, name: str, data: bytes) -> bool:
    done = connection.execute(
        "INSERT INTO objects (name, data) VALUES (?, ?) ON CONFLICT (name) DO NOTHING", (name, data)
    )
    return done.rowcount == 1


def get(connection: sqlite3.Connection, name: str) -> bytes | None:
    row = connection.execute("SELECT data FROM objects WHERE name = ?", (name,)).fetchone()
    return row[0] if row else None


def delete(connection: sqlite3.Connection, names: Sequence[str]) -> None:
    connection.executemany("DELETE FROM objects WHERE name = ?", [(name,) for name in names])


def names(connection: sqlite3.Connection, start: str, limit: int) -> list[str]:
    rows = connection.execute(
        "SELECT name FROM objects WHERE name >= ? ORDER BY name LIMIT ?", (start, limit)
    )
    return [row[0] for row in rows]
