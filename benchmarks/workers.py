"""An ``airless worker`` as benchmarks run it: started on a broker, waited for, and its processes told."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_START_S = 30.0
_LOOK_S = 0.02


@contextmanager
def at_work(url: str, processes: int, folder: Path) -> Iterator[list[int]]:
    """Inside, a worker serves the broker at `url`: the process ids below it. Its log goes into `folder`.

    Raises RuntimeError where it doesn't come up. In the end it drains, or is killed where that takes too long.
    """
    command = [sys.executable, "-m", "airless", "worker", "--engine", url, "-n", str(processes)]
    file = folder / "log.worker"
    with file.open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        _await_readiness(file, processes)
        yield below(process.pid)
    finally:
        process.terminate()
        try:
            process.wait(_START_S)
        except subprocess.TimeoutExpired:
            process.terminate()  # a second signal ends it at once
            process.wait(_START_S)


def below(pid: int) -> list[int]:
    """The processes that a process has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _await_readiness(log: Path, processes: int) -> None:
    until_s = time.monotonic() + _START_S
    while f"{processes} processes serve" not in log.read_text():
        if time.monotonic() > until_s:
            raise RuntimeError(f"no worker came up: {log.read_text()[-2_000:]}")
        time.sleep(_LOOK_S)
    # The last of them may be about to connect.
    time.sleep(1.0)
