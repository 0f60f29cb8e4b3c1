"""The function on AWS Lambda: `handler` is what a deployment names.

It takes the events of SQS event source mappings (with ReportBatchItemFailures), S3 notifications, Function URLs and
API Gateway (payloads 1.0 and 2.0), and any other JSON object as a message for the operator: those of EventBridge
Scheduler, of EventBridge rules, and of who invokes the function by hand.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from airless.functions.aws_lambda_events import Function

# Whatever is kept between two invocations has no other place: Lambda calls a function of a module. This is the one
# exception to the rule that modules hold no state. The loop stays too, since clients and connections belong to it.
_function: Function | None = None
_loop: asyncio.Runner | None = None


class Context(Protocol):
    """What is needed of Lambda's context object."""

    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int: ...


def handler(event: Mapping[str, Any], context: Context) -> Any:
    """Work on one event; its answer. Raises ConfigError for an event that is none of those above."""
    global _function, _loop
    if _function is None or _loop is None:
        from airless.functions.aws_lambda_events import Function

        _function, _loop = Function(os.environ), asyncio.Runner()
    left_s = context.get_remaining_time_in_millis() / 1_000
    return _loop.run(_function.answer(event, left_s=left_s, request_id=context.aws_request_id))
