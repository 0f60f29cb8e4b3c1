"""AWS Lambda's Runtime API on loopback: the real runtime client asks it for events, and a test hands them out.

What it answers and takes: "Using the Lambda runtime API for custom runtimes", AWS Lambda Developer Guide.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web
from support.loopback import Loopback

ARN = "arn:aws:lambda:us-east-1:000000000000:function:airless"
_SOURCE = Path(__file__).resolve().parents[2]
_ROOT = "/2018-06-01/runtime"
_LONGEST_S = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the function gave for an event: a result, or an error with its type. `seconds` is what is billed."""

    result: Any
    error: Mapping[str, Any] | None
    seconds: float


@dataclass(slots=True)
class _Invocation:
    event: Any
    timeout_s: float
    answer: Future[Answer]
    began_s: float = 0.0


class RuntimeApi(Loopback):
    """Hands events to the one process that asks for them, one after the other."""

    def __init__(self) -> None:
        super().__init__(
            web.get(f"{_ROOT}/invocation/next", self._next),
            web.post(_ROOT + "/invocation/{id}/response", self._response),
            web.post(_ROOT + "/invocation/{id}/error", self._error),
            web.post(f"{_ROOT}/init/error", self._init_error),
        )
        self.init_error: Mapping[str, Any] | None = None
        self._waiting: asyncio.Queue[_Invocation] = asyncio.Queue()
        self._under_way: dict[str, _Invocation] = {}

    def invoke(self, event: Any, *, timeout_s: float = 30.0) -> Answer:
        """Have the function work on an event, for which it has `timeout_s`; its answer."""
        return self.begin(event, timeout_s=timeout_s).result(timeout=_LONGEST_S)

    def begin(self, event: Any, *, timeout_s: float = 30.0) -> Future[Answer]:
        invocation = _Invocation(event, timeout_s, Future())
        self._loop.call_soon_threadsafe(self._waiting.put_nowait, invocation)
        return invocation.answer

    async def _next(self, request: web.Request) -> web.Response:
        invocation = await self._waiting.get()
        id = str(uuid.uuid4())
        self._under_way[id] = invocation
        invocation.began_s = time.monotonic()
        return web.Response(
            body=json.dumps(invocation.event).encode(),
            # The client decodes what is of exactly this type.
            headers={
                "Content-Type": "application/json",
                "Lambda-Runtime-Aws-Request-Id": id,
                "Lambda-Runtime-Deadline-Ms": str(int((time.time() + invocation.timeout_s) * 1_000)),
                "Lambda-Runtime-Invoked-Function-Arn": ARN,
                "Lambda-Runtime-Trace-Id": "Root=1-00000000-000000000000000000000000",
            },
        )

    async def _response(self, request: web.Request) -> web.Response:
        return self._ended(request, json.loads(await request.read() or b"null"), None)

    async def _error(self, request: web.Request) -> web.Response:
        return self._ended(request, None, json.loads(await request.read()))

    async def _init_error(self, request: web.Request) -> web.Response:
        self.init_error = json.loads(await request.read())
        return web.json_response({"status": "OK"}, status=202)

    def _ended(self, request: web.Request, result: Any, error: Mapping[str, Any] | None) -> web.Response:
        invocation = self._under_way.pop(request.match_info["id"])
        seconds = time.monotonic() - invocation.began_s
        invocation.answer.set_result(Answer(result, error, seconds))
        return web.json_response({"status": "OK"}, status=202)


@contextmanager
def function(
    folder: Path, environment: Mapping[str, str], handler: str = "airless.functions.aws_lambda.handler"
) -> Iterator[RuntimeApi]:
    """A process of the function under the real runtime client; its output is in ``function.log`` in `folder`."""
    with RuntimeApi() as api, (folder / "function.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "awslambdaric", handler],
            cwd=folder,
            env={
                **os.environ,
                "PYTHONPATH": f"{_SOURCE}:{_SOURCE / 'tests'}",
                "PYTHONDONTWRITEBYTECODE": "1",
                "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{api.port}",
                "AWS_LAMBDA_FUNCTION_NAME": "airless",
                "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
                **environment,
            },
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield api
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
