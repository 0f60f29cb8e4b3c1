"""What running in a cloud costs: dated prices, what was asked of the cloud, and what is decided by price.

`prices` is the one table of figures. A `Usage` counts what was asked and used, `bill` says what that comes to.
`estimate` reckons a crawl's usage before it runs, `waiting` decides between waiting and handing back, and
`CostBudget` says when a crawl's money is spent. All of it is arithmetic: nothing here asks a cloud.
"""
