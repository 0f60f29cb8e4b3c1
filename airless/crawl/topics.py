"""How the topics of crawls are named: hosts and deployments know them by this, without loading the crawler."""

from __future__ import annotations

from typing import Final

FRONTIER: Final = "frontier"
"""The first part of a crawl's topic, for which its queues are named; behind a slash follows the job."""
