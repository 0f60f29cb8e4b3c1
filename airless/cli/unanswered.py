"""What a command says of a crawl elsewhere when nothing happens: no broker answers, or nobody works on it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from airless.local.crawl.run import Progress

_ANSWER_S, _WORK_S = 3.0, 10.0

_BROKERS = ("redis", "rediss", "nats", "nats+tls")


@contextmanager
def told_of_silence(url: str, say: Callable[[str], None], *, after_s: float = _ANSWER_S) -> Iterator[None]:
    """Inside, the engine at `url` is asked, on the loop that runs; where that takes long, it is named."""
    parts = urlsplit(url)
    server = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"  # without a password
    start = " Is it running? airless worker --embedded brings one." if parts.scheme == "nats" else ""
    text = f"{server} doesn't answer, and is waited for.{start}"
    handle = asyncio.get_running_loop().call_later(after_s, say, text)
    try:
        yield
    finally:
        handle.cancel()


def told_of_nobody(url: str, say: Callable[[str], None]) -> Callable[[Progress], None]:
    """Shown the progress of a crawl, it says once when nobody works on it."""
    if urlsplit(url).scheme in _BROKERS:
        where = "Is there a worker on this broker? airless worker --engine URL"
    else:
        where = "Is the crawler deployed there?"
    text = f"Nobody has worked on this crawl for {_WORK_S:.0f} s. {where}"
    told = False

    def look(progress: Progress) -> None:
        nonlocal told
        if not told and progress.seconds >= _WORK_S and not progress.counts.discovered:
            told = True
            say(text)

    return look
