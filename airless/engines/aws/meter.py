"""Counts what is asked of AWS in the units that it bills, from what botocore's clients send and receive."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from airless.cost.usage import Usage, message_units

_FIFO = ".fifo"


class Meter:
    """Adds the requests of clients to a `Usage`, each try as one: what fails may be billed too.

    Of SQS requests the payload counts, in begun pieces of 64 KiB: bodies and attributes of what is sent, or of
    what is received. Those to a FIFO queue are of a kind of their own, ``sqs-fifo.SendMessageBatch``.
    """

    def __init__(self, usage: Usage | None = None) -> None:
        self.usage = usage or Usage()

    def watch(self, client: Any, service: str) -> None:
        """Count all requests of a client from now on; `service` is botocore's name for it."""
        self.listen(client.meta.events.register, service)

    def listen(self, register: Callable[[str, Callable[..., None]], Any], service: str) -> None:
        """Count all requests to a service by whom events are registered with: a client, or a session's clients."""
        if service != "sqs":
            register(f"request-created.{service}", partial(self._asked, service))
            return
        register("before-parameter-build.sqs", self._asking_queue)
        register("request-created.sqs", self._asked_queue)
        register("response-received.sqs.ReceiveMessage", self._received)

    def _asked(self, service: str, operation_name: str, **_: Any) -> None:
        self.usage.ask(f"{service}.{operation_name}")

    def _asking_queue(self, params: Mapping[str, Any], context: dict[str, Any], **_: Any) -> None:
        """Note what a call is of, for the requests that come of it."""
        fifo = str(params.get("QueueUrl", "")).endswith(_FIFO)
        sent = params.get("Entries", (params,))
        context["airless"] = ("sqs-fifo" if fifo else "sqs", message_units(_payload(sent, "MessageBody")))

    def _asked_queue(self, request: Any, operation_name: str, **_: Any) -> None:
        service, units = request.context.get("airless", ("sqs", 1))
        self.usage.ask(f"{service}.{operation_name}", units=units)

    def _received(
        self, parsed_response: Mapping[str, Any] | None, context: Mapping[str, Any], **_: Any
    ) -> None:
        """A receive was counted as one; what came may make it more."""
        units = message_units(_payload((parsed_response or {}).get("Messages", ()), "Body"))
        service, _asked = context.get("airless", ("sqs", 1))
        self.usage.billed[f"{service}.ReceiveMessage"] += units - 1


def _payload(messages: Sequence[Mapping[str, Any]], body: str) -> int:
    """Bytes of bodies, and of attributes' names, types and values."""
    total = 0
    for message in messages:
        total += len(message.get(body, "").encode())
        for name, attribute in message.get("MessageAttributes", {}).items():
            total += len(name.encode()) + len(attribute["DataType"].encode())
            total += len(attribute.get("StringValue", "").encode()) + len(attribute.get("BinaryValue", b""))
    return total
