"""Operators that the tests deploy: each leaves behind what it was given."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import Any

from airless.core.errors import PermanentError, RetryableError
from airless.operators import EventOperator, FileOperator, HttpOperator, HttpRequest


class Keeping(EventOperator):
    """Keeps its data as an object, and fails as it is told."""

    async def execute(self, data: dict[str, Any], topic: str) -> None:
        if data.get("fail") == "now":
            raise PermanentError("poison")
        if data.get("fail") == "later":
            raise RetryableError("not yet")
        if "sleep" in data:
            await asyncio.sleep(data["sleep"])
        self.put(f"kept/{self.message_id}", f"{topic} {data.get('n')} {os.getpid()}".encode())


class Files(FileOperator):
    def execute(self, bucket: str, filepath: str) -> None:
        self.put(f"files/{bucket}/{filepath}", b"came")


class Web(HttpOperator):
    async def execute(self, request: HttpRequest) -> Any:
        match request.path:
            case "/publish":
                self.publish("orders", request.json())
                return None
            case "/fail":
                raise ValueError("a secret")
            case "/slow":
                await asyncio.sleep(60)
            case "/bytes":
                return b"\xff\x00"
        return {
            "method": request.method,
            "query": dict(request.query),
            "headers": dict(request.headers),
            "body": request.body.decode("latin-1"),
        }


class Imports(HttpOperator):
    """Tells what was imported before it was asked for the first time."""

    def execute(self, request: HttpRequest) -> Any:
        return {"before": sorted(sys.modules)}


IMPORTED_AT = time.time()
