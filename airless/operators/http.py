"""Operators of HTTP requests: values in, values out; hosts translate their own."""

from __future__ import annotations

import logging
import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import orjson

from airless.core.clock import Clock, SystemClock
from airless.core.config import Config
from airless.core.errors import PermanentError, RetryableError
from airless.core.failure import error_report, error_text
from airless.core.message import Message
from airless.core.outcome import Effects
from airless.core.ports import Commit, Engine
from airless.operators.context import CURRENT, Context
from airless.operators.operator import Operator

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request as an operator sees it. Header names are lower-case; `query` has the last of a name."""

    method: str = "GET"
    path: str = "/"
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def json(self) -> Any:
        """The body, decoded. Raises PermanentError where it is not JSON."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            raise PermanentError(f"the request's body is not JSON: {error}") from error


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """An answer: bytes, a status and headers with lower-case names."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, value: object) -> HttpResponse:
        """What ``execute`` returned, as an answer: None is 204, text and bytes are the body, else it is JSON.

        A tuple is a value and its status. Raises PermanentError where the value is not JSON.
        """
        match value:
            case HttpResponse():
                return value
            case None:
                return cls(status=204)
            case (inner, int() as status) if isinstance(value, tuple):
                answer = cls.of(inner)
                return cls(answer.body, status, answer.headers)
            case str():
                return cls(value.encode(), 200, {"content-type": "text/plain; charset=utf-8"})
            case bytes():
                return cls(value, 200, {"content-type": "application/octet-stream"})
        try:
            return cls(orjson.dumps(value), 200, {"content-type": "application/json"})
        except TypeError as error:
            raise PermanentError(f"the answer is not JSON: {error}") from error


class HttpOperator(Operator):
    """Runs on each request."""

    input_type: ClassVar[str] = "http"

    @abstractmethod
    def execute(self, request: HttpRequest) -> Any:
        """Answer a request. May be ``async def``, or a plain ``def``, which runs in a thread.

        Return an HttpResponse, or what `HttpResponse.of` makes one of. An exception is reported on the error
        topic and answered with 500; RetryableError with 503.
        """

    async def handle(self, message: Message) -> Any:
        """Answer the request in a message's data: ``{method, path, query, headers, body}``, all optional."""
        data = message.data
        body = data.get("body", "")
        request = HttpRequest(
            method=str(data.get("method", "GET")),
            path=str(data.get("path", "/")),
            query=dict(data.get("query") or {}),
            headers={str(name).lower(): str(value) for name, value in (data.get("headers") or {}).items()},
            body=body.encode() if isinstance(body, str) else orjson.dumps(body),
        )
        return HttpResponse.of(await CURRENT.get().call(self.execute, request))


async def answer(
    operator: HttpOperator,
    request: HttpRequest,
    engine: Engine,
    *,
    config: Config | None = None,
    clock: Clock | None = None,
    request_id: str | None = None,
) -> HttpResponse:
    """Run the operator on a request; when the answer is returned, what it published and wrote is durable.

    A failure is reported on the error topic (without the request's headers, which may hold secrets) and
    answered. Raises what the engine's commit raises, with nothing applied; the host answers that with 500.
    """
    settings, time = config or Config(), clock or SystemClock()
    message = Message(request.path, {})
    context = Context(message if request_id is None else replace(message, id=request_id), settings, time)
    token = CURRENT.set(context)
    try:
        response = HttpResponse.of(await context.call(operator.execute, request))
        effects = context.end()
    except Exception as error:
        context.abandon()
        _log.error("%s %s: %s", request.method, request.path, error_text(error))
        response, effects = _refusal(error), Effects(publish=[_report(context, request, error)])
    finally:
        CURRENT.reset(token)
    if not settings.dry_run:
        await engine.commit(Commit(put=effects.put, publish=effects.publish))
    return response


def _report(context: Context, request: HttpRequest, error: Exception) -> Message:
    data = {
        "method": request.method,
        "path": request.path,
        "query": dict(request.query),
        "body": request.body.decode("utf-8", "replace"),
    }
    now_s, text = context.clock.now(), error_text(error)
    report = error_report(context.message, text, input_type="http", now_s=now_s, data=data)
    return context.message.derive("error", context.config.topic(context.config.error_topic), report)


def _refusal(error: Exception) -> HttpResponse:
    """The answer to a failed request; it says no more than that, for errors may tell secrets."""
    if not isinstance(error, RetryableError):
        return HttpResponse(b'{"error":"internal error"}', 500, {"content-type": "application/json"})
    headers = {"content-type": "application/json"}
    if error.after_s is not None:
        headers["retry-after"] = str(math.ceil(error.after_s))
    return HttpResponse(b'{"error":"try again later"}', 503, headers)
