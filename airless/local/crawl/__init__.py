"""A crawl on this machine: one or more processes over the embedded engine, resumable, its items delivered."""

from __future__ import annotations

from airless.local.crawl.plan import Plan
from airless.local.crawl.run import Result, run

__all__ = ["Plan", "Result", "run"]
