"""Who is alive: each consumer holds a lock on a file of its own, which the system takes from it when it dies.

The lock (flock(2)) is had before the consumer's first lease can be seen, and an id is never used twice. So
an owner of leases whose file is gone, or can be locked, is dead and stays dead: freeing them needs no care.
"""

from __future__ import annotations

import fcntl
import os
import uuid
from collections.abc import Iterable
from pathlib import Path


class Consumers:
    """The lock files next to a database, and the one that is ours. Blocking; raises OSError."""

    def __init__(self, database: Path) -> None:
        self._folder = database.with_name(database.name + ".consumers")
        self._descriptor: int | None = None
        self.id = uuid.uuid4().hex

    def register(self) -> None:
        """Hold our file, and remove those that the dead have left."""
        self._folder.mkdir(exist_ok=True)
        while True:
            descriptor = os.open(self._file(self.id), os.O_RDWR | os.O_CREAT, 0o644)
            if _lock(descriptor) and self._is_current(descriptor, self.id):
                break
            os.close(descriptor)  # a sweeper was quicker than our lock, and removes the file
        self._descriptor = descriptor
        for file in self._folder.glob("*.lock"):
            self._bury(file.stem)

    def dead(self, ids: Iterable[str]) -> list[str]:
        """Those of these consumers that live no longer."""
        return [id for id in ids if id != self.id and self._bury(id)]

    def leave(self) -> None:
        if self._descriptor is not None:
            self._file(self.id).unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = None

    def _bury(self, id: str) -> bool:
        """Whether a consumer is dead; its file is then removed."""
        if id == self.id:
            return False
        try:
            descriptor = os.open(self._file(id), os.O_RDWR)
        except FileNotFoundError:
            return True
        try:
            if not _lock(descriptor):
                return False
            self._file(id).unlink(missing_ok=True)
            return True
        finally:
            os.close(descriptor)

    def _is_current(self, descriptor: int, id: str) -> bool:
        try:
            there = os.stat(self._file(id))
        except FileNotFoundError:
            return False
        return os.path.samestat(there, os.fstat(descriptor))

    def _file(self, id: str) -> Path:
        return self._folder / f"{id}.lock"


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
