"""A file that grows at its end, and that can be cut back to any length it was durable at."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Mapping
from hashlib import blake2b
from pathlib import Path
from threading import RLock
from typing import Any, BinaryIO

from airless.local.outputs.faults import changed, told
from airless.local.outputs.place import beside, claim, resolve, sync_directory

_TAIL_BYTES = 4096


class AppendFile:
    """Opened at once, changed only after `cut`. That somebody else writes to it meanwhile is found out.

    Raises ConfigError for a place that can't be a file, OutputError for one that refuses to be written.
    """

    def __init__(self, path: Path) -> None:
        self.name = path
        self.length = 0
        # A task that is cancelled leaves its thread writing: closing has to wait, or the descriptor's number
        # could be another file's by then.
        self._lock = RLock()
        self._path = resolve(path)
        with told(path):
            self._descriptor, self._made = claim(self._path)
        self._named = False

    def head(self, reader: Callable[[BinaryIO], bytes]) -> bytes:
        """What `reader` reads from the beginning of the file."""
        with self._lock:
            self._follow()
            with told(self.name), self._path.open("rb") as file:
                return reader(file)

    def state(self) -> dict[str, Any]:
        """What `cut` needs to come back here: the length, and a digest of the last bytes before it."""
        with self._lock:
            return {"length": self.length, "tail": self._tail(self.length)}

    def cut(self, state: Mapping[str, Any], *, ending: bytes = b"") -> None:
        """Drop what was written after `state`, which is one of `state()`; ``tail`` may be left out.

        What stays has this ending. Raises OutputError, with the file untouched, where it is not the one that
        was written.
        """
        with self._lock:
            self._follow()
            length, tail = state.get("length"), state.get("tail")
            if not isinstance(length, int) or length < 0:
                raise changed(self.name, "the length recorded for it can't be read")
            with told(self.name):
                size = os.fstat(self._descriptor).st_size
            if size < length:
                made = self._made
                self.abort()
                if made:
                    raise changed(self.name, f"it is gone, and {length} bytes had been written to it")
                raise changed(self.name, f"it has {size} bytes, and {length} had been written to it")
            if (tail is not None and tail != self._tail(length)) or self._last(length, len(ending)) != ending:
                raise changed(
                    self.name, f"its first {length} bytes are not those that had been written to it"
                )
            with told(self.name):
                os.ftruncate(self._descriptor, length)
                beside(self._path).unlink(missing_ok=True)
            self.length = length

    def append(self, data: bytes) -> None:
        """Write at the end. Where that fails, what was written of it is taken back if the disk lets us."""
        with self._lock:
            self._undisturbed()
            try:
                with told(self.name):
                    done = 0
                    while done < len(data):
                        done += os.pwrite(self._descriptor, memoryview(data)[done:], self.length + done)
            except BaseException:
                # `cut` repairs what this can't; the fault that is already on its way is the one to tell.
                with contextlib.suppress(OSError):
                    os.ftruncate(self._descriptor, self.length)
                raise
            self.length += len(data)

    def sync(self) -> None:
        """What was appended is durable when this returns."""
        with self._lock:
            self._undisturbed()
            with told(self.name):
                os.fsync(self._descriptor)
                if not self._named:
                    sync_directory(self._path.parent)
                    self._named = True

    def replace(self, rewrite: Callable[[BinaryIO, BinaryIO], None]) -> None:
        """Put in the file's place, in one durable step, what `rewrite` makes of it (first to second)."""
        with self._lock:
            self._undisturbed()
            part = beside(self._path)
            try:
                with told(self.name):
                    part.unlink(missing_ok=True)
                    with self._path.open("rb") as old, part.open("xb") as new:
                        shutil.copymode(self._path, part)
                        rewrite(old, new)
                        new.flush()
                        os.fsync(new.fileno())
                    os.rename(part, self._path)
                    descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
            except BaseException:
                with contextlib.suppress(OSError):  # as above
                    part.unlink(missing_ok=True)
                raise
            os.close(self._descriptor)
            self._descriptor = descriptor
            with told(self.name):
                self.length = os.fstat(descriptor).st_size
                sync_directory(self._path.parent)

    def close(self) -> None:
        with self._lock:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1

    def abort(self) -> None:
        """Close; a file that opening had made, and that is still empty, is taken away."""
        with self._lock:
            if self._descriptor >= 0 and self._made:
                with contextlib.suppress(OSError):  # an empty file left behind harms nobody
                    if self._is_there() and not os.fstat(self._descriptor).st_size:
                        self._path.unlink()
            self.close()

    def _follow(self) -> None:
        """Open the file that bears the name now, if that is another one than before."""
        with told(self.name):
            if self._descriptor < 0 or not self._is_there():
                self.close()
                self._descriptor, self._made = claim(self._path)
                self._named = False

    def _is_there(self) -> bool:
        try:
            return os.path.samestat(os.stat(self._path), os.fstat(self._descriptor))
        except FileNotFoundError:
            return False

    def _undisturbed(self) -> None:
        # Items in a file that was removed, or in between those of another writer, would be lost silently.
        with told(self.name):
            if not self._is_there():
                raise changed(self.name, "it was removed or replaced while the crawl was writing to it")
            size = os.fstat(self._descriptor).st_size
        if size != self.length:
            raise changed(
                self.name, f"it should have {self.length} bytes and has {size}: somebody else writes to it"
            )

    def _tail(self, length: int) -> str:
        return blake2b(self._last(length, _TAIL_BYTES), digest_size=8).hexdigest()

    def _last(self, length: int, count: int) -> bytes:
        """Up to `count` bytes before `length`."""
        start = max(0, length - count)
        with told(self.name):
            return os.pread(self._descriptor, length - start, start)
