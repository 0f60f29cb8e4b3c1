"""The tables, and how a connection to them is made."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from airless.core.errors import ConfigError
from airless.engines.sqlite.options import SqliteOptions
from airless.engines.sqlite.transactions import transaction

VERSION = 1
APPLICATION_ID = 0x41524C53

# Two of a message's stages; the third, 2, is leased.
READY, DELAYED = 0, 1

# The change to WAL is refused at once, without the busy timeout, while another process opens the file too.
_AGAIN_S = 0.01

# A row of `messages` changes several times in its life, its body never does: so bodies have their own table
# and aren't rewritten with the row. `place` orders what became visible at the same instant. `topics` keeps
# count, so that a topic's depth needs no reading of what waits.
_TABLES = """
CREATE TABLE messages (
    seq INTEGER PRIMARY KEY,
    topic TEXT NOT NULL,
    id TEXT NOT NULL,
    key TEXT,
    priority INTEGER NOT NULL,
    weight INTEGER NOT NULL,
    visible_at REAL NOT NULL,
    place INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    stage INTEGER NOT NULL,
    lease_until REAL,
    lease_owner TEXT,
    receipt TEXT
) STRICT;
CREATE UNIQUE INDEX messages_id ON messages (topic, id);
CREATE INDEX messages_ready ON messages (topic, priority DESC, visible_at, place) WHERE stage = 0;
CREATE INDEX messages_lane ON messages (topic, key, priority DESC, visible_at, place)
    WHERE stage = 0 AND key IS NOT NULL;
CREATE INDEX messages_delayed ON messages (topic, visible_at) WHERE stage = 1;
CREATE INDEX messages_leased ON messages (topic, lease_until, lease_owner, key) WHERE stage = 2;
CREATE TABLE topics (topic TEXT PRIMARY KEY, messages INTEGER NOT NULL, weight INTEGER NOT NULL) STRICT;
CREATE TABLE bodies (seq INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
CREATE TABLE state (key TEXT PRIMARY KEY, version INTEGER NOT NULL, data BLOB NOT NULL) STRICT;
CREATE TABLE objects (name TEXT PRIMARY KEY, data BLOB NOT NULL) STRICT;
"""


def connect(options: SqliteOptions) -> sqlite3.Connection:
    """A connection ready for work; parent directories and tables are made where they are missing.

    Raises ConfigError where the file is not ours or of a later version, OSError and sqlite3.Error.
    """
    options.path.parent.mkdir(parents=True, exist_ok=True)
    deadline_s = time.monotonic() + options.busy_timeout_s
    while True:
        connection = sqlite3.connect(options.path, timeout=options.busy_timeout_s, isolation_level=None)
        try:
            _prepare(connection, options)
            return connection
        except sqlite3.OperationalError as error:
            connection.close()
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline_s:
                raise
            time.sleep(_AGAIN_S)
        except BaseException:
            connection.close()
            raise


def _prepare(connection: sqlite3.Connection, options: SqliteOptions) -> None:
    connection.execute("PRAGMA mmap_size = 0")
    connection.execute("PRAGMA temp_store = memory")
    connection.execute("PRAGMA cache_size = -8000")
    connection.execute(f"PRAGMA synchronous = {options.synchronous}")
    with transaction(connection, write=False):
        empty = _is_empty(connection, options.path)
    if empty:
        # It counts for a file that has nothing in it yet. What a commit writes are mostly long rows.
        connection.execute("PRAGMA page_size = 16384")
        with transaction(connection):  # of several that open a new file at once, one makes the tables
            if _is_empty(connection, options.path):
                _make(connection)
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        connection.execute("PRAGMA journal_mode = wal")


def _make(connection: sqlite3.Connection) -> None:
    for statement in _TABLES.split(";"):
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {VERSION}")


def _is_empty(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether the file is still empty. Raises ConfigError where it isn't, and isn't ours to use.

    Inside a transaction, since another process may just be making the tables.
    """
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if not (application or version or tables):
        return True
    if application != APPLICATION_ID:
        raise ConfigError(f"{path} is a database of something else; name another file")
    if version > VERSION:
        raise ConfigError(
            f"{path} was written by a later version of airless (its tables are of version {version}, "
            f"this one knows {VERSION}): upgrade airless, or name another file"
        )
    return False
