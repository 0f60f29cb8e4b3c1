"""What running in a cloud costs: dated prices, what was asked of the cloud, and what is decided by price.

`prices` is the one table of figures. A `Usage` counts what was asked and used, `bill` says what that comes to.
`estimate` reckons a crawl's usage before it runs, `waiting` decides between waiting and handing back, and
`CostBudget` says when a crawl's money is spent. All of it is arithmetic: nothing here asks a cloud.
"""

from airless.cost.bill import Bill, Line, bill
from airless.cost.budget import MAX_COST, CostBudget
from airless.cost.estimate import Estimate, estimate
from airless.cost.expected import Expected
from airless.cost.prices import AWS, Prices
from airless.cost.usage import Usage
from airless.cost.waiting import wait_at_most_s

__all__ = [
    "AWS",
    "MAX_COST",
    "Bill",
    "CostBudget",
    "Estimate",
    "Expected",
    "Line",
    "Prices",
    "Usage",
    "bill",
    "estimate",
    "wait_at_most_s",
]
