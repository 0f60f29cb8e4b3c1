"""The emulators of clouds that ``.ci/emulators`` installs, each started where a test asks."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / ".emulators"
HOST = "127.0.0.1"
REGION = "us-east-1"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": REGION}
_STARTS_WITHIN_S = 30.0


@contextmanager
def ministack(log: Path, environment: Mapping[str, str] | None = None) -> Iterator[str]:
    """All of AWS that is needed here: its endpoint."""
    port = _free_port()
    env = {"BIND_HOST": HOST, "MINISTACK_HOST": HOST, "GATEWAY_PORT": str(port), "MINISTACK_REGION": REGION}
    command = _command("ministack/bin/ministack")
    with _started(command, {**env, **(environment or {})}, log, f"http://{HOST}:{port}/_ministack/health"):
        yield f"http://{HOST}:{port}"


@contextmanager
def fauxqs(log: Path) -> Iterator[str]:
    """SQS (and a little S3) by other hands: its endpoint."""
    port = _free_port()
    (folder,) = _command("node_modules/fauxqs")
    command = ["node", str(Path(__file__).with_name("fauxqs_on_loopback.mjs")), folder, str(port)]
    with _started(command, {}, log, f"http://{HOST}:{port}/health"):
        yield f"http://{HOST}:{port}"


@contextmanager
def moto(log: Path) -> Iterator[str]:
    """S3 by other hands: its endpoint. Not for queues, on which it takes quadratic time."""
    port = _free_port()
    command = [*_command("moto/bin/moto_server"), "-H", HOST, "-p", str(port)]
    with _started(command, {}, log, f"http://{HOST}:{port}/moto-api/data.json"):
        yield f"http://{HOST}:{port}"


def _command(path: str) -> list[str]:
    """Skips the test where the emulator isn't installed."""
    if not (FOLDER / path).exists():
        pytest.skip(f"{path} is not installed: run .ci/emulators")
    return [str(FOLDER / path)]


@contextmanager
def _started(command: Sequence[str], env: Mapping[str, str], log: Path, health: str) -> Iterator[None]:
    """Run a server until the block ends; it and its children are gone then."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            env={**os.environ, **CREDENTIALS, **env},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _await_health(process, health, log)
            yield
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _await_health(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    until = time.monotonic() + _STARTS_WITHIN_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - loopback
                return
        except OSError:
            if process.poll() is not None or time.monotonic() > until:
                raise AssertionError(f"{url} did not come up: {log.read_text()[-2_000:]}") from None
            time.sleep(0.05)


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
