"""The function on AWS Lambda: `handler` is what a deployment names.

It takes the events of SQS event source mappings (with ReportBatchItemFailures), S3 notifications, Function URLs and
API Gateway (payloads 1.0 and 2.0), and any other JSON object as a message for the operator: those of EventBridge
Scheduler, of EventBridge rules, and of who invokes the function by hand.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from airless.functions.aws_lambda_events import Function

# The runtime client's own: where it isn't set, this module is only imported.
_RUNTIME = "AWS_LAMBDA_RUNTIME_API"

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
    function, loop = _kept()
    left_s = context.get_remaining_time_in_millis() / 1_000
    return loop.run(function.answer(event, left_s=left_s, request_id=context.aws_request_id))


def _kept() -> tuple[Function, asyncio.Runner]:
    """What is kept, made by the first who asks."""
    global _function, _loop
    if _function is None or _loop is None:
        from airless.functions.aws_lambda_events import Function

        _function, _loop = Function(os.environ), asyncio.Runner()
    return _function, _loop


def _prepare() -> None:
    """Make ready what the first invocation will need.

    While a function starts it has whole processors, afterwards the part of one that goes with its memory ("Configure
    Lambda function memory"): what is imported now takes a fraction of the time.
    """
    # Imports make a great deal of objects and no garbage.
    gc.disable()
    try:
        function, loop = _kept()
        loop.run(function.prepare())
    except Exception as fault:  # the invocations will say so, to whoever asks
        logging.getLogger(__name__).warning("the function could not be made ready: %s", fault)
    finally:
        gc.freeze()
        gc.enable()


if _RUNTIME in os.environ:
    _prepare()
