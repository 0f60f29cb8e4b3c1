"""Which queues a topic has: named after its first part, so that all jobs of one kind share theirs."""

from __future__ import annotations

import re
from hashlib import blake2b

FIFO = ".fifo"
_DEAD = "-dead"
_NAME_CHARS = 75  # SQS allows 80, of which ".fifo" takes five
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")


def part_of(topic: str) -> str:
    """``frontier`` of ``frontier/books-1``: what names the queues."""
    return topic.partition("/")[0]


def queue_name(prefix: str, topic: str, *, fifo: bool = False, dead: bool = False) -> str:
    """The name of one of a topic's four queues: standard or FIFO, and the dead-letter queue of either.

    What a name can't hold is replaced, and a hash of the whole keeps such names apart.
    """
    part = part_of(topic)
    safe = _UNSAFE.sub("-", part)
    room = _NAME_CHARS - len(prefix) - 1 - len(_DEAD)
    if safe != part or not safe or len(safe) > room or safe.endswith(_DEAD):
        digest = blake2b(part.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
        safe = f"{safe[: room - len(digest) - 1]}-{digest}"
    return f"{prefix}-{safe}{_DEAD if dead else ''}{FIFO if fifo else ''}"


def dead_name(queue: str) -> str:
    """The dead-letter queue of a queue, by its name."""
    base = queue.removesuffix(FIFO)
    return f"{base}{_DEAD}{FIFO if is_fifo(queue) else ''}"


def part_in(prefix: str, queue: str) -> str:
    """The part that a queue is named after, as far as its name tells."""
    return queue.removesuffix(FIFO).removeprefix(f"{prefix}-").removesuffix(_DEAD)


def is_fifo(queue: str) -> bool:
    return queue.endswith(FIFO)


def is_dead(queue: str) -> bool:
    return queue.removesuffix(FIFO).endswith(_DEAD)
