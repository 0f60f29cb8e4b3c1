"""The functions that are measured run under AWS's runtime client, and what is measured has happened."""

from __future__ import annotations

import asyncio
import math
import sys
import time
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1]))  # benchmarks are not installed with the package

from benchmarks.functions import measure
from benchmarks.functions.chain import Chain
from benchmarks.functions.process import Function


def test_an_event_is_answered_and_its_time_taken() -> None:
    with Function("nothing.handler", {}) as function:
        function.await_ready()
        assert 0 < function.ready_after_s < 10
        assert [function.invoke({}) < 1 for _ in range(3)] == [True] * 3
        assert function.cpu_s() > 0


def test_a_function_that_fails_is_no_figure() -> None:
    with Function("airless.functions.aws_lambda.handler", {}) as function:
        function.await_ready()
        with pytest.raises(RuntimeError, match="AIRLESS_ENGINE is not set"):
            function.invoke({})


def test_each_invocation_of_the_crawl_fetches_one_page(ministack_endpoint: str) -> None:
    engine = f"aws://us-east-1?bucket=chain&prefix=chain&endpoint={ministack_endpoint}&create=yes"
    with asyncio.Runner() as loop, Chain(loop, engine) as chain:
        events = chain.events()
        with Function("airless.functions.aws_lambda.handler", {"AIRLESS_ENGINE": engine}) as function:
            assert math.isnan(chain.first_fetch_since(0.0))
            asked = []
            for _ in range(4):
                began_s = time.monotonic()
                function.invoke(next(events))
                asked.append(chain.fetched_since(began_s))
    assert asked == [["/robots.txt", "/0"], ["/1"], ["/2"], ["/3"]]


def test_a_quick_answer_has_a_row_a_handler() -> None:
    nothing, operator, crawl = measure(quick=True).rows
    assert [row["handler"] for row in (nothing, operator, crawl)] == ["nothing", "operator", "crawl"]
    assert nothing["warm_over_nothing_ms"] == 0
    assert 0 < nothing["start_ms"] < crawl["start_ms"] < crawl["first_fetch_ms"]
    assert crawl["warm_over_nothing_ms"] > 0
