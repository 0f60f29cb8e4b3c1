"""Operators and spiders that the tests of workers run."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from typing import Any

from airless import Follow, Response, Spider
from airless.core.errors import PermanentError
from airless.operators import EventOperator


class Keeping(EventOperator):
    """Keeps its data as an object, and fails or dies as it is told."""

    async def execute(self, data: dict[str, Any], topic: str) -> None:
        if data.get("fail"):
            raise PermanentError("poison")
        if data.get("die"):
            os._exit(9)
        self.put(f"kept/{self.message_id}", f"{topic} {data.get('n')} {os.getpid()}".encode())


class Dying(Spider):
    """Follows links, and dies of page 13."""

    async def parse(self, response: Response) -> AsyncIterator[dict[str, Any] | Follow]:
        if response.url.endswith("/13.html"):
            os._exit(9)
        yield {"url": response.url}
        yield response.follow_all()
