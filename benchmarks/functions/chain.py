"""A crawl of pages of which each links to the next: an invocation is one page, one commit, and a message for the next.

The seed takes an invocation more.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterator
from typing import Any, Self

from airless.core.clock import SystemClock
from airless.crawl.job import Job
from airless.crawl.settings import Http, Settings
from airless.engines.aws.engine import AwsEngine
from airless.fleet.begin import begin
from airless.local.crawl.plan import SITE_SPIDER
from benchmarks.cost.mapping import record

from .serving import Quiet, Served

_PATIENCE_S = 10.0


class _Page(Quiet):
    server: _Web

    def do_GET(self) -> None:  # noqa: N802 - http.server's name
        self.server.asked.append((time.monotonic(), self.path))
        if self.path == "/robots.txt":
            self.answer(404, b"", {})
            return
        number = int(self.path.strip("/"))
        body = f'<title>{number}</title><a href="/{number + 1}">next</a>'.encode()
        self.answer(200, body, {"Content-Type": "text/html"})


class _Web(Served):
    def __init__(self) -> None:
        super().__init__(_Page)
        self.asked: list[tuple[float, str]] = []


class Chain:
    """The crawl, begun when it is opened."""

    def __init__(self, loop: asyncio.Runner, engine: str) -> None:
        self._loop = loop
        self._engine = AwsEngine.open(engine)
        self._queue = f"{self._engine.options.prefix}-frontier.fifo"
        self._done: str | None = None
        self._web = _Web()

    def __enter__(self) -> Self:
        self._web.__enter__()
        settings = Settings(http=Http(allow_private=True))
        seeds = (f"http://{self._web.address}/0",)
        job = Job("chain", SITE_SPIDER, seeds, settings, ("127.0.0.1",), shards=1)
        self._layout = self._loop.run(begin(self._engine, job, SystemClock()))[0].layout
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.run(self._engine.aclose())
        self._web.__exit__()

    def events(self) -> Iterator[dict[str, Any]]:
        """The crawl's messages, one a batch; who asks for the next has had the one before worked on."""
        while True:
            message = self._loop.run(self._next())
            yield {"Records": [record(message, f"arn:aws:sqs:us-east-1:000000000000:{self._queue}")]}

    def first_fetch_since(self, time_s: float) -> float:
        """When the first request came since then; nan where none has."""
        return next((asked_s for asked_s, _ in self._web.asked if asked_s >= time_s), math.nan)

    def fetched_since(self, time_s: float) -> list[str]:
        """The paths that were asked for since then."""
        return [path for asked_s, path in self._web.asked if asked_s >= time_s]

    async def _next(self) -> Any:
        """The next message; the one before is deleted, as a mapping does when a function has ended well."""
        sqs = await self._engine.clients.sqs()
        url = (await sqs.get_queue_url(QueueName=self._queue))["QueueUrl"]
        if self._done is not None:
            await sqs.delete_message(QueueUrl=url, ReceiptHandle=self._done)
        until_s = time.monotonic() + _PATIENCE_S
        while time.monotonic() < until_s:
            answer = await sqs.receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=1,
                WaitTimeSeconds=1,
                VisibilityTimeout=120,
                MessageSystemAttributeNames=["All"],
                MessageAttributeNames=["All"],
            )
            if messages := answer.get("Messages"):
                self._done = messages[0]["ReceiptHandle"]
                return messages[0]
        raise RuntimeError("the crawl has come to an end")
