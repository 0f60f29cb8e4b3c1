"""Answers on one inbox, each given to whoever waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from nats.aio.msg import Msg

_STATUS = "Status"


def status_of(message: Msg) -> int:
    """The status that the server gives instead of an answer; 0 in an answer."""
    text = (message.headers or {}).get(_STATUS, "")
    return int(text) if text.isdigit() else 0


@dataclass(slots=True)
class Waiting:
    """What is awaited: one answer, or as many as come before a status or up to `most`."""

    done: asyncio.Future[list[Msg]]
    most: int
    got: list[Msg] = field(default_factory=list)

    async def feed(self, message: Msg) -> None:
        if self.done.done():
            return
        self.got.append(message)
        if len(self.got) >= self.most or status_of(message):
            self.done.set_result(self.got)


class Replies:
    """Who waits for what. Tokens are never used twice."""

    def __init__(self, inbox: str) -> None:
        self.inbox = inbox
        self._number = 0
        self._waiting: dict[str, Waiting] = {}

    def expect(self, most: int) -> tuple[str, Waiting]:
        """A subject to answer on, and what comes there."""
        self._number += 1
        token = str(self._number)
        done: asyncio.Future[list[Msg]] = asyncio.get_running_loop().create_future()
        waiting = self._waiting[token] = Waiting(done, most)
        done.add_done_callback(lambda _: self._waiting.pop(token, None))
        return f"{self.inbox}.{token}", waiting

    async def arrived(self, message: Msg) -> None:
        waiting = self._waiting.get(message.subject.rpartition(".")[2])
        if waiting is not None:
            await waiting.feed(message)

    def fail(self, error: Callable[[], Exception]) -> None:
        """Nobody answers any more what was asked so far."""
        for waiting in list(self._waiting.values()):
            if not waiting.done.done():
                waiting.done.set_exception(error())
