import random

import pytest

from airless.core.retry import Retry, earlier_attempts


def test_the_wait_never_exceeds_the_exponential_ceiling():
    retry, rng = Retry(), random.Random(7)
    for attempt, ceiling in enumerate([1, 5, 25, 125, 480, 480]):
        assert retry.ceiling_s(attempt) == ceiling
        waits = [retry.wait_s(attempt, rng) for _ in range(200)]
        assert 0 <= min(waits) < ceiling / 4
        assert ceiling * 3 / 4 < max(waits) <= ceiling


def test_a_message_brings_its_own_policy():
    retry = Retry().of({"max_retries": 5, "retry_interval": 3, "max_interval": 20})
    assert retry.max_attempts == 6
    assert [retry.ceiling_s(n) for n in range(4)] == [1, 3, 9, 20]


@pytest.mark.parametrize("junk", ["2", None, True, -1, [1]])
def test_what_is_no_number_is_passed_over(junk):
    metadata = {"max_retries": junk, "retry_interval": junk, "max_interval": junk, "retries": junk}
    assert Retry().of(metadata) == Retry()
    assert earlier_attempts(1, metadata) == 1


def test_a_huge_count_of_attempts_still_has_a_wait():
    assert Retry(factor=1e300, cap_s=60.0).ceiling_s(1_000_000) == 60.0


def test_retries_that_a_message_brings_along_count():
    assert earlier_attempts(1, {"retries": 2}) == 3
