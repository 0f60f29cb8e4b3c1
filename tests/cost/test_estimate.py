"""An estimate follows from its assumptions, each of which can be changed."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import pytest

from airless.core.errors import ConfigError
from airless.cost.bill import bill
from airless.cost.estimate import estimate
from airless.cost.expected import Expected

# One host, pages and commits that come out even.
EVEN = Expected(
    pages=100_000,
    hosts=1,
    latency_s=0.4,
    per_host=8,
    batch_messages=10,
    batch_shards=1,
    commit_s=1_000.0,
    unevenness=1.0,
    message_requests_filled=100,
    cold_share=0.0,
    start_s=0.1,
    cpu_s=0.0,
    cpu_s_a_mb=0.0,
    memory_mb=1024,
)


def usd(**changes: Any) -> float:
    return bill(estimate(replace(EVEN, **changes)).usage).usd


def test_one_host_by_hand() -> None:
    made = estimate(EVEN)
    # 1,000 messages of 100 pages, ten an invocation: 1,000 pages at 20 a second.
    assert (made.messages, made.commits) == (1_000, 100)
    assert (made.pages_an_invocation, made.invocation_s) == (1_000, pytest.approx(50.1))
    assert made.usage.invocations == 100
    assert made.usage.gb_s["arm64"] == pytest.approx(5_010, rel=1e-3)
    assert made.usage.requests["sqs-fifo.ReceiveMessage"] == 100 + 10
    # A state and items a commit, 48.8 segments of seen URLs and what they are merged into.
    assert made.usage.requests["s3.PutObject"] == 200 + 56
    assert made.usage.stored_bytes == 100_000 * 300
    assert made.usage.fetched_bytes == 100_000 * 60_000


def test_who_commits_more_often_pays_for_it() -> None:
    # An invocation of 50.1 s: a commit after an eighth, a quarter, a half and all of it; or one every 5.01 s.
    rarer = estimate(replace(EVEN, commit_s=50.1 / 8))
    assert rarer.commits == pytest.approx(400)
    often = estimate(replace(EVEN, commit_s=5.01, rarest_commit_s=5.01))
    assert often.commits == pytest.approx(1_000)
    assert often.usage.requests["s3.PutObject"] == 2_000 + 56
    assert often.usage.requests["s3.GetObject"] == estimate(EVEN).usage.requests["s3.GetObject"]


def test_a_slower_web_and_a_smaller_pace_cost_more() -> None:
    assert usd(latency_s=0.8) > 1.5 * usd()
    assert usd(per_host=16) < usd()
    assert usd(memory_mb=512) < usd()


def test_on_a_processor_that_is_too_small_the_processor_is_the_limit() -> None:
    made = estimate(replace(EVEN, memory_mb=128, cpu_s=0.01))
    assert made.invocation_s == pytest.approx(0.1 + 1_000 * 0.01 * 1_769 / 128, rel=1e-3)


def test_what_a_deadline_cuts_off_is_handed_back() -> None:
    made = estimate(replace(EVEN, latency_s=16.0, deadline_s=840.0))
    assert made.invocation_s <= 840.0
    assert made.usage.invocations > 300
    assert made.usage.requests["sqs.SendMessageBatch"] > 0


def test_a_long_delay_is_not_waited_for_in_a_billed_second() -> None:
    waited_gb_s = 100_000 * 20.0
    made = estimate(replace(EVEN, delay_s=20.0))
    assert sum(made.usage.gb_s.values()) < waited_gb_s / 20
    assert usd(delay_s=20.0) == pytest.approx(usd(delay_s=60.0))
    assert usd(delay_s=0.5) < usd(delay_s=20.0)


def test_links_to_other_shards_cost_messages_up_to_one_a_link() -> None:
    many = replace(EVEN, hosts=1_000)
    without = estimate(replace(many, elsewhere=0.0))
    made = estimate(replace(many, elsewhere=0.01))
    offers = 100_000 * 50 * 0.01
    assert without.messages < made.messages <= without.messages + offers
    assert made.commits > without.commits


@pytest.mark.parametrize("pages", [1, 10, 1_000, 100_000_000])
@pytest.mark.parametrize("hosts", [1, 50, 100_000])
def test_crawls_of_every_size_have_a_price(pages: int, hosts: int) -> None:
    made = estimate(Expected(pages=pages, hosts=hosts))
    assert 0 < bill(made.usage).usd < pages / 1e6 * 100 + 0.001
    assert all(number > 0 for number in made.usage.requests.values())


def test_a_page_that_takes_no_time_has_a_price_too() -> None:
    assert 0 < usd(latency_s=0.0) < usd()


@pytest.mark.parametrize(
    "given",
    [
        {"pages": 0},
        {"pages": 1.5},
        {"pages": "many"},
        {"memory_mb": 64},
        {"elsewhere": 1.5},
        {"latency_s": -1},
        {"latency_s": "nan"},
        {"delay_s": "inf"},
        {"shoes": 2},
    ],
)
def test_a_figure_that_cannot_be_is_named(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(given)) if "memory_mb" not in given else "MB"):
        Expected.of(**given)


def test_figures_are_read_as_they_are_written() -> None:
    made = Expected.of(pages="1e6", latency_s="0.3", arch="x86_64")
    assert asdict(made) == asdict(Expected(pages=1_000_000, latency_s=0.3, arch="x86_64"))
