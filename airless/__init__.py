"""Serverless orchestration, and a crawler that can't lose a page.

What users need is here, imported when it is first asked for: `import airless` alone loads nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_NAMES = {
    "AirlessError": "airless.core.errors",
    "ConfigError": "airless.core.errors",
    "Dedup": "airless.crawl.settings",
    "Follow": "airless.crawl.request",
    "Http": "airless.crawl.settings",
    "Limits": "airless.crawl.settings",
    "Link": "airless.crawl.links",
    "LinkExtractor": "airless.crawl.links",
    "Links": "airless.crawl.settings",
    "Message": "airless.core.message",
    "Pace": "airless.crawl.settings",
    "PermanentError": "airless.core.errors",
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
    "AirlessError",
    "ConfigError",
    "Dedup",
    "Follow",
    "Http",
    "Limits",
    "Link",
    "LinkExtractor",
    "Links",
    "Message",
    "Pace",
    "PermanentError",
    "Request",
    "Response",
    "Retry",
    "RetryableError",
    "Rule",
    "Settings",
    "Spider",
    "Traps",
    "open_engine",
    "__version__",
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


def __getattr__(name: str) -> Any:
    module = _NAMES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
