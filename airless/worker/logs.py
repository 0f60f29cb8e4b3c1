"""Log lines of a worker: text for people, or a JSON object each for whatever collects them."""

from __future__ import annotations

import logging
import os
import time
from typing import Any

import orjson

TEXT, JSON = "text", "json"
FORMATS = (TEXT, JSON)
# What records may carry beside their text, for whoever searches by it.
_FIELDS = ("run", "message_id", "host", "topic", "ms")


class JsonLines(logging.Formatter):
    """One object a line: time (UTC), level, logger, text, process, and the fields that the record carries."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}"
            f".{int(record.msecs):03d}Z",
            "level": record.levelname,
            "logger": record.name,
            "text": record.getMessage(),
            "process": record.process,
        }
        for name in _FIELDS:
            value = getattr(record, name, None)
            if value is not None:
                line[name] = value
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


def write_logs(level: int | str, form: str) -> None:
    """Have this process log to standard error in that form."""
    handler = logging.StreamHandler()
    if form == JSON:
        handler.setFormatter(JsonLines())
    else:
        handler.setFormatter(
            logging.Formatter(f"%(asctime)s %(levelname)s [{os.getpid()}] %(name)s: %(message)s")
        )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
