"""What the server refuses, as the engine's errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airless.core.errors import EngineError, StorageFull

# From the server's own list of errors, `server/errors.json`.
WRONG_SEQUENCE = frozenset({10071, 10164})
NO_MESSAGE = frozenset({10037, 10043, 10057})
OTHER_CONFIG, OTHER_CONSUMER = 10058, frozenset({10148, 10013, 10105})
_AWAY = frozenset({10008, 10009, 10039, 10076})
_FULL = frozenset({10002, 10023, 10028, 10047})
_FULL_TEXT = ("maximum bytes", "maximum messages", "no space left", "resource limits", "insufficient")


class Refused(Exception):
    """The server's answer is an error."""

    def __init__(self, error: Mapping[str, Any]) -> None:
        self.code = int(error.get("err_code") or 0)
        self.text = str(error.get("description") or "")
        super().__init__(f"{self.text} ({self.code})")

    @property
    def passes(self) -> bool:
        """Whether to ask again may help: JetStream comes up later than the server."""
        return self.code in _AWAY

    def translated(self, doing: str) -> EngineError:
        if self.code in _FULL or any(text in self.text for text in _FULL_TEXT):
            return StorageFull(f"{doing} failed: the NATS server has no room: {self}")
        return EngineError(f"{doing} failed: {self}")
