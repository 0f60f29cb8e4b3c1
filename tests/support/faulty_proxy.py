"""A proxy on loopback that loses, cuts and falsifies the answers of the server behind it, as networks and clouds do.

    with ministack(log) as endpoint, FaultyProxy(endpoint, some(0.05)) as proxy:
        engine = await open_engine(f"aws://us-east-1?bucket=b&endpoint={proxy.url}")

A plan says of each request what befalls it, or None. It is called in the proxy's thread, in the order in which
requests arrive. `injected` counts the faults that were, `served` all requests by method and operation, and
`sent_bytes` are those of the bodies that went to the client.
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector, hdrs, web
from multidict import CIMultiDict
from support.loopback import Loopback
from yarl import URL


class Fault(Enum):
    """What may befall a request. After the last three the server has done what it was asked for."""

    LOSE_REQUEST = "the connection breaks before the server has seen anything"
    REFUSE = "503 SlowDown, the server has seen nothing"
    LOSE_ANSWER = "the connection breaks when the server has answered"
    CUT_ANSWER = "the connection breaks in the middle of the answer"
    FAIL_AFTER = "the server's answer is replaced by 500 InternalError"


FAULTS: Final = tuple(Fault)
# What belongs to a connection, and what is told of the body that is sent on.
_HOP: Final = {
    hdrs.CONNECTION,
    hdrs.CONTENT_LENGTH,
    hdrs.DATE,
    hdrs.EXPECT,
    hdrs.KEEP_ALIVE,
    hdrs.SERVER,
    hdrs.TRANSFER_ENCODING,
}


@dataclass(frozen=True, slots=True)
class Request:
    """A request as a plan sees it. `operation` is SQS's (and other JSON services') name for it, "" for S3."""

    method: str
    path: str
    operation: str
    headers: CIMultiDict[str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of the plan's own; the server sees nothing."""

    status: int
    body: bytes = b""


Plan = Callable[[Request], Fault | Answer | None]


def some(
    share: float,
    *,
    faults: Sequence[Fault] = FAULTS,
    seed: int = 1,
    only: Callable[[Request], bool] | None = None,
) -> Plan:
    """One of `faults` befalls this share of the requests (of those that `only` names), at random."""
    rng = random.Random(seed)

    def plan(request: Request) -> Fault | None:
        if only is not None and not only(request):
            return None
        return rng.choice(faults) if rng.random() < share else None

    return plan


def first(fault: Fault | Answer, times: int = 1, *, only: Callable[[Request], bool] | None = None) -> Plan:
    """The fault befalls the first so many requests (of those that `only` names), and no other."""
    left = times

    def plan(request: Request) -> Fault | Answer | None:
        nonlocal left
        if not left or (only is not None and not only(request)):
            return None
        left -= 1
        return fault

    return plan


def s3_error(status: int, code: str) -> Answer:
    """An error in S3's words."""
    body = (
        f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>injected</Message></Error>'
    )
    return Answer(status, body.encode())


class FaultyProxy(Loopback):
    """Forwards to `target` what its plan lets through. `plan` may be exchanged at any time.

    `in_turn` lets one request at a time through to the server: for servers that check and write in two steps.
    """

    def __init__(self, target: str, plan: Plan | None = None, *, in_turn: bool = False) -> None:
        super().__init__(web.route("*", "/{path:.*}", self._answer))
        self.plan = plan
        self.injected: Counter[str] = Counter()
        self.served: Counter[str] = Counter()
        self.sent_bytes = 0
        self._target = target
        self._turn = asyncio.Semaphore(1 if in_turn else 10_000)

    @property
    def url(self) -> str:
        return self.origin

    async def _serve(self, listener: socket.socket) -> None:
        async with ClientSession(
            connector=TCPConnector(limit=0),
            timeout=ClientTimeout(total=None),
            cookie_jar=DummyCookieJar(),
            auto_decompress=False,
        ) as self._session:
            await super()._serve(listener)

    async def _answer(self, received: web.Request) -> web.StreamResponse:
        request = Request(
            received.method,
            received.raw_path,
            received.headers.get("X-Amz-Target", "").rpartition(".")[2],
            CIMultiDict(received.headers),
            await received.content.read(),  # not read(), which takes no more than a mebibyte
        )
        self.served[f"{request.method} {request.operation}".strip()] += 1
        fault = self.plan(request) if self.plan is not None else None
        if fault is not None:
            self.injected[fault.name if isinstance(fault, Fault) else str(fault.status)] += 1
        if isinstance(fault, Answer):
            return web.Response(status=fault.status, body=fault.body)
        if fault is Fault.LOSE_REQUEST:
            return _broken(received)
        if fault is Fault.REFUSE:
            return _error(request, 503, "SlowDown")
        status, headers, body = await self._forward(request)
        if fault is Fault.LOSE_ANSWER or (fault is Fault.CUT_ANSWER and not body):
            return _broken(received)
        if fault is Fault.FAIL_AFTER:
            return _error(request, 500, "InternalError")
        answer = web.StreamResponse(status=status, headers=headers)
        await answer.prepare(received)
        if fault is Fault.CUT_ANSWER:
            await answer.write(body[: len(body) // 2])
            return _broken(received, answer)
        if body:
            self.sent_bytes += len(body)
            await answer.write(body)
        await answer.write_eof()
        return answer

    async def _forward(self, request: Request) -> tuple[int, CIMultiDict[str], bytes]:
        headers = CIMultiDict((name, value) for name, value in request.headers.items() if name not in _HOP)
        url = URL(self._target + request.path, encoded=True)
        async with (
            self._turn,
            self._session.request(
                request.method, url, headers=headers, data=request.body, allow_redirects=False
            ) as answer,
        ):
            body = await answer.read()
            kept = CIMultiDict((name, value) for name, value in answer.headers.items() if name not in _HOP)
            if request.method != "HEAD" and answer.status not in (204, 304):
                kept[hdrs.CONTENT_LENGTH] = str(len(body))
            return answer.status, kept, body


def _broken(received: web.Request, answer: web.StreamResponse | None = None) -> web.StreamResponse:
    """End the connection; what was written before still arrives."""
    assert received.transport is not None
    received.transport.close()
    return answer or web.StreamResponse()


def _error(request: Request, status: int, code: str) -> web.Response:
    """An error in the words of the service that was asked."""
    if request.operation:
        return web.json_response({"__type": f"com.amazonaws#{code}", "message": "injected"}, status=status)
    answer = s3_error(status, code)
    return web.Response(status=answer.status, body=answer.body)
