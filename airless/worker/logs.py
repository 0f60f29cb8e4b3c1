"""Log lines of a worker: text for people, or a JSON object each for whatever collects them."""

from __future__ import annotations

import logging
import os
import time
from contextvars import ContextVar
from typing import Any
from urllib.parse import urlsplit

import orjson

from airless.operators.context import CURRENT

TEXT, JSON = "text", "json"
FORMATS = (TEXT, JSON)
# What records may carry beside their text, for whoever searches by it.
_FIELDS = ("run", "message_id", "host", "topic", "end", "ms")

RUN: ContextVar[str] = ContextVar("airless_run")
"""The crawl that is at work here: batches set it, and what they start inherits it."""


def _told(record: logging.LogRecord) -> dict[str, Any]:
    """The fields of a record, and what can be told of those that it lacks."""
    told = {name: getattr(record, name) for name in _FIELDS if getattr(record, name, None) is not None}
    if "run" not in told and (run := RUN.get(None)) is not None:
        told["run"] = run
    if (url := getattr(record, "url", None)) is not None:
        told["url"] = url
        told.setdefault("host", urlsplit(url).netloc)
    if (context := CURRENT.get(None)) is not None:
        told.setdefault("message_id", context.message.id)
        told.setdefault("topic", context.message.topic)
    return told


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
        line.update(_told(record))
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


class TextLines(logging.Formatter):
    """A line for people; what belongs to a crawl names it."""

    def format(self, record: logging.LogRecord) -> str:
        run = _told(record).get("run")
        record.crawl = "" if run is None else f" ({run})"
        return super().format(record)


def write_logs(level: int | str, form: str) -> None:
    """Have this process log to standard error in that form."""
    handler = logging.StreamHandler()
    if form == JSON:
        handler.setFormatter(JsonLines())
    else:
        handler.setFormatter(
            TextLines(f"%(asctime)s %(levelname)s [{os.getpid()}] %(name)s%(crawl)s: %(message)s")
        )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
