"""A function's environment: a process that runs the real handler, one event at a time, and says what it used."""

from __future__ import annotations

import asyncio
import importlib
import multiprocessing
import os
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from airless.cost.usage import Usage

from .billing import billed_s, counted

_END_S = 10.0


@dataclass(frozen=True, slots=True)
class Function:
    """A function as it is deployed: ``module:handler``, its size and what its environment says."""

    handler: str
    memory_mb: int
    arch: str
    timeout_s: float
    environ: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the handler returned, or how it failed; `usage` has the invocation in it."""

    value: Any
    fault: str
    usage: Usage


class Context:
    """As Lambda gives it to a handler."""

    def __init__(self, function: Function, number: int, until_s: float) -> None:
        self.function_name = "benchmark"
        self.function_version = "$LATEST"
        self.invoked_function_arn = "arn:aws:lambda:us-east-1:000000000000:function:benchmark"
        self.memory_limit_in_mb = str(function.memory_mb)
        self.aws_request_id = f"{os.getpid()}-{number}"
        self.log_group_name = self.log_stream_name = "benchmark"
        self._until_s = until_s

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self._until_s - time.monotonic()) * 1_000))


class Environment:
    """A process, started when it is made and ended by `close`."""

    def __init__(self, function: Function) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(function, theirs), daemon=True)
        self._process.start()
        theirs.close()

    async def invoke(self, event: Any) -> Answer:
        """Run the handler on an event. Raises EOFError where the process died."""
        return await asyncio.to_thread(self._invoke, event)

    def close(self) -> None:
        self._connection.close()
        self._process.join(_END_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _invoke(self, event: Any) -> Answer:
        self._connection.send(event)
        answer: Answer = self._connection.recv()
        return answer


def _work(function: Function, connection: Connection) -> None:
    """The environment's life: the handler's module imported with the first event, billed as its start."""
    os.environ.update(function.environ)
    module, _, name = function.handler.partition(":")
    number = 0
    with counted() as usage:
        while True:
            try:
                event = connection.recv()
            except EOFError:
                os._exit(0)  # as Lambda ends an environment: nothing in it is told of that
            number += 1
            before = usage.copy()
            began_s, began_cpu_s = time.monotonic(), time.process_time()
            value, fault = None, ""
            try:
                handler = getattr(importlib.import_module(module), name)
                value = handler(event, Context(function, number, began_s + function.timeout_s))
            except Exception:  # a function that fails is billed all the same
                fault = traceback.format_exc()
            wall_s, cpu_s = time.monotonic() - began_s, time.process_time() - began_cpu_s
            used = usage.since(before)
            used.invoke(billed_s(wall_s, cpu_s, function.memory_mb), function.memory_mb, function.arch)
            connection.send(Answer(value, fault, used))
