"""Waiting or handing back is decided by price."""

from __future__ import annotations

import pytest

from airless.core.errors import ConfigError
from airless.cost.prices import AWS
from airless.cost.waiting import hand_back_usd, wait_at_most_s


def test_what_handing_one_message_back_costs_by_hand() -> None:
    # Three standard requests, three FIFO ones, two invocations of no length, a GET and two PUTs.
    by_hand = 3 * 0.4e-6 + 3 * 0.5e-6 + 2 * 0.2e-6 + 0.4e-6 + 2 * 5e-6
    assert hand_back_usd(AWS, memory_mb=512, arch="arm64", start_s=0.0) == pytest.approx(by_hand)
    # Two starts of 50 ms at half a GB.
    started = by_hand + 2 * 0.05 * 0.5 * 1.33334e-5
    assert hand_back_usd(AWS, memory_mb=512, arch="arm64") == pytest.approx(started)


def test_at_the_limit_both_cost_the_same() -> None:
    for memory_mb, arch in ((128, "arm64"), (512, "arm64"), (1769, "x86_64"), (10_240, "x86_64")):
        wait_s = wait_at_most_s(AWS, memory_mb=memory_mb, arch=arch)
        waited_usd = wait_s * memory_mb / 1024 * AWS.gb_second[arch]
        assert waited_usd == pytest.approx(hand_back_usd(AWS, memory_mb=memory_mb, arch=arch))


def test_a_second_or_two_are_waited_for_and_a_minute_is_not() -> None:
    assert 1 < wait_at_most_s(AWS, memory_mb=512, arch="arm64") < 5
    assert 5 < wait_at_most_s(AWS, memory_mb=128, arch="arm64") < 20


def test_more_memory_waits_for_less_and_more_shards_for_longer() -> None:
    def at_most_s(**changes: int) -> float:
        return wait_at_most_s(AWS, arch="arm64", **{"memory_mb": 512} | changes)

    assert at_most_s(memory_mb=1024) < at_most_s() < at_most_s(memory_mb=256)
    assert at_most_s(messages=10, shards=10) == pytest.approx(10 * at_most_s())
    assert at_most_s(batch=10) < at_most_s()


def test_an_architecture_without_a_price_is_named() -> None:
    with pytest.raises(ConfigError, match="'riscv'"):
        wait_at_most_s(AWS, memory_mb=512, arch="riscv")
