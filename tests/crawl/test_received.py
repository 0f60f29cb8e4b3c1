"""What was received is remembered by a number a sender, whatever order it ended in."""

from __future__ import annotations

import random

import orjson
import pytest

from airless.crawl.received import SEEDS, Received, origin_of


def test_what_has_ended_is_known_and_nothing_else() -> None:
    rng = random.Random(4)
    received, ended = Received(), set()
    order = [(sender, number) for sender in (SEEDS, 0, 5) for number in range(100)]
    rng.shuffle(order)
    for origin in order:
        assert not received.has(origin)
        received.end(origin)
        received.end(origin)
        ended.add(origin)
        received = Received.from_list(orjson.loads(orjson.dumps(received.to_list())))
        some = rng.choices([(sender, number) for sender in (SEEDS, 0, 5, 6) for number in range(101)], k=20)
        assert [received.has(each) for each in some] == [each in ended for each in some]
    assert received.to_list() == [[SEEDS, 100, []], [0, 100, []], [5, 100, []]]


def test_what_comes_in_order_takes_one_number() -> None:
    received = Received()
    for number in range(10_000):
        received.end((3, number))
    assert received.to_list() == [[3, 10_000, []]]


@pytest.mark.parametrize(
    "value", [None, 3, [], [1], [1, 2, 3], ["1", 2], [1, -1], [-2, 0], {"a": 1}, [1.5, 2]]
)
def test_an_origin_that_is_none_is_not_taken_for_one(value: object) -> None:
    assert origin_of({"from": value}) is None
    assert origin_of({}) is None
