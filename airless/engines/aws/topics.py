"""How topics are named on SQS."""

from __future__ import annotations

import re
from hashlib import blake2b

_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")
_DEAD = "-dead"
# SQS takes 80 characters, "-dead.fifo" among them.
_LONGEST = 80 - len("-dead.fifo")


def queue_name(prefix: str, topic: str, *, fifo: bool = False, dead: bool = False) -> str:
    """The queue of a topic: ``{prefix}-{first part of the topic}``, with ``-dead`` and ``.fifo`` behind it.

    What SQS doesn't take in a name is replaced, and a hash is put behind it so that no two topics share a queue.
    """
    part = topic.partition("/")[0]
    safe = _UNSAFE.sub("-", f"{prefix}-{part}")
    if not safe.endswith(f"-{part}") or len(safe) > _LONGEST or part.endswith(_DEAD):
        digest = blake2b(part.encode(), digest_size=6).hexdigest()
        safe = f"{safe[: _LONGEST - len(digest) - 1]}-{digest}"
    return f"{safe}{_DEAD if dead else ''}{'.fifo' if fifo else ''}"
