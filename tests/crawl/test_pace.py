"""A host's pace, by hand-turned times."""

import json
import math
import random

import pytest

from airless.crawl.errors import BodyTooLarge, ConnectError, FetchError, FetchTimeout, TruncatedBody
from airless.crawl.pace import (
    HOST_BACKOFF,
    MAX_RETRY_AFTER_S,
    REPEATED_ERRORS,
    UNREACHABLE_FAULTS,
    HostPace,
    backoff_s,
)
from airless.crawl.settings import Pace, Retry

NOW = 1_700_000_000.0


class Highest(random.Random):
    """Always the upper end of what is asked for, so that back-off can be told from none."""

    def uniform(self, a: float, b: float) -> float:
        return b


def host(settings: Pace | None = None, rng: random.Random | None = None) -> HostPace:
    return HostPace(settings or Pace(), rng or Highest())


def end(
    pace: HostPace,
    status: int | None = 200,
    *,
    now: float = NOW,
    latency_s: float = 0.1,
    error: FetchError | None = None,
    retry_after_s: float | None = None,
) -> None:
    pace.started(now - latency_s)
    pace.finished(now, status=status, latency_s=latency_s, error=error, retry_after_s=retry_after_s)


def waits(pace: HostPace, now: float = NOW) -> float:
    return pace.ready_at(now) - now


def test_a_new_host_may_have_its_limit_at_once() -> None:
    pace = host(Pace(per_host=3))
    for _ in range(3):
        assert waits(pace) == 0.0
        pace.started(NOW)
    assert pace.ready_at(NOW) == math.inf
    assert pace.in_flight == 3
    pace.finished(NOW, status=200, latency_s=0.1)
    assert waits(pace) == 0.0


def test_a_delay_stands_between_starts_and_jitters_by_its_share() -> None:
    pace = host(Pace(delay_s=2.0, jitter=0.5), random.Random(7))
    gaps = []
    for _ in range(500):
        pace.started(NOW)
        gaps.append(waits(pace))
        pace.finished(NOW, status=200, latency_s=0.0)
    assert 1.0 <= min(gaps) < 1.1
    assert 2.9 < max(gaps) <= 3.0
    assert sum(gaps) / len(gaps) == pytest.approx(2.0, rel=0.05)


def test_without_jitter_a_delay_is_exact() -> None:
    pace = host(Pace(delay_s=2.0, jitter=0.0))
    pace.started(NOW)
    assert waits(pace) == 2.0
    assert waits(pace, NOW + 1.5) == 0.5
    assert waits(pace, NOW + 5) == 0.0


def test_a_crawl_delay_is_kept_one_request_at_a_time() -> None:
    pace = host(Pace(jitter=0.5), random.Random(1))
    pace.set_crawl_delay(10)
    assert pace.limit == 1
    pace.started(NOW)
    assert pace.ready_at(NOW + 60) == math.inf
    pace.finished(NOW + 1, status=200, latency_s=1)
    assert waits(pace, NOW + 1) == 9.0
    pace.set_crawl_delay(None)
    assert pace.limit == 8


def test_a_crawl_delay_is_capped_and_a_longer_own_delay_stays() -> None:
    pace = host(Pace(max_crawl_delay_s=30))
    pace.set_crawl_delay(86_400)
    end(pace, latency_s=0.0)
    assert waits(pace) == 30.0
    slow = host(Pace(delay_s=5, jitter=0.0))
    slow.set_crawl_delay(1)
    end(slow, latency_s=0.0)
    assert waits(slow) == 5.0


@pytest.mark.parametrize(
    ("status", "error"),
    [(429, None), (503, None), (None, FetchTimeout("late")), (None, ConnectError("refused"))],
)
def test_overload_halves_the_limit_and_makes_the_host_wait(
    status: int | None, error: FetchError | None
) -> None:
    pace = host()
    limits, holds = [], []
    now = NOW
    for _ in range(4):
        end(pace, status, now=now, error=error)
        limits.append(pace.limit)
        holds.append(waits(pace, now))
        now += 1_000
    assert limits == [4, 2, 1, 1]
    assert holds == [1.0, 2.0, 4.0, 8.0]


def test_the_back_off_is_capped_and_a_success_ends_its_growth() -> None:
    pace = host()
    now = NOW
    for _ in range(12):
        now += 100
        end(pace, 503, now=now)
    assert waits(pace, now) == 60.0
    end(pace, 200, now=now + 100)
    end(pace, 503, now=now + 101)
    assert waits(pace, now + 101) == 1.0


def test_what_was_in_flight_together_breaks_down_once() -> None:
    pace = host()
    for _ in range(8):
        pace.started(NOW)
    for _ in range(8):
        pace.finished(NOW + 1, status=503, latency_s=1.0)
    assert pace.limit == 4
    assert waits(pace, NOW + 1) == 1.0


def test_a_straggling_success_does_not_undo_a_breakdown() -> None:
    pace = host()
    pace.started(NOW)
    pace.started(NOW)
    pace.finished(NOW + 1, status=503, latency_s=1.0)
    pace.finished(NOW + 2, status=200, latency_s=2.0)
    assert pace.limit == 4
    end(pace, 503, now=NOW + 10)
    assert waits(pace, NOW + 10) == 2.0


def test_retry_after_raises_the_wait_up_to_an_hour() -> None:
    pace = host()
    end(pace, 503, retry_after_s=120)
    assert waits(pace) == 120.0
    end(pace, 429, now=NOW + 200, retry_after_s=10_000_000)
    assert waits(pace, NOW + 200) == MAX_RETRY_AFTER_S


def test_retry_after_zero_does_not_switch_back_off_off() -> None:
    pace = host()
    end(pace, 429, retry_after_s=0.0)
    assert waits(pace) == 1.0


def test_retry_after_on_a_success_holds_nothing() -> None:
    pace = host()
    end(pace, 200, retry_after_s=120)
    assert waits(pace) == 0.0


def test_a_limit_grows_by_about_one_a_round_of_successes() -> None:
    pace = host()
    for i in range(3):
        end(pace, 503, now=NOW + 100 * i)
    assert pace.limit == 1
    limits = []
    for _ in range(60):
        end(pace, now=NOW + 1_000)
        limits.append(pace.limit)
    assert limits[:4] == [2, 2, 2, 3]
    assert limits == sorted(limits)
    assert limits[-1] == 8


def test_single_server_errors_are_taken_gently_and_repeated_ones_are_not() -> None:
    pace = host()
    for i in range(REPEATED_ERRORS - 1):
        end(pace, 500, now=NOW + i)
    assert (pace.limit, waits(pace, NOW + 1)) == (8, 0.0)
    end(pace, None, now=NOW + 2, error=TruncatedBody("short"))
    assert (pace.limit, waits(pace, NOW + 2)) == (4, 1.0)


def test_a_success_forgets_server_errors() -> None:
    pace = host()
    for i in range(20):
        end(pace, 502 if i % 2 else 404, now=NOW + i)
    assert (pace.limit, waits(pace, NOW + 20)) == (8, 0.0)


def test_rising_latency_lowers_the_limit_step_by_step_and_it_recovers() -> None:
    pace = host()
    now = NOW
    for _ in range(50):
        now += 0.1
        end(pace, now=now)
    limits = []
    for _ in range(8):
        now += 0.4
        end(pace, now=now, latency_s=1.0)
        limits.append(pace.limit)
    assert limits == sorted(limits, reverse=True)
    assert 1 <= limits[-1] < 8
    assert all(a - b <= 1 for a, b in zip([8, *limits], limits, strict=False))
    for _ in range(100):
        now += 0.1
        end(pace, now=now)
    assert pace.limit == 8


def test_latency_that_stays_high_becomes_the_new_normal() -> None:
    pace = host()
    end(pace)
    now = NOW
    for _ in range(200):
        now += 2
        end(pace, now=now, latency_s=2.0)
    assert pace.limit == 8


def test_a_slow_but_steady_or_a_fast_and_uneven_host_is_left_alone() -> None:
    steady, uneven = host(), host()
    for i in range(100):
        end(steady, now=NOW + 10 * i, latency_s=5.0)
        end(uneven, now=NOW + 10 * i, latency_s=0.2 if i % 10 == 9 else 0.01)
    assert (steady.limit, uneven.limit) == (8, 8)


def test_without_adapting_the_limit_stays_and_the_waiting_is_done() -> None:
    pace = host(Pace(adaptive=False))
    end(pace, 503)
    assert (pace.limit, waits(pace)) == (8, 1.0)
    end(pace, now=NOW + 10)
    assert pace.limit == 8


def test_ten_connection_faults_in_a_row_make_a_host_unreachable() -> None:
    pace = host()
    for i in range(UNREACHABLE_FAULTS - 1):
        end(pace, None, now=NOW + 100 * i, error=ConnectError("refused"))
    assert not pace.unreachable
    end(pace, None, now=NOW + 5_000, error=FetchTimeout("late"))
    assert pace.unreachable
    end(pace, 500, now=NOW + 6_000)
    assert not pace.unreachable


def test_faults_that_are_the_pages_own_or_ours_change_nothing() -> None:
    pace = host()
    end(pace, None, error=BodyTooLarge("big"))
    end(pace, None)
    assert (pace.limit, waits(pace), pace.in_flight) == (8, 0.0, 0)


def test_a_share_of_a_host_is_its_part_of_the_rate() -> None:
    pace = host(Pace(per_host=8, delay_s=1.0, jitter=0.0))
    pace.share(4)
    assert pace.limit == 2
    end(pace, latency_s=0.0)
    assert waits(pace) == 4.0
    many = host(Pace(per_host=8))
    many.share(100)
    assert many.limit == 1
    many.set_crawl_delay(2)
    end(many, latency_s=0.0)
    assert waits(many) == 200.0


def test_nothing_is_remembered_of_a_host_that_is_well() -> None:
    pace = host()
    assert pace.dump() is None
    end(pace)
    assert pace.dump() is None


def test_a_pace_goes_on_in_another_process() -> None:
    pace = host(Pace(delay_s=100.0, jitter=0.0))
    end(pace, 503, retry_after_s=300)
    end(pace, 500, now=NOW + 1)
    stored = json.loads(json.dumps(pace.dump()))
    other = host(Pace(delay_s=100.0, jitter=0.0))
    other.restore(stored)
    assert (other.limit, other.dump()) == (4, pace.dump())
    assert waits(other) == 300.0
    end(other, 503, now=NOW + 400)
    assert waits(other, NOW + 400) == pytest.approx(99.9)


def test_unreachability_is_remembered() -> None:
    pace = host()
    for i in range(UNREACHABLE_FAULTS):
        end(pace, None, now=NOW + 100 * i, error=ConnectError("refused"))
    other = host()
    other.restore(pace.dump() or {})
    assert other.unreachable


def test_times_that_have_passed_are_not_remembered() -> None:
    pace = host(Pace(delay_s=5.0, adaptive=False))
    end(pace, 200)
    assert pace.dump(NOW) is not None
    assert pace.dump(NOW + 60) is None


def test_a_restored_limit_is_bounded_by_the_settings() -> None:
    pace = host(Pace(per_host=2))
    pace.restore({"limit": 7.5})
    assert pace.limit == 2
    pace.restore({"limit": -3.0})
    assert pace.limit == 1


def test_a_clock_that_is_set_back_holds_a_host_no_longer_than_the_delay() -> None:
    pace = host(Pace(delay_s=2.0, jitter=0.0))
    end(pace, 503, latency_s=0.0)
    day_before = NOW - 86_400
    assert waits(pace, day_before) <= MAX_RETRY_AFTER_S
    healthy = host(Pace(delay_s=2.0, jitter=0.0))
    end(healthy, latency_s=0.0)
    assert waits(healthy, day_before) == 2.0


def test_full_jitter_spreads_from_nothing_to_the_capped_power_of_two() -> None:
    retry = Retry(base_s=1.0, cap_s=10.0)
    assert [backoff_s(n, retry, Highest()) for n in range(6)] == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    assert backoff_s(100_000, HOST_BACKOFF, Highest()) == 60.0
    rng = random.Random(3)
    waits_s = [backoff_s(3, retry, rng) for _ in range(1_000)]
    assert min(waits_s) < 0.1
    assert max(waits_s) > 7.9
    assert sum(waits_s) / 1_000 == pytest.approx(4.0, rel=0.1)


def test_a_host_that_was_never_in_trouble_is_paced_as_one_that_was() -> None:
    rng = random.Random(3)
    answers: list[tuple[int | None, FetchError | None]] = [
        (None, ConnectError("refused")),
        (503, None),
        (500, None),
    ]
    answers += [(404, None), (None, None)] + 20 * [(200, None)]
    for _ in range(200):
        calm, wary = host(Pace(per_host=16)), host(Pace(per_host=16))
        wary._calm = False
        now = NOW
        for _ in range(60):
            now += rng.choice((0.0, 0.1, 5.0))
            status, error = rng.choice(answers)
            latency_s = rng.choice((0.1, 0.2, 3.0, 20.0))
            for pace in (calm, wary):
                end(pace, status, now=now, latency_s=latency_s, error=error)
            assert (calm.limit, calm.unreachable, calm.ready_at(now), calm.dump(now)) == (
                wary.limit,
                wary.unreachable,
                wary.ready_at(now),
                wary.dump(now),
            )


@pytest.mark.parametrize("settings", [Pace(per_host=3), Pace(per_host=2, delay_s=1.0), Pace(adaptive=False)])
def test_what_is_asked_to_start_does_so_as_soon_as_it_is_ready(settings: Pace) -> None:
    dice = random.Random(5)
    asked, told = host(settings, random.Random(1)), host(settings, random.Random(1))
    now = NOW
    for _ in range(2_000):
        # A clock may also be set back.
        now += dice.choice([0.0, 0.1, 0.7, 5.0, -3.0])
        ready = told.ready_at(now) <= now
        if ready:
            told.started(now)
        assert asked.start(now) is ready
        if dice.random() < 0.5:
            status = dice.choice([200, 200, 200, 404, 429, 500])
            for pace in (asked, told):
                pace.finished(now, status, 0.1, retry_after_s=2.0 if status == 429 else None)
        assert (asked.in_flight, asked.dump(now)) == (told.in_flight, told.dump(now))


def test_a_crawl_delay_goes_on_in_another_process_with_the_time_that_it_gave() -> None:
    pace = host()
    pace.set_crawl_delay(30)
    end(pace)
    other = host()
    other.restore(pace.dump(NOW) or {})
    assert waits(other) == pytest.approx(waits(pace), abs=0.001)
    assert waits(other) > 29
    assert other.limit == 1


def test_who_takes_over_without_a_word_waits_for_a_turn() -> None:
    pace = host(Pace(delay_s=2.0, jitter=0.0))
    pace.started_elsewhere(NOW)
    assert waits(pace) == 2.0
    free = host()
    free.started_elsewhere(NOW)
    assert waits(free) == 0.0
