"""A crawl's progress: a live line on a terminal, otherwise a plain line now and then."""

from __future__ import annotations

import sys
import time
from collections import deque
from types import TracebackType
from typing import Protocol, Self

import click

from airless.crawl.settings import Limits
from airless.local.crawl.run import Progress

_PLAIN_S = 10.0
_WINDOW_S = 5.0


class Display(Protocol):
    """Shows progress; a context manager, so that the terminal is left as it was."""

    def update(self, progress: Progress) -> None: ...

    def say(self, text: str) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def make_display(limits: Limits, *, quiet: bool) -> Display:
    """Live on a terminal, plain elsewhere, silent if asked."""
    if quiet:
        return Silent()
    return Live(limits) if sys.stderr.isatty() else Plain(limits)


class Rate:
    """Pages a second over the last few seconds."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def of(self, progress: Progress) -> float:
        samples = self._samples
        samples.append((progress.seconds, progress.counts.fetched))
        # Who follows a crawl of others looks less often than that: two readings make a rate.
        while len(samples) > 2 and samples[-1][0] - samples[0][0] > _WINDOW_S:
            samples.popleft()
        seconds = samples[-1][0] - samples[0][0]
        return (samples[-1][1] - samples[0][1]) / seconds if seconds > 0 else 0.0


def line(progress: Progress, rate: float, limits: Limits) -> str:
    """One line that says how it goes."""
    counts = progress.counts
    parts = [
        f"{counts.fetched:,} pages",
        f"{rate:,.1f}/s",
        f"{max(0, counts.waiting - progress.in_flight):,} queued",
        *([f"{progress.in_flight:,} of {progress.limit:,} in flight"] if progress.limit else []),
        f"{counts.failed:,} failed",
        *([f"{progress.hosts:,} hosts"] if progress.limit else _held_back(progress.hosts)),
    ]
    left_s = _left_s(progress, rate, limits)
    if left_s is not None:
        parts.append(f"{_clock(left_s)} left")
    return ", ".join(parts)


def _held_back(hosts: int) -> list[str]:
    """Of a crawl of others only those hosts are known that have to be waited for."""
    return [f"{hosts:,} hosts to wait for"] if hosts else []


class Silent:
    """Shows nothing."""

    def update(self, progress: Progress) -> None:
        return

    def say(self, text: str) -> None:
        return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return


class Plain(Silent):
    """A line now and then, for logs."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._rate = Rate()
        self._next = time.monotonic() + _PLAIN_S

    def update(self, progress: Progress) -> None:
        rate = self._rate.of(progress)
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _PLAIN_S
            click.echo(f"[{_clock(progress.seconds)}] {line(progress, rate, self._limits)}", err=True)

    def say(self, text: str) -> None:
        click.echo(text, err=True)


class Live:
    """A line that changes in place."""

    def __init__(self, limits: Limits) -> None:
        from rich.console import Console
        from rich.live import Live as RichLive
        from rich.spinner import Spinner

        self._limits = limits
        self._rate = Rate()
        self._spinner = Spinner("dots", "starting")
        self._console = Console(stderr=True)
        self._live = RichLive(self._spinner, console=self._console, refresh_per_second=5, transient=True)

    def update(self, progress: Progress) -> None:
        rate = self._rate.of(progress)
        text = f"{_clock(progress.seconds)}  {line(progress, rate, self._limits)}"
        self._spinner.update(text=text)

    def say(self, text: str) -> None:
        self._console.print(text)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)


def _left_s(progress: Progress, rate: float, limits: Limits) -> float | None:
    """Seconds to the nearer limit; None where there is none to go by."""
    left: list[float] = []
    if limits.pages is not None and rate > 0:
        left.append(min(limits.pages - progress.counts.fetched, max(progress.counts.waiting, 0)) / rate)
    if limits.time_s is not None:
        left.append(limits.time_s - progress.seconds)
    return max(0.0, min(left)) if left else None


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes:02d}:{rest:02d}"
