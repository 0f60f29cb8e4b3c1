"""What is billed is counted, a page needs as many requests as it needs, and the emulated function is one."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.emulators import CREDENTIALS, REGION, ministack

sys.path.append(str(Path(__file__).resolve().parents[1]))  # benchmarks are not installed with the package

from airless import Response
from airless.cost.bill import bill
from airless.cost.usage import Usage
from airless.engines.aws.clients import AwsClients
from airless.engines.aws.options import AwsOptions
from benchmarks import cost
from benchmarks.cost.billing import a_million, billed_s, tell
from benchmarks.cost.environment import Environment, Function
from benchmarks.cost.mapping import EventSource
from benchmarks.cost.naive import Naive
from benchmarks.latency.serving import serving
from benchmarks.latency.web import Latency, Web

WEB = Web(30, 3, Latency(0.01, 0.05), 2_000, 3_000, links=12, port=8080)
HANDLER = """
import os, time

calls = 0

def handler(event, context):
    global calls
    calls += 1
    bodies = [each["body"] for each in event["Records"]]
    if "break" in bodies:
        raise ValueError("broken")
    if "work" in bodies:
        until = time.process_time() + 0.05
        while time.process_time() < until:
            pass
    failed = [each["messageId"] for each in event["Records"] if each["body"] == "fail"]
    return {
        "batchItemFailures": [{"itemIdentifier": id} for id in failed],
        "calls": calls,
        "left_ms": context.get_remaining_time_in_millis(),
        "mode": os.environ["MODE"],
    }
"""


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with ministack(tmp_path_factory.mktemp("ministack") / "log") as url:
        yield url


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Environment]:
    (tmp_path / "a_function.py").write_text(HANDLER)
    monkeypatch.syspath_prepend(tmp_path)
    made = Environment(Function("a_function:handler", 256, "arm64", 60.0, {"MODE": "test"}))
    yield made
    made.close()


def event(*bodies: str) -> dict[str, Any]:
    return {"Records": [{"messageId": str(number), "body": body} for number, body in enumerate(bodies)]}


def test_the_latency_is_300_ms_in_the_median_with_a_long_tail() -> None:
    web = Web(20_000, 4, cost.LATENCY, 2_000, 3_000, links=5, port=1)
    times = sorted(cost.LATENCY.of(web.url(page)) for page in range(web.pages))
    assert times[10_000] == pytest.approx(0.3, rel=0.05)
    assert times[19_800] == pytest.approx(0.3 * 2.718281828 ** (0.8 * 2.326), rel=0.1)
    assert (min(times), max(times)) == (pytest.approx(0.03, abs=0.01), pytest.approx(3.0))
    assert web.mean_latency_s() == pytest.approx(0.41, abs=0.02)


def test_what_is_computed_takes_longer_on_a_part_of_a_processor() -> None:
    assert billed_s(1.0, 0.1, 1_769) == pytest.approx(1.0)
    assert billed_s(1.0, 0.1, 3_538) == pytest.approx(1.0)
    assert billed_s(1.0, 0.1, 256) == pytest.approx(0.9 + 0.1 * 1_769 / 256)


def test_bills_stand_side_by_side_a_million_pages() -> None:
    usage = Usage()
    usage.ask("s3.PutObject", times=2)
    other = Usage(invocations=10)
    bills = {"naive": a_million(bill(other), 10), "ours": a_million(bill(usage), 100)}
    assert tell(bills) == [
        {"usd_a_million_pages": "lambda invocations", "naive": 0.2, "ours": 0.0},
        {"usd_a_million_pages": "s3.PutObject", "naive": 0.0, "ours": 0.1},
        {"usd_a_million_pages": "all", "naive": 0.2, "ours": 0.1},
    ]


async def test_an_environment_stays_and_is_billed_by_what_it_takes(environment: Environment) -> None:
    first = await environment.invoke(event("a", "fail"))
    assert first.value["batchItemFailures"] == [{"itemIdentifier": "1"}]
    assert first.value["mode"] == "test"
    assert 50_000 < first.value["left_ms"] <= 60_000
    second = await environment.invoke(event("work"))
    assert (second.value["calls"], second.usage.invocations) == (2, 1)
    assert second.usage.billed_ms >= 50 * 1_769 / 256
    assert second.usage.gb_s["arm64"] == pytest.approx(second.usage.billed_ms / 1_000 / 4)


async def test_a_function_that_fails_is_billed_and_goes_on(environment: Environment) -> None:
    broken = await environment.invoke(event("break"))
    assert "ValueError: broken" in broken.fault
    assert broken.usage.invocations == 1
    assert (await environment.invoke(event("a"))).value["calls"] == 2


async def test_the_mapping_deletes_what_succeeded(endpoint: str, environment: Environment) -> None:
    clients = AwsClients(AwsOptions(REGION, "none", endpoint=endpoint))
    sqs = await clients.sqs()
    fifo: Any = {"FifoQueue": "true"}
    url = (await sqs.create_queue(QueueName="mapped.fifo", Attributes=fifo))["QueueUrl"]
    for number, body in enumerate(("a", "fail", "b")):
        await sqs.send_message(
            QueueUrl=url, MessageBody=body, MessageGroupId=body, MessageDeduplicationId=str(number)
        )
    source = EventSource(sqs, [environment], visibility_s=1)
    polling = asyncio.create_task(source.poll(url))
    async with asyncio.timeout(20):
        while sum(source.batches) < 4:  # what failed has come again
            assert not polling.done()
            await asyncio.sleep(0.05)
    polling.cancel()
    await asyncio.gather(polling, return_exceptions=True)
    left = await sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    await clients.aclose()
    numbers = {name: int(value) for name, value in left["Attributes"].items() if name.startswith("Approx")}
    assert sum(numbers.values()) == 1
    assert source.usage.invocations == len(source.batches)
    assert not source.faults


async def test_the_naive_way_asks_once_for_every_link(endpoint: str) -> None:
    with serving(WEB, 0) as server:
        web = server.web
        async with Naive(web, endpoint, arch="arm64", at_once=16) as crawler:
            crawled = await crawler.crawl(1_000)
    assert crawled.titles == web.expected()
    assert not crawled.repeated
    links = sum(
        len({link.url for link in Response.from_bytes(url, b"".join(page.body)).links()})
        for url, page in web.answers()
    )
    asked = crawled.usage.requests
    assert asked["dynamodb.PutItem"] == links + len(web.seeds)
    assert asked["dynamodb.UpdateItem"] == web.pages == crawled.usage.invocations
    assert asked["sqs.DeleteMessageBatch"] >= web.pages / 10
    # Half a second of latency and more at a quarter of a GB, and no less.
    latency_s = sum(web.latency.of(url) for url in web.expected())
    assert crawled.usage.gb_s["arm64"] > latency_s / 4


async def test_the_naive_way_stops_where_it_is_told_to(endpoint: str) -> None:
    with serving(replace(WEB, pages=60), 0) as server:
        async with Naive(server.web, endpoint, arch="arm64", at_once=4, name="few") as crawler:
            crawled = await crawler.crawl(7)
    assert len(crawled.titles) == crawled.usage.invocations == 7
