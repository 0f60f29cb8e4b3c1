"""A worker's process: it serves its duty, tells its parent how it stands, and obeys it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
from dataclasses import dataclass
from multiprocessing.connection import Connection

from airless.core.errors import AirlessError, ConfigError, EngineError
from airless.local.crawl.worker import STOPPING, share_interpreter
from airless.worker.duty import Duty
from airless.worker.logs import write_logs
from airless.worker.tally import Standing
from airless.worker.worker import Worker

REPORT_S = 0.5


@dataclass(frozen=True, slots=True)
class Report:
    """That its loop turns, and how it stands; None while it waits for its engine."""

    standing: Standing | None


@dataclass(frozen=True, slots=True)
class Farewell:
    """The last word of a process: it has done what it was told, or what kept it from that."""

    error: str | None = None
    misused: bool = False

    def raised(self) -> AirlessError | None:
        """The error as the parent raises it."""
        if self.error is None:
            return None
        return ConfigError(self.error) if self.misused else EngineError(self.error)


def child_main(duty: Duty, connection: Connection) -> None:
    """The entry of a process of its own. It ends when it is told to, or when its parent is gone."""
    # What was imported lives as long as the process does: no collection need look at it.
    gc.freeze()
    gc.set_threshold(10_000)  # hundreds of pages are worked on side by side, and are no garbage either
    share_interpreter()
    # Terminals and supervisors signal the whole group: the parent alone answers, and tells this one.
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
    write_logs(duty.log_level, duty.log_format)
    asyncio.run(_serve(duty, connection))


async def _serve(duty: Duty, connection: Connection) -> None:
    farewell = Farewell()
    loop = asyncio.get_running_loop()
    try:
        worker = Worker(duty, os.environ)
        loop.add_reader(connection.fileno(), _obey, connection, worker)
        reporting = asyncio.create_task(_report(connection, worker))
        try:
            await worker.run()
        finally:
            reporting.cancel()
            loop.remove_reader(connection.fileno())
        _send(connection, Report(worker.standing()))
    except AirlessError as fault:
        farewell = Farewell(f"{fault}", isinstance(fault, ConfigError))
    _send(connection, farewell)


async def _report(connection: Connection, worker: Worker) -> None:
    while True:
        _send(connection, Report(worker.standing()))
        await asyncio.sleep(REPORT_S)


def _send(connection: Connection, said: Report | Farewell) -> None:
    with contextlib.suppress(OSError):  # nobody is there to hear it
        connection.send(said)


def _obey(connection: Connection, worker: Worker) -> None:
    """Any word means to stop; and without its parent nobody would ever tell it to."""
    try:
        connection.recv()
    except (EOFError, OSError):
        asyncio.get_running_loop().remove_reader(connection.fileno())
    worker.stop()
