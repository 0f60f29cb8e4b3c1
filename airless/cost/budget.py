"""``--max-cost``: when a crawl's money is spent."""

from __future__ import annotations

from airless.core.errors import ConfigError
from airless.cost.bill import bill
from airless.cost.prices import AWS, Prices
from airless.cost.usage import Usage

MAX_COST = "max_cost"
"""The reason of a crawl that ended because its money was spent."""


class CostBudget:
    """So many US dollars for a crawl. What it has used, and will still use to end cleanly, counts.

    Raises ConfigError for a limit that is no positive number.
    """

    def __init__(self, limit_usd: float, prices: Prices = AWS) -> None:
        if not 0 < limit_usd < float("inf"):
            raise ConfigError(f"a crawl can't be had for ${limit_usd}: the cost limit is a positive number")
        self.limit_usd = limit_usd
        self._prices = prices

    def spent_usd(self, usage: Usage) -> float:
        """What a crawl has cost."""
        return bill(usage, self._prices).usd

    def left_usd(self, usage: Usage) -> float:
        """What it may still cost; never below nothing."""
        return max(0.0, self.limit_usd - self.spent_usd(usage))

    def stop_reason(self, usage: Usage, *, under_way: Usage | None = None) -> str | None:
        """MAX_COST where nothing more may be started, else None.

        `under_way` is what has begun and isn't in `usage` yet: the invocations that run, up to their deadlines. It
        has to be paid for too, so that the crawl stops while there is money left for its end.
        """
        still_usd = 0.0 if under_way is None else self.spent_usd(under_way)
        return MAX_COST if self.spent_usd(usage) + still_usd >= self.limit_usd else None
