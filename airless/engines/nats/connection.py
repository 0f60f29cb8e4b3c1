"""The connection to the server: made when it is first needed, made anew when it breaks.

What is asked is asked again until an answer comes or the time is over, so that whatever is asked here must bear it:
messages with ids, writes that name the revision before them, deletions.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

import nats
import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from airless.core.clock import Clock
from airless.core.errors import EngineError
from airless.core.heeding import heeded
from airless.engines.nats.asking import Ask, said, seconds_of, window
from airless.engines.nats.dialing import dialled
from airless.engines.nats.faults import OTHER_CONFIG, Refused
from airless.engines.nats.options import NatsOptions
from airless.engines.nats.replies import Replies, status_of
from airless.engines.nats.streams import Names, configs

T = TypeVar("T")

# So long an answer may take before it is asked for again.
_ANSWER_S = 5.0
_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 1.0
_NO_RESPONDERS = 503


class Broken(Exception):
    """The answer won't come: the connection broke, or nobody was there to answer."""


_PASSING = (Broken, nats.errors.Error, OSError, TimeoutError)


class Connection:
    """One consumer's connection, shared by its queue, state and objects."""

    def __init__(self, options: NatsOptions, clock: Clock) -> None:
        self.options = options
        self.names = Names(options.prefix)
        self.clock = clock
        self.skew_s = 0.0
        """What the server's clock is ahead of ours."""
        self.breaks = 0
        """How often it broke and came back: what was said to all meanwhile wasn't heard."""
        self._client: Client | None = None
        self._replies: Replies | None = None
        self._connecting = asyncio.Lock()
        self._up = asyncio.Event()
        self._made = False
        self._closed = False
        self._rng = random.Random()  # noqa: S311 - no secret

    def check_open(self) -> None:
        if self._closed:
            raise EngineError("this engine is closed")

    @property
    def max_payload(self) -> int:
        return self._client.max_payload if self._client is not None else 0

    async def ready(self) -> None:
        """Return when there is a connection, and the streams are there."""
        await self._until_answered(self._ready, "connecting")

    async def ask(self, doing: str, asked: Ask) -> list[Msg]:
        """The answers to one thing. Raises EngineError where none comes in time."""
        return (await self.ask_all(doing, [asked]))[0]

    async def ask_all(self, doing: str, asked: Sequence[Ask]) -> list[list[Msg]]:
        """The answers to many things, sent in their order without waiting for one another, in that order."""
        answers: dict[int, list[Msg]] = {}

        async def some(answer_s: float) -> None:
            left = [at for at in range(len(asked)) if at not in answers]
            while left:
                most = window([asked[at] for at in left])
                part, left = left[:most], left[most:]
                await self._ready(answer_s)
                await self._send([(at, asked[at]) for at in part], answers, answer_s)

        await self._until_answered(some, doing)
        return [answers[at] for at in range(len(asked))]

    async def api(self, doing: str, call: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The answer of the JetStream API. Raises Refused where it is an error that stays."""

        async def once(answer_s: float) -> dict[str, Any]:
            await self._ready(answer_s)
            return await self._api(call, body, answer_s)

        return await self._until_answered(once, doing)

    async def tell(self, subject: str, data: bytes = b"") -> None:
        """Send something that nobody needs to get; it doesn't come back to us."""
        if self._client is not None and self._client.is_connected:
            await self._client.publish(subject, data)

    async def subscribe(self, subject: str, call: Callable[[Msg], Awaitable[None]]) -> None:
        await self.ready()
        client, _ = self._link()
        await client.subscribe(subject, cb=call)

    async def aclose(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._client is not None:
            await self._client.close()
        if self._replies is not None:
            self._replies.fail(lambda: Broken("the engine was closed"))

    async def _until_answered(self, call: Callable[[float], Awaitable[T]], doing: str) -> T:
        """Call until it answers, with pauses that grow. Raises EngineError when the option `timeout` is over."""
        until, pause_s = self.clock.monotonic() + self.options.timeout_s, _PAUSE_S
        while True:
            self.check_open()
            left_s = max(0.1, until - self.clock.monotonic())
            try:
                return await heeded(call(min(_ANSWER_S, left_s)))
            except Refused as refused:
                if not refused.passes:
                    raise
                error: Exception = refused
            except _PASSING as passing:
                error = passing
            if self.clock.monotonic() >= until:
                reason = str(error) or type(error).__name__
                raise EngineError(f"{doing} failed on {self.options.server}: {reason}") from error
            await self.clock.sleep(pause_s * self._rng.uniform(0.5, 1.0))
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    async def _ready(self, answer_s: float) -> None:
        if self._client is not None and self._made and self._client.is_connected:
            return
        async with self._connecting:
            if self._client is None:
                await self._connect()
            await asyncio.wait_for(self._up.wait(), answer_s)
            if not self._made:
                await self._make(answer_s)

    async def _connect(self) -> None:
        client = await dialled(self.options, broke=self._broke, back=self._back)
        self._replies = Replies(client.new_inbox())
        await client.subscribe(
            f"{self._replies.inbox}.*", cb=self._replies.arrived, pending_msgs_limit=0, pending_bytes_limit=0
        )
        self._client = client
        self._up.set()

    async def _make(self, answer_s: float) -> None:
        """Make the streams that are missing; and see what time it is at the server."""
        for config in configs(self.names):
            try:
                before = self.clock.now()
                made = await self._api(f"STREAM.CREATE.{config['name']}", config, answer_s)
            except Refused as error:
                if error.passes:
                    raise
                if error.code != OTHER_CONFIG:
                    raise error.translated(f"making the stream {config['name']}") from error
                made = await self._api(f"STREAM.INFO.{config['name']}", None, answer_s)
            self.skew_s = seconds_of(made["ts"]) - (before + self.clock.now()) / 2
        self._made = True

    async def _api(self, call: str, body: Mapping[str, Any] | None, answer_s: float) -> dict[str, Any]:
        answers: dict[int, list[Msg]] = {}
        payload = b"" if body is None else orjson.dumps(body)
        await self._send([(0, Ask(f"$JS.API.{call}", payload))], answers, answer_s)
        return said(answers[0][0])

    async def _send(
        self, asked: Sequence[tuple[int, Ask]], answers: dict[int, list[Msg]], answer_s: float
    ) -> None:
        """Send and await; what has been answered is in `answers` also when it raises."""
        client, replies = self._link()
        waiting: dict[int, asyncio.Future[list[Msg]]] = {}
        inboxes: list[Subscription] = []
        try:
            for at, ask in asked:
                if not client.is_connected:
                    raise Broken("the connection broke")
                reply, expected = replies.expect(ask.most)
                waiting[at] = expected.done
                if ask.named:
                    reply = client.new_inbox()
                    inboxes.append(await client.subscribe(reply, cb=expected.feed))
                headers = dict(ask.headers) if ask.headers else None
                await client.publish(ask.subject, ask.payload, reply=reply, headers=headers)
            await asyncio.wait(waiting.values(), timeout=answer_s)
            if silent := [at for at, ask in asked if not waiting[at].done() and ask.or_silence]:
                await client.flush(max(1, int(answer_s)))
                for at in silent:
                    if not waiting[at].done():
                        waiting[at].set_result([])
            for done in waiting.values():
                if not done.done():
                    raise TimeoutError("no answer came")
                done.result()
        finally:
            for inbox in inboxes:
                if client.is_connected:
                    await inbox.unsubscribe()
            nobody = False
            for at, ask in asked[: len(waiting)]:
                done = waiting[at]
                if not done.done():
                    done.cancel()
                elif not done.cancelled() and done.exception() is None:
                    got = done.result()
                    if got and status_of(got[-1]) == _NO_RESPONDERS and not ask.or_nobody:
                        nobody = True
                    else:
                        answers[at] = got
        if nobody:
            self._made = False
            raise Broken("JetStream doesn't answer there; is it enabled?")

    def _link(self) -> tuple[Client, Replies]:
        if self._client is None or self._replies is None:
            raise Broken("there is no connection")
        return self._client, self._replies

    async def _broke(self) -> None:
        self._up.clear()
        if self._replies is not None:
            self._replies.fail(lambda: Broken("the connection broke"))

    async def _back(self) -> None:
        self.breaks += 1
        self._up.set()
