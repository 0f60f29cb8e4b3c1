"""A crawl with a cost limit ends while there is money for its end."""

from __future__ import annotations

import pytest

from airless.core.errors import ConfigError
from airless.cost.budget import MAX_COST, CostBudget
from airless.cost.usage import Usage


def puts(number: int) -> Usage:
    usage = Usage()
    usage.ask("s3.PutObject", times=number)
    return usage


def test_nothing_is_stopped_before_the_money_is_spent() -> None:
    budget = CostBudget(1.0)
    assert budget.stop_reason(Usage()) is None
    assert budget.stop_reason(puts(199_999)) is None
    assert budget.left_usd(puts(199_999)) == pytest.approx(5e-6)


def test_a_crawl_whose_money_is_spent_is_stopped() -> None:
    budget = CostBudget(1.0)
    assert budget.stop_reason(puts(200_000)) == MAX_COST == "max_cost"
    assert budget.stop_reason(puts(300_000)) == MAX_COST
    assert budget.spent_usd(puts(300_000)) == pytest.approx(1.5)
    assert budget.left_usd(puts(300_000)) == 0.0


def test_what_is_under_way_has_to_be_paid_for_too() -> None:
    budget = CostBudget(1.0)
    running = Usage()
    for _ in range(10):
        running.invoke(900, 1024, "x86_64")
    assert budget.stop_reason(puts(150_000), under_way=running) is None  # 0.75 + 0.15
    assert budget.stop_reason(puts(175_000), under_way=running) == MAX_COST  # 0.875 + 0.15


@pytest.mark.parametrize("limit_usd", [0.0, -1.0, float("nan"), float("inf")])
def test_a_limit_is_a_positive_number(limit_usd: float) -> None:
    with pytest.raises(ConfigError, match="the cost limit is a positive number"):
        CostBudget(limit_usd)
