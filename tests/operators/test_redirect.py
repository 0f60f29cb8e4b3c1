import re

import orjson
import pytest

from airless.core.batch import run_batch
from airless.core.codec import decode
from airless.core.errors import PermanentError
from airless.core.invocation import Invocation
from airless.core.message import Message
from airless.engines.memory import MemoryEngine
from airless.operators import OperatorRunner, RedirectOperator
from airless.operators.redirect import Product


class Counting(MemoryEngine):
    """A memory engine that keeps how many messages each commit published."""

    def __init__(self):
        super().__init__()
        self.published = []

    async def commit(self, commit):
        self.published.append(len(commit.publish))
        return await super().commit(commit)


async def redirect(engine, data, operator=None):
    """Run a redirect to its end."""
    await engine.queue.publish_many([Message("redirect", data, id="r")])
    async with OperatorRunner(operator or RedirectOperator()) as runner:
        one = Invocation(engine, runner)
        while deliveries := await engine.queue.receive("redirect", limit=10, lease_s=60):
            await run_batch(one, deliveries)


async def published(engine, topic="out"):
    deliveries = await engine.queue.receive(topic, limit=2_000_000, lease_s=60)
    return [decode(d.topic, d.body, id=d.id) for d in deliveries]


def letters(key, count):
    return {"key": key, "values": list(range(count))}


async def test_the_product_of_messages_and_params_is_published():
    engine = MemoryEngine()
    await redirect(
        engine,
        {
            "project": "p",
            "topic": "out",
            "messages": [{"m": 1, "a": {"keep": True}}, {"m": 2}],
            "params": [{"key": "a.b", "values": ["x", "y"]}, {"key": "c", "values": [None, {"d": 1}]}],
        },
    )
    assert [m.data for m in await published(engine)] == [
        {"m": 1, "a": {"keep": True, "b": "x"}, "c": None},
        {"m": 1, "a": {"keep": True, "b": "x"}, "c": {"d": 1}},
        {"m": 1, "a": {"keep": True, "b": "y"}, "c": None},
        {"m": 1, "a": {"keep": True, "b": "y"}, "c": {"d": 1}},
        {"m": 2, "a": {"b": "x"}, "c": None},
        {"m": 2, "a": {"b": "x"}, "c": {"d": 1}},
        {"m": 2, "a": {"b": "y"}, "c": None},
        {"m": 2, "a": {"b": "y"}, "c": {"d": 1}},
    ]


async def test_a_hundred_by_a_hundred_goes_in_two_bulk_commits():
    engine = Counting()
    await redirect(engine, {"topic": "out", "params": [letters("a", 100), letters("b", 100)]})
    assert engine.published == [5_001, 5_000]
    data = [m.data for m in await published(engine)]
    assert len({(d["a"], d["b"]) for d in data}) == 10_000


async def test_a_huge_product_needs_the_commit_of_one_step():
    engine = Counting()
    operator = RedirectOperator()
    operator.step_messages = 1_000
    await redirect(engine, {"topic": "out", "params": [letters("a", 200), letters("b", 200)]}, operator)
    assert max(engine.published) == 1_001
    assert len(engine.published) == 40
    messages = await published(engine)
    assert len({m.id for m in messages}) == 40_000
    assert {m.hops for m in messages} == {1}


async def test_a_step_is_bounded_in_bytes_too():
    engine = Counting()
    operator = RedirectOperator()
    operator.step_bytes = 10_000
    data = {"topic": "out", "messages": [{"text": "x" * 900}], "params": [letters("n", 50)]}
    await redirect(engine, data, operator)
    assert max(engine.published) <= 11
    assert len(await published(engine)) == 50


async def test_a_replayed_redirect_publishes_the_same_messages():
    ids = []
    for _ in range(2):
        engine = MemoryEngine()
        await redirect(engine, {"topic": "out", "params": [letters("a", 80), letters("b", 80)]})
        ids.append([m.id for m in await published(engine)])
    assert ids[0] == ids[1]


async def test_run_next_is_published_once_after_the_last_step():
    engine = MemoryEngine()
    operator = RedirectOperator()
    operator.step_messages = 10
    data = {
        "topic": "out",
        "params": [letters("a", 25)],
        "metadata": {"run_next": [{"topic": "after", "data": {}}]},
    }
    await redirect(engine, data, operator)
    assert len(await published(engine, "after")) == 1


@pytest.mark.parametrize("data", [{"messages": []}, {"params": [{"key": "a", "values": []}]}])
async def test_an_empty_product_publishes_nothing(data):
    engine = MemoryEngine()
    await redirect(engine, {"topic": "out", **data})
    assert await published(engine) == []
    assert await published(engine, "error") == []


def test_the_bound_on_a_messages_size_holds():
    product = Product.of(
        {
            "messages": [{"m": "é" * 9}, {"longer": [1, 2, 3]}],
            "params": [{"key": "a.b.c", "values": ["x", "yy" * 40]}, {"key": "dé", "values": [1, 2**60]}],
        }
    )
    assert max(len(orjson.dumps(m)) for m in product.between(0, len(product))) <= product.bound_bytes()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({}, "'topic'"),
        ({"topic": "t", "messages": [1]}, "'messages'"),
        ({"topic": "t", "params": {}}, "'params'"),
        ({"topic": "t", "params": [1]}, r"params\[0\]"),
        ({"topic": "t", "params": [{"key": "", "values": []}]}, "key"),
        ({"topic": "t", "params": [{"key": "a..b", "values": []}]}, "key"),
        ({"topic": "t", "params": [{"key": "a", "values": "xy"}]}, "values"),
        ({"topic": "t", "metadata": {"redirect_offset": "x"}}, "redirect_offset"),
    ],
)
async def test_what_is_wrong_with_a_redirect_is_said(data, said):
    engine = MemoryEngine()
    await redirect(engine, data)
    (report,) = await published(engine, "error")
    assert re.search(said, report.data["error"])


def test_a_key_that_leads_through_a_value_is_refused():
    product = Product.of({"messages": [{"a": 1}], "params": [{"key": "a.b", "values": [2]}]})
    with pytest.raises(PermanentError, match="holds no object"):
        list(product.between(0, 1))
