"""Usage adds up, is compared, and survives JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airless.core.errors import ConfigError
from airless.cost.bill import bill
from airless.cost.usage import Usage


def used(number: int) -> Usage:
    usage = Usage(stored_bytes=10 * number, fetched_bytes=100 * number)
    usage.ask("s3.PutObject", times=number)
    usage.ask("sqs.SendMessageBatch", units=3, times=number)
    for _ in range(number):
        usage.invoke(0.25, 512, "arm64")
    return usage


def test_usage_adds_up() -> None:
    usage = used(2)
    usage.add(used(3))
    other = Usage()
    other.invoke(1.0, 1024, "x86_64")
    usage.add(other)
    assert usage.requests == {"s3.PutObject": 5, "sqs.SendMessageBatch": 5}
    assert usage.billed == {"s3.PutObject": 5, "sqs.SendMessageBatch": 15}
    assert (usage.invocations, usage.billed_ms) == (6, 2_250)
    assert usage.gb_s == {"arm64": pytest.approx(0.625), "x86_64": pytest.approx(1.0)}
    assert (usage.stored_bytes, usage.fetched_bytes) == (50, 500)


def test_what_came_since_and_what_was_before_are_all_of_it() -> None:
    usage = used(5)
    earlier = usage.copy()
    assert usage.since(earlier) == Usage()
    usage.add(used(2))
    since = usage.since(earlier)
    assert earlier == used(5)
    assert bill(since).usd + bill(earlier).usd == pytest.approx(bill(usage).usd)
    assert since.requests["s3.PutObject"] == 2


def test_usage_goes_into_json_and_back() -> None:
    usage = used(3)
    assert Usage.from_dict(json.loads(json.dumps(usage.to_dict()))) == usage


@pytest.mark.parametrize(
    "change",
    [
        {"requests": {"s3.PutObject": "many"}},
        {"requests": {"s3.PutObject": 1.5}},
        {"requests": []},
        {"invocations": None},
        {"gb_s": {"arm64": True}},
        {"billed_ms": 1.5},
    ],
)
def test_what_is_no_record_of_usage_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="no record of usage"):
        Usage.from_dict(used(1).to_dict() | change)


def test_a_record_that_lacks_something_is_refused() -> None:
    with pytest.raises(ConfigError, match="no record of usage"):
        Usage.from_dict({"requests": {}})
