"""SQLite's errors as ours: the one place where they are translated.

Source: sqlite.org/rescode.html.
"""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

from airless.core.errors import (
    AirlessError,
    ConfigError,
    EngineError,
    Locked,
    MessageError,
    MessageTooLarge,
    StorageFull,
)

_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FULL = frozenset(
    {
        sqlite3.SQLITE_IOERR_WRITE,
        sqlite3.SQLITE_IOERR_FSYNC,
        sqlite3.SQLITE_IOERR_DIR_FSYNC,
        sqlite3.SQLITE_IOERR_TRUNCATE,
        sqlite3.SQLITE_IOERR_SHMSIZE,
        sqlite3.SQLITE_IOERR_SHMMAP,
    }
)


def translate(error: Exception, path: Path) -> AirlessError:
    """What an exception from sqlite3, or from the value it was given, means to who called."""
    if isinstance(error, OverflowError | UnicodeEncodeError):
        return MessageError(f"a value that can't be stored: {error}")
    if isinstance(error, OSError):
        return _of_file(error, path)
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return EngineError(f"{path}: {error}")
    primary = code & 0xFF
    if primary == sqlite3.SQLITE_FULL or code in _FULL:
        return StorageFull(
            f"{path}: no room to write ({error}); free some and run it again, nothing was applied"
        )
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return Locked(f"{path}: another process has kept it locked for longer than busy_timeout_s")
    if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return EngineError(
            f"{path} is damaged or no SQLite database ({error}); restore it from a backup, "
            f"or move it away to begin with an empty one"
        )
    if primary in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        return ConfigError(f"{path} can't be opened for writing: {error}")
    if primary == sqlite3.SQLITE_TOOBIG:
        return MessageTooLarge(f"a value is larger than SQLite takes: {error}")
    return EngineError(f"{path}: {error}")


def _of_file(error: OSError, path: Path) -> AirlessError:
    if error.errno in _NO_SPACE:
        return StorageFull(f"{path}: no room to write ({error}); free some and run it again")
    return ConfigError(f"{path} can't be opened for writing: {error}")
