"""The parent of a worker's processes: it starts them, hears of them, and starts anew those that died or grew."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import signal
import time
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext, SpawnProcess

from airless.core.errors import AirlessError
from airless.local.crawl.worker import STOPPING
from airless.worker.child import REPORT_S, Farewell, Report, child_main
from airless.worker.duty import Duty
from airless.worker.tally import Tally, summed

logger = logging.getLogger("airless.worker")

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0
# Who lived for so long died of something else than his beginning.
_LIVED_S = 5.0
# After its grace a process commits and says farewell; one that doesn't is stuck.
_STUCK_S = 15.0
_EXIT_POLL_S = 0.01


@dataclass(slots=True)
class Member:
    """A process of the crew, as it was last heard of."""

    connection: Connection
    process: SpawnProcess
    heard_at: float
    report: Report | None = None
    growing: bool = False
    ended: asyncio.Future[Farewell | None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def tell_to_stop(self) -> None:
        with contextlib.suppress(OSError):
            self.connection.send("stop")


class Crew:
    """So many processes on one duty; one that grows beyond `max_memory_bytes` is drained, and another takes its place.

    `restarts` counts those that took another's place, by why. `ready` is set once all of them have had their engine.
    """

    def __init__(self, duty: Duty, processes: int, *, max_memory_bytes: int | None = None) -> None:
        self._context: SpawnContext = multiprocessing.get_context("spawn")
        self._duty = duty
        self._processes = processes
        self._most_bytes = max_memory_bytes
        self._past: list[Tally] = []
        self._stopping = asyncio.Event()
        self.ready = asyncio.Event()
        self.members: dict[int, Member] = {}
        self.restarts: dict[str, int] = {"died": 0, "memory": 0}

    @property
    def processes(self) -> int:
        return self._processes

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()

    def done(self) -> Tally:
        """What all processes have done until now, those that are gone too."""
        reports = [member.report for member in self.members.values()]
        now = [report.standing.done for report in reports if report is not None and report.standing]
        return summed([*self._past, *now])

    def stop(self) -> None:
        """Have all processes end what is under way, and hand the rest back."""
        self._stopping.set()
        for member in self.members.values():
            member.tell_to_stop()

    async def run(self) -> None:
        """Until it was stopped and all are drained. Raises ConfigError where a process can't do its duty."""
        try:
            async with asyncio.TaskGroup() as group:
                for index in range(self._processes):
                    group.create_task(self._keep_running(index))
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from failures
        finally:
            for member in self.members.values():
                if member.process.is_alive():
                    member.process.kill()
                member.process.join()

    async def _keep_running(self, index: int) -> None:
        pause_s = _FIRST_PAUSE_S
        while not self.stopping:
            began = time.monotonic()
            why = await self._run_once(index)
            if self.stopping:
                return
            self.restarts[why] += 1
            if why == "memory":
                continue
            pause_s = _FIRST_PAUSE_S if time.monotonic() - began > _LIVED_S else pause_s
            logger.warning("process %d died; another one is started in %.1f s", index, pause_s)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._stopping.wait()
            pause_s = min(_LONGEST_PAUSE_S, 2 * pause_s)

    async def _run_once(self, index: int) -> str:
        """Start one process and wait for its end; why there should be another."""
        member = self._start()
        self.members[index] = member
        loop = asyncio.get_running_loop()
        loop.add_reader(member.connection.fileno(), self._hear, member)
        watch = asyncio.create_task(self._free_if_stuck(member))
        try:
            if self.stopping:
                member.tell_to_stop()
            farewell = await member.ended
        finally:
            watch.cancel()
            loop.remove_reader(member.connection.fileno())
            member.connection.close()
        # Not by a thread: the end of a process is told once, to whoever asks first.
        while member.process.exitcode is None:  # noqa: ASYNC110 - it sets no event
            await asyncio.sleep(_EXIT_POLL_S)
        del self.members[index]
        member.process.close()
        if member.report is not None and member.report.standing is not None:
            self._past = [summed([*self._past, member.report.standing.done])]
        error: AirlessError | None = None if farewell is None else farewell.raised()
        if farewell is not None and farewell.misused and error is not None:
            raise error
        if error is not None:
            logger.error("a process has ended: %s", error)
        return "memory" if member.growing else "died"

    def _start(self) -> Member:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=child_main, args=(self._duty, theirs), daemon=True)
        # Until it ignores them itself, a Ctrl-C for the whole group would end it in the middle of an import.
        # The tracker comes first, for starting it unblocks them again.
        resource_tracker.ensure_running()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        return Member(ours, process, time.monotonic())

    def _hear(self, member: Member) -> None:
        try:
            said = member.connection.recv()
        except (EOFError, OSError):
            said = None
        if isinstance(said, Report):
            member.heard_at, member.report = time.monotonic(), said
            reports = [one.report for one in self.members.values()]
            if len(reports) == self._processes and all(one is not None and one.standing for one in reports):
                self.ready.set()
            self._look_at_memory(member, said)
        elif not member.ended.done():
            member.ended.set_result(said)

    def _look_at_memory(self, member: Member, report: Report) -> None:
        standing = report.standing
        if standing is None or self._most_bytes is None or member.growing:
            return
        if standing.memory_bytes > self._most_bytes:
            logger.warning(
                "process %s has %d MiB in memory: it is drained, and another one started",
                member.process.pid,
                standing.memory_bytes >> 20,
            )
            member.growing = True
            member.tell_to_stop()

    async def _free_if_stuck(self, member: Member) -> None:
        """End a process that was told to stop and doesn't."""
        while not (self.stopping or member.growing):  # noqa: ASYNC110 - whichever comes first
            await asyncio.sleep(REPORT_S)
        await asyncio.sleep(self._duty.grace_s + _STUCK_S)
        logger.error("process %s does not end, and is killed", member.process.pid)
        member.process.kill()
