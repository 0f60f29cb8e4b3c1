"""Which queue a message goes to, and for how long it is held back there."""

from __future__ import annotations

import math
from dataclasses import replace

from airless.engines.aws.claims import Packed
from airless.engines.aws.limits import SqsLimits
from airless.engines.aws.records import Arrived
from airless.engines.aws.sending import Outgoing
from airless.engines.aws.topics import is_fifo, queue_name
from airless.engines.aws.wire import Tag, error_value

# SQS counts whole seconds: what comes this much ahead of its time has waited long enough.
_EARLY_S = 0.5


class Routes:
    """The ways of one prefix's messages."""

    def __init__(self, prefix: str, limits: SqsLimits) -> None:
        self._prefix = prefix
        self._limits = limits

    def out(self, tag: Tag, packed: Packed, now: float, *, wait_s: float = 0.0) -> Outgoing:
        """With a key and due: the FIFO queue. Else the standard one, delayed as long as it can.

        `wait_s` is the least wait, where the queue can wait at all.
        """
        tag = replace(tag, encoding=packed.encoding, claim=packed.claim)
        due_s = tag.due - now
        fifo = tag.key is not None and due_s <= 0
        delay_s = 0 if fifo else max(0, min(math.ceil(max(due_s, wait_s)), self._limits.delay_s))
        return Outgoing(queue_name(self._prefix, tag.topic, fifo=fifo), packed.text, tag, delay_s)

    def dead(self, tag: Tag, packed: Packed, error: str) -> Outgoing:
        """To the dead-letter queue, with the error; its tries count from the start when it is brought back."""
        tag = replace(tag, encoding=packed.encoding, claim=packed.claim, attempt=0, due=0.0)
        queue = queue_name(self._prefix, tag.topic, fifo=tag.key is not None, dead=True)
        return Outgoing(queue, packed.text, tag, error=error_value(error))


def goes_on(arrived: Arrived, now: float) -> bool:
    """Whether it isn't for anybody yet: it must wait longer, or belongs in the FIFO queue now."""
    tag = arrived.tag
    return tag.due > now + _EARLY_S or (tag.key is not None and not is_fifo(arrived.queue))


def packed(arrived: Arrived) -> Packed:
    """The body as it came, to be sent on."""
    return Packed(arrived.text, arrived.tag.encoding, arrived.tag.claim)
