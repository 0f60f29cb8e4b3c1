"""Lambda's events: which kind one is, and who works on it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import orjson

from airless.core.errors import ConfigError
from airless.core.ports import Delivery
from airless.functions.deadline import Deadline
from airless.functions.host import Host

if TYPE_CHECKING:
    from airless.functions.crawl import Terms

_KNOWN = (
    "a batch of SQS, a notification of S3, a request of a Function URL or API Gateway, or a JSON object as a "
    "message for the operator"
)


class Function:
    """A function's process: it answers one event after the other."""

    def __init__(self, environ: Mapping[str, str], host: Host | None = None) -> None:
        self.host = host or Host(environ, terms=lambda: _terms(environ))
        if environ.get("LOG_LEVEL"):
            # Lambda has put its own handler there, which lets warnings pass alone.
            logging.getLogger().setLevel(self.host.config.log_level)

    async def prepare(self) -> None:
        """As `Host.prepare`."""
        import airless.functions.aws_lambda_sqs  # noqa: F401 - most functions are called with batches

        await self.host.prepare()

    async def answer(self, event: Any, *, left_s: float, request_id: str) -> Any:
        """What Lambda is to be told. Raises ConfigError for an event of no known kind."""
        deadline = Deadline.within(left_s, self.host.clock)
        if not isinstance(event, Mapping):
            raise ConfigError(
                f"an event must be a JSON object, not {type(event).__name__}: it may be {_KNOWN}"
            )
        if isinstance(records := event.get("Records"), list):
            return await self._records(event, records, deadline)
        if "requestContext" in event:
            from airless.functions.aws_lambda_http import request_of, response_of

            request = request_of(event)
            id = event["requestContext"].get("requestId") or request_id
            return response_of(event, await self.host.respond(request, deadline, request_id=id))
        if isinstance(event.get("detail"), Mapping) and "detail-type" in event:
            # EventBridge, "Events: structure": whoever looks for its other fields has the detail's alone elsewhere.
            topic, data, id = str(event.get("source")), event["detail"], str(event.get("id") or request_id)
        else:
            topic, data, id = "invoke", event, request_id
        await self.host.call(_delivery(topic, data, id), deadline)
        return None

    async def _records(self, event: Mapping[str, Any], records: list[Any], deadline: Deadline) -> Any:
        sources = {_source(record) for record in records}
        if sources == {"aws:sqs"}:
            from airless.functions.aws_lambda_sqs import work_on

            return await work_on(self.host, records, deadline)
        if sources == {"aws:s3"}:
            # The same notification has the same id, however often it is delivered.
            id = blake2b(orjson.dumps(event), digest_size=16).hexdigest()
            await self.host.call(_delivery("s3", event, id), deadline)
            return None
        found = ", ".join(sorted(sources)) or "none"
        raise ConfigError(f"an event has records of {found}, which nothing here takes: it may be {_KNOWN}")


def _terms(environ: Mapping[str, str]) -> Terms:
    from airless.functions.aws_lambda_terms import terms_of

    return terms_of(environ)


def _source(record: Any) -> str:
    """Where a record says it comes from; SNS spells the name in its own way."""
    if not isinstance(record, Mapping):
        return "an unknown source"
    return str(record.get("eventSource") or record.get("EventSource") or "an unknown source")


def _delivery(topic: str, data: Mapping[str, Any], id: str) -> Delivery:
    return Delivery(topic, orjson.dumps(data), id, receipt="invocation")
