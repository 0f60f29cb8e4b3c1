"""Usage is billed as AWS's own price pages say, line by line."""

from __future__ import annotations

import dataclasses
import json

import pytest

from airless.core.errors import ConfigError
from airless.cost.bill import bill
from airless.cost.prices import AWS
from airless.cost.usage import Usage, message_units


def test_a_million_invocations_of_128_mb_for_100_ms() -> None:
    usage = Usage()
    for arch in ("x86_64", "arm64"):
        usage.gb_s[arch] = 1_000_000 * 0.1 * 0.125  # 12,500 GB-s
    usage.invocations = 2_000_000
    lines = {line.name: line.usd for line in bill(usage).lines}
    assert lines["lambda x86_64"] == pytest.approx(0.20833375)
    assert lines["lambda arm64"] == pytest.approx(0.1666675)
    assert lines["lambda invocations"] == pytest.approx(0.40)


def test_billed_time_is_in_begun_milliseconds() -> None:
    usage = Usage()
    for billed_s in (0.1, 0.1001, 0.0, 0.3 - 0.2):
        usage.invoke(billed_s, 1024, "arm64")
    assert (usage.invocations, usage.billed_ms) == (4, 100 + 101 + 0 + 100)
    assert usage.gb_s == {"arm64": pytest.approx(0.301)}


@pytest.mark.parametrize(
    ("payload_bytes", "units"),
    [(0, 1), (1, 1), (65_536, 1), (65_537, 2), (256 * 1024, 4), (1024 * 1024, 16)],
)
def test_every_begun_64_kib_is_a_request(payload_bytes: int, units: int) -> None:
    assert message_units(payload_bytes) == units


@pytest.mark.parametrize(
    ("kind", "a_million"),
    [
        ("sqs.SendMessageBatch", 0.40),
        ("sqs.ReceiveMessage", 0.40),
        ("sqs-fifo.SendMessageBatch", 0.50),
        ("sqs-fifo.DeleteMessageBatch", 0.50),
        ("s3.PutObject", 5.0),
        ("s3.ListObjectsV2", 5.0),
        ("s3.GetObject", 0.40),
        ("s3.HeadObject", 0.40),
        ("s3.DeleteObjects", 0.0),
        ("dynamodb.PutItem", 0.625),
        ("dynamodb.GetItem", 0.125),
        ("scheduler.Invoke", 1.0),
        ("scheduler.CreateSchedule", 0.0),
    ],
)
def test_a_million_requests_of_a_kind(kind: str, a_million: float) -> None:
    usage = Usage()
    usage.ask(kind, times=1_000_000)
    assert bill(usage).usd == pytest.approx(a_million)


def test_a_large_request_is_billed_as_several() -> None:
    usage = Usage()
    usage.ask("sqs.SendMessageBatch", units=4, times=10)
    (line,) = bill(usage).lines
    assert (line.amount, line.asked) == (40, 10)


def test_what_is_stored_is_billed_for_a_month() -> None:
    (line,) = bill(Usage(stored_bytes=50_000_000_000)).lines
    assert (line.amount, line.unit, line.usd) == (50.0, "GB", pytest.approx(1.15))


def test_what_comes_from_the_web_costs_nothing() -> None:
    assert bill(Usage(fetched_bytes=10**12)).lines == ()


def test_the_dearest_line_comes_first_and_all_add_up() -> None:
    usage = Usage(invocations=1_000_000)
    usage.ask("s3.PutObject", times=1_000_000)
    usage.ask("sqs.SendMessage", times=1_000_000)
    made = bill(usage)
    assert [line.name for line in made.lines] == ["s3.PutObject", "sqs.SendMessage", "lambda invocations"]
    assert made.usd == pytest.approx(5.6)
    assert json.loads(json.dumps(made.to_dict()))["usd"] == pytest.approx(5.6)


def test_what_has_no_price_is_named() -> None:
    with pytest.raises(ConfigError, match=r"no price for 'kinesis\.PutRecords'"):
        AWS.of("kinesis.PutRecords")
    with pytest.raises(ConfigError, match="no price for 'riscv': it is one of x86_64, arm64"):
        AWS.second(128, "riscv")


def test_the_table_has_a_date_and_sources_and_does_not_change() -> None:
    assert AWS.gathered == "2026-11"
    assert all(source.startswith("https://aws.amazon.com/") for source in AWS.sources)
    with pytest.raises(dataclasses.FrozenInstanceError):
        AWS.sqs = 0.0  # type: ignore[misc]
    with pytest.raises(TypeError):
        AWS.gb_second["arm64"] = 0.0  # type: ignore[index]
