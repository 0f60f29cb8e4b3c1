"""Serverless orchestration, and a crawler that can't lose a page.

What users need is here, imported when it is first asked for: `import airless` alone loads nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_NAMES = {
    "Again": "airless.operators",
    "AirlessError": "airless.core.errors",
    "BatchOperator": "airless.operators",
    "ConfigError": "airless.core.errors",
    "Dead": "airless.operators",
    "Dedup": "airless.crawl.settings",
    "DelayOperator": "airless.operators",
    "Done": "airless.operators",
    "EventOperator": "airless.operators",
    "FileOperator": "airless.operators",
    "Follow": "airless.crawl.request",
    "Http": "airless.crawl.settings",
    "HttpOperator": "airless.operators",
    "HttpRequest": "airless.operators",
    "HttpResponse": "airless.operators",
    "Limits": "airless.crawl.settings",
    "Link": "airless.crawl.links",
    "LinkExtractor": "airless.crawl.links",
    "Links": "airless.crawl.settings",
    "Message": "airless.core.message",
    "Operator": "airless.operators",
    "Pace": "airless.crawl.settings",
    "PermanentError": "airless.core.errors",
    "RedirectOperator": "airless.operators",
    "Request": "airless.crawl.request",
    "Response": "airless.crawl.response",
    "Retry": "airless.crawl.settings",
    "RetryableError": "airless.core.errors",
    "Rule": "airless.crawl.links",
    "Settings": "airless.crawl.settings",
    "Spider": "airless.crawl.spider",
    "Traps": "airless.crawl.settings",
    "open_engine": "airless.engines",
}

__all__ = [
    "Again",
    "AirlessError",
    "BatchOperator",
    "ConfigError",
    "Dead",
    "Dedup",
    "DelayOperator",
    "Done",
    "EventOperator",
    "FileOperator",
    "Follow",
    "Http",
    "HttpOperator",
    "HttpRequest",
    "HttpResponse",
    "Limits",
    "Link",
    "LinkExtractor",
    "Links",
    "Message",
    "Operator",
    "Pace",
    "PermanentError",
    "RedirectOperator",
    "Request",
    "Response",
    "Retry",
    "RetryableError",
    "Rule",
    "Settings",
    "Spider",
    "Traps",
    "__version__",
    "open_engine",
]
__version__ = "0.1.0"

if TYPE_CHECKING:
    from airless.core.errors import AirlessError, ConfigError, PermanentError, RetryableError
    from airless.core.message import Message
    from airless.crawl.links import Link, LinkExtractor, Rule
    from airless.crawl.request import Follow, Request
    from airless.crawl.response import Response
    from airless.crawl.settings import Dedup, Http, Limits, Links, Pace, Retry, Settings, Traps
    from airless.crawl.spider import Spider
    from airless.engines import open_engine
    from airless.operators import (
        Again,
        BatchOperator,
        Dead,
        DelayOperator,
        Done,
        EventOperator,
        FileOperator,
        HttpOperator,
        HttpRequest,
        HttpResponse,
        Operator,
        RedirectOperator,
    )


def __getattr__(name: str) -> Any:
    module = _NAMES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
