"""The spider of the backlog: it starts from more URLs than anybody wants in memory."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from typing import Any

from airless import Http, Request, Response, Settings, Spider
from benchmarks.backlog.pages import url

REQUESTS, HOSTS, PORT = "BACKLOG_REQUESTS", "BACKLOG_HOSTS", "BACKLOG_PORT"
"""The environment of whoever publishes; workers need nothing of it."""


class Backlog(Spider):
    """Visits pages by the million, and follows their links."""

    settings = Settings(http=Http(allow_private=True))

    async def start(self) -> AsyncIterator[Request]:
        requests, hosts, port = (int(os.environ[name]) for name in (REQUESTS, HOSTS, PORT))
        for page in range(requests):
            yield Request(url(page, hosts, port))

    async def parse(self, response: Response) -> Any:
        yield {"url": response.url, "title": response.title}
        yield response.follow_all()
