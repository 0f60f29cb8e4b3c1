"""An operator that keeps what it is given."""

from __future__ import annotations

from typing import Any

from airless.operators import EventOperator


class Keep(EventOperator):
    def execute(self, data: dict[str, Any], topic: str) -> None:
        self.put(f"kept/{data['n']}", b"kept")
