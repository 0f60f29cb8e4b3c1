"""Between a client and an emulator of SQS: what is asked is noted, and single entries fail as a test says."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web
from support.loopback import Loopback


@dataclass(frozen=True)
class Asked:
    """One request, as it came."""

    operation: str
    data: dict[str, Any]
    body: bytes

    @property
    def entries(self) -> list[dict[str, Any]]:
        return list(self.data.get("Entries", ()))


Fails = Callable[[Asked, dict[str, Any]], str | None]


class SqsProxy(Loopback):
    """Passes requests on to `upstream`. An entry for which `fails` names an error code never gets there."""

    def __init__(self, upstream: str, fails: Fails | None = None, *, sender_fault: bool = False) -> None:
        super().__init__(web.post("/{path:.*}", self._pass))
        self.asked: list[Asked] = []
        self._upstream = upstream
        self._fails = fails or (lambda asked, entry: None)
        self._sender_fault = sender_fault

    def of(self, operation: str) -> list[Asked]:
        return [asked for asked in self.asked if asked.operation == operation]

    async def _pass(self, request: web.Request) -> web.Response:
        body = await request.read()
        operation = request.headers.get("X-Amz-Target", "").rpartition(".")[2]
        asked = Asked(operation, json.loads(body), body)
        self.asked.append(asked)
        codes = {entry["Id"]: self._fails(asked, entry) for entry in asked.entries}
        failed = [
            {"Id": id, "Code": code, "Message": "as the test says", "SenderFault": self._sender_fault}
            for id, code in codes.items()
            if code is not None
        ]
        left = [entry for entry in asked.entries if codes[entry["Id"]] is None]
        if failed and not left:
            return self._answer({"Successful": [], "Failed": failed})
        if failed:
            body = json.dumps({**asked.data, "Entries": left}).encode()
        # The signature is that of another body: emulators don't look.
        names = ("X-Amz-Target", "Content-Type", "Authorization", "X-Amz-Date")
        headers = {name: request.headers[name] for name in names if name in request.headers}
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self._upstream}{request.path}", data=body, headers=headers) as answer,
        ):
            content = await answer.read()
            if failed:
                told = json.loads(content)
                return self._answer({**told, "Failed": [*told.get("Failed", ()), *failed]})
            kept = {
                name: value for name, value in answer.headers.items() if name.lower().startswith("x-amzn")
            }
            return web.Response(
                status=answer.status,
                body=content,
                headers={**kept, "Content-Type": "application/x-amz-json-1.0"},
            )

    @staticmethod
    def _answer(data: dict[str, Any]) -> web.Response:
        return web.Response(body=json.dumps(data).encode(), content_type="application/x-amz-json-1.0")
