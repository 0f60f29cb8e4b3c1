"""AWS's limits that the engine keeps to, each once, as gathered in November 2026.

Sources: the quotas pages of Amazon SQS, Amazon S3, AWS Lambda and EventBridge Scheduler.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SQS_ENTRIES: Final = 10
"""Messages in one batch request, of any kind; and at most so many come from one receive."""

SQS_BYTES: Final = 1024 * 1024
"""Body and attributes of one message, and of all messages of one batch together."""

SQS_CHUNK_BYTES: Final = 64 * 1024
"""Each begun chunk of a request's payload is billed as one request."""

SQS_DELAY_S: Final = 900
"""The longest delay; a FIFO queue takes none for a single message."""

SQS_VISIBILITY_S: Final = 12 * 3600
"""The longest visibility timeout, counted from the receive."""

SQS_WAIT_S: Final = 20
"""The longest long poll."""

SQS_DEDUPLICATION_S: Final = 300
"""How long a FIFO queue knows a deduplication id."""

S3_KEY_BYTES: Final = 1024
"""The longest key, as UTF-8."""

S3_DELETE_KEYS: Final = 1000
"""Keys in one DeleteObjects."""


_KEPT_FREE_BYTES: Final = 24 * 1024


@dataclass(frozen=True, slots=True)
class SqsLimits:
    """SQS's limits as the queue is told them. Above `inline_bytes` a body goes through the object store: what is
    left up to `batch_bytes` is room for the attributes, which grow by an error when a message is given up.
    """

    entries: int = SQS_ENTRIES
    batch_bytes: int = SQS_BYTES
    inline_bytes: int = SQS_BYTES - _KEPT_FREE_BYTES
    delay_s: int = SQS_DELAY_S
    visibility_s: int = SQS_VISIBILITY_S
    wait_s: int = SQS_WAIT_S
