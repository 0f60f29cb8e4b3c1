"""A function's process under AWS's runtime client, and the Runtime API that hands it one event after the other."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from .serving import Quiet, Served

_ROOT = Path(__file__).resolve().parents[2]
# A path of their own: to import this package takes longer than what is measured.
_HANDLERS = Path(__file__).with_name("handlers")
_TIMEOUT_S = 30.0


class _Api(Quiet):
    """The part of Lambda's Runtime API that a runtime client asks."""

    server: _Runtime

    def do_GET(self) -> None:  # noqa: N802 - http.server's name
        runtime = self.server
        runtime.asked.put(time.monotonic())
        event = runtime.events.get()
        if event is None:  # the process is ended
            return
        runtime.began_s = time.monotonic()
        headers = {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": "00000000-0000-0000-0000-000000000000",
            "Lambda-Runtime-Deadline-Ms": str(int((time.time() + _TIMEOUT_S) * 1_000)),
            "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:000000000000:function:airless",
        }
        self.answer(200, json.dumps(event).encode(), headers)

    def do_POST(self) -> None:  # noqa: N802 - http.server's name
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"null")
        seconds = time.monotonic() - self.server.began_s
        failed = self.path.endswith("/error") or body != {"batchItemFailures": []}
        self.server.answers.put((seconds, json.dumps(body) if failed else ""))
        self.answer(202, b"{}", {"Content-Type": "application/json"})


class _Runtime(Served):
    def __init__(self) -> None:
        super().__init__(_Api)
        self.events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.asked: queue.SimpleQueue[float] = queue.SimpleQueue()
        self.answers: queue.SimpleQueue[tuple[float, str]] = queue.SimpleQueue()
        self.began_s = 0.0


class Function:
    """A process from its start to its end; times are of the monotonic clock."""

    def __init__(self, handler: str, environ: Mapping[str, str]) -> None:
        self._runtime = _Runtime()
        self._command = [sys.executable, "-m", "awslambdaric", handler]
        self._environ = {**os.environ, "PYTHONPATH": f"{_ROOT}:{_HANDLERS}", **environ}
        self.ready_after_s = self.started_s = 0.0

    def __enter__(self) -> Self:
        self._runtime.__enter__()
        environ = {**self._environ, "AWS_LAMBDA_RUNTIME_API": self._runtime.address}
        self.started_s = time.monotonic()
        self._process = subprocess.Popen(
            self._command, env=environ, cwd=_ROOT, stdin=subprocess.DEVNULL, start_new_session=True
        )
        return self

    def __exit__(self, *_: object) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._runtime.events.put(None)
        self._runtime.__exit__()

    def await_ready(self) -> None:
        """Until it asks for its first event."""
        self.ready_after_s = self._runtime.asked.get(timeout=_TIMEOUT_S) - self.started_s

    def invoke(self, event: Any) -> float:
        """Have it work on an event; the seconds that are billed. Raises RuntimeError where it fails."""
        self._runtime.events.put(event)
        seconds, fault = self._runtime.answers.get(timeout=_TIMEOUT_S)
        if fault:
            raise RuntimeError(f"the function failed: {fault}")
        return seconds

    def cpu_s(self) -> float:
        """The processor time that it has used, in steps of the system's clock (proc(5))."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
