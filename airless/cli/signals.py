"""Ctrl-C and SIGTERM, as commands take them: the first has the work end in order, the second cuts it off."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_STOPPING = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def on_stop(stop: Callable[[], object]) -> Iterator[None]:
    """Inside, the first of these signals calls `stop`, each after it cancels the task that entered this."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    told = False

    def stop_or_cut_off() -> None:
        nonlocal told
        if told and task is not None:
            task.cancel()
        elif not told:
            told = True
            stop()

    for number in _STOPPING:
        loop.add_signal_handler(number, stop_or_cut_off)
    try:
        yield
    finally:
        for number in _STOPPING:
            loop.remove_signal_handler(number)
