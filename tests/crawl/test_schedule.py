"""Whose turn it is: hosts in rounds, none in another's way."""

import math
import random

import pytest

from airless.core.ports import Delivery
from airless.crawl import schedule as module
from airless.crawl.errors import ConnectError
from airless.crawl.held import Entry, Held
from airless.crawl.pace import HostPace
from airless.crawl.request import Request
from airless.crawl.schedule import HostQueue, Schedule
from airless.crawl.settings import Pace

NOW = 1_000.0


def _entry(url: str, priority: int = 0) -> Entry:
    held = Held(Delivery("frontier/job", b"", "1", "r"), "1", 0, 1_000)
    return Entry(Request(url, priority=priority), held, 0)


class Hosts:
    """Makes the queues of a schedule, and remembers which it made."""

    def __init__(self, pace: Pace, cap: float = math.inf) -> None:
        self.pace = pace
        self.cap = cap
        self.made: list[str] = []

    def __call__(self, host: str) -> HostQueue:
        self.made.append(host)
        return HostQueue(host, HostPace(self.pace, random.Random(1)), cap=self.cap)


def _schedule(cap: float = math.inf, **pace: float) -> Schedule:
    return Schedule(Hosts(Pace(**{"jitter": 0.0, **pace}), cap))  # type: ignore[arg-type]


def _fill(schedule: Schedule, **numbers: int) -> None:
    for host, number in numbers.items():
        for n in range(number):
            schedule.add(host, _entry(f"http://{host}/{n}"))


def _take(schedule: Schedule, now: float = NOW) -> str | None:
    return next((entry.request.url for _, entry in schedule.take(now)), None)


def _finish(schedule: Schedule, host: str, now: float = NOW, error: ConnectError | None = None) -> None:
    queue = schedule.host(host)
    queue.pace.finished(now, status=None if error else 200, latency_s=0.0, error=error)
    schedule.wake(queue)


def test_hosts_take_turns_one_request_a_round() -> None:
    schedule = _schedule(per_host=8)
    _fill(schedule, a=3, b=2, c=1)
    order = [_take(schedule) for _ in range(6)]
    assert order == ["http://a/0", "http://b/0", "http://c/0", "http://a/1", "http://b/1", "http://a/2"]
    assert schedule.size == 0
    assert _take(schedule) is None


def test_whether_something_may_start_now_is_for_the_hosts_paces_to_say() -> None:
    schedule = _schedule(per_host=1)
    assert not schedule.may_start(NOW)
    _fill(schedule, a=2, b=1)
    assert schedule.may_start(NOW)
    assert len(schedule.take(NOW, 2)) == 2
    assert not schedule.may_start(NOW)
    _finish(schedule, "a")
    assert schedule.may_start(NOW)
    assert _take(schedule) == "http://a/1"
    assert not schedule.may_start(NOW)


def test_what_has_to_wait_for_its_time_may_start_when_that_has_come() -> None:
    schedule = _schedule(per_host=2, delay_s=5.0)
    _fill(schedule, a=2)
    assert _take(schedule) == "http://a/0"
    assert not schedule.may_start(NOW + 4.0)
    assert schedule.next_at() == NOW + 5.0
    assert schedule.take(NOW + 5.0, 0) == []
    assert schedule.may_start(NOW + 5.0)
    assert _take(schedule, NOW + 5.0) == "http://a/1"


def test_several_are_taken_at_once_in_the_order_in_which_they_would_be_one_by_one() -> None:
    schedule = _schedule(per_host=8)
    _fill(schedule, a=3, b=2, c=1)
    taken = [schedule.take(NOW, number) for number in (4, 10, 10)]
    assert [[entry.request.url for _, entry in turns] for turns in taken] == [
        ["http://a/0", "http://b/0", "http://c/0", "http://a/1"],
        ["http://b/1", "http://a/2"],
        [],
    ]
    assert schedule.size == 0


def test_a_host_at_its_limit_waits_for_one_to_end_and_holds_up_nobody() -> None:
    schedule = _schedule(per_host=2)
    _fill(schedule, slow=10, other=3)
    taken = [_take(schedule) for _ in range(4)]
    assert taken == ["http://slow/0", "http://other/0", "http://slow/1", "http://other/1"]
    assert _take(schedule) is None
    assert schedule.next_at() == math.inf
    _finish(schedule, "other")
    assert _take(schedule) == "http://other/2"
    assert _take(schedule) is None
    _finish(schedule, "slow")
    assert _take(schedule) == "http://slow/2"


def test_a_host_with_as_much_under_way_as_may_be_is_not_looked_at_until_something_of_it_has_ended() -> None:
    schedule = _schedule(per_host=2)
    _fill(schedule, a=10)
    assert _take(schedule) == "http://a/0"
    assert schedule.has_ready  # it could have one more
    assert _take(schedule) == "http://a/1"
    assert not schedule.has_ready
    _finish(schedule, "a")
    assert schedule.has_ready
    assert _take(schedule) == "http://a/2"


def test_a_host_with_a_delay_comes_back_when_its_time_has_come() -> None:
    schedule = _schedule(delay_s=5.0)
    _fill(schedule, a=2, b=1)
    assert _take(schedule) == "http://a/0"
    assert _take(schedule) == "http://b/0"
    assert _take(schedule) is None
    assert schedule.next_at() == NOW + 5.0
    assert _take(schedule, NOW + 4.9) is None
    assert _take(schedule, NOW + 5.0) == "http://a/1"
    assert schedule.next_at() == math.inf


def test_those_that_wait_come_in_the_order_of_their_times() -> None:
    schedule = _schedule(delay_s=10.0)
    _fill(schedule, a=2, b=2)
    assert _take(schedule, NOW) == "http://a/0"
    assert _take(schedule, NOW + 3) == "http://b/0"
    assert _take(schedule, NOW + 3) is None
    assert schedule.next_at() == NOW + 10.0
    assert _take(schedule, NOW + 20) == "http://a/1"
    assert _take(schedule, NOW + 20) == "http://b/1"


def test_the_highest_priority_of_a_host_goes_first_then_as_it_came() -> None:
    schedule = _schedule()
    for name, priority in [("low", -1), ("first", 0), ("high", 5), ("second", 0), ("higher", 9)]:
        schedule.add("a", _entry(f"http://a/{name}", priority))
    order = [(_take(schedule) or "").rpartition("/")[2] for _ in range(5)]
    assert order == ["higher", "high", "first", "second", "low"]


def test_what_is_put_back_is_next_of_its_host() -> None:
    schedule = _schedule()
    _fill(schedule, a=3)
    [(queue, entry)] = schedule.take(NOW)
    queue.pace.finished(NOW, status=None, latency_s=0.0)
    schedule.put_back(queue, entry)
    assert schedule.size == 3
    assert [_take(schedule) for _ in range(3)] == ["http://a/0", "http://a/1", "http://a/2"]


def test_the_last_of_a_host_can_be_put_back() -> None:
    schedule = _schedule()
    _fill(schedule, a=1)
    [(queue, entry)] = schedule.take(NOW)
    assert _take(schedule) is None
    queue.pace.finished(NOW, status=None, latency_s=0.0)
    schedule.put_back(queue, entry)
    assert _take(schedule) == "http://a/0"
    assert schedule.size == 0


def test_a_blocked_host_waits_until_its_time_and_others_go_on() -> None:
    schedule = _schedule()
    _fill(schedule, a=2, b=2)
    schedule.host("a").blocked_until = NOW + 60
    assert [_take(schedule) for _ in range(3)] == ["http://b/0", "http://b/1", None]
    assert schedule.next_at() == NOW + 60
    assert _take(schedule, NOW + 60) == "http://a/0"


def test_while_probing_one_request_at_a_time_is_under_way() -> None:
    schedule = _schedule(per_host=8)
    queue = schedule.host("a")
    queue.probing = True
    _fill(schedule, a=3, b=1)
    assert [_take(schedule) for _ in range(3)] == ["http://a/0", "http://b/0", None]
    queue.probing = False
    schedule.wake(queue)
    assert [_take(schedule) for _ in range(3)] == ["http://a/1", "http://a/2", None]


def test_waking_twice_gives_a_host_no_second_turn() -> None:
    schedule = _schedule(per_host=8)
    _fill(schedule, a=2, b=2)
    for _ in range(3):
        schedule.wake(schedule.host("a"))
    assert [_take(schedule) for _ in range(4)] == ["http://a/0", "http://b/0", "http://a/1", "http://b/1"]


def test_waking_a_host_that_waits_for_its_time_does_not_undercut_it() -> None:
    schedule = _schedule(delay_s=5.0)
    _fill(schedule, a=2)
    assert _take(schedule) == "http://a/0"
    assert _take(schedule) is None
    _finish(schedule, "a")
    assert _take(schedule) is None
    assert _take(schedule, NOW + 5) == "http://a/1"


def test_no_more_requests_are_under_way_than_the_pages_that_are_left_to_a_host() -> None:
    schedule = _schedule(cap=3, per_host=8)
    _fill(schedule, a=9)
    assert [_take(schedule) for _ in range(4)] == ["http://a/0", "http://a/1", "http://a/2", None]
    queue = schedule.host("a")
    queue.pages += 1
    _finish(schedule, "a")
    assert _take(schedule) is None
    _finish(schedule, "a")  # a failure is no page: its place is free again
    assert _take(schedule) == "http://a/3"
    assert _take(schedule) is None


def test_a_host_whose_pages_are_used_up_gets_its_turn_to_be_told_so() -> None:
    schedule = _schedule(cap=1, per_host=8)
    _fill(schedule, a=2)
    assert _take(schedule) == "http://a/0"
    schedule.host("a").pages += 1
    _finish(schedule, "a")
    assert schedule.host("a").spent
    assert _take(schedule) == "http://a/1"


def test_taking_all_of_a_host_leaves_the_others() -> None:
    schedule = _schedule()
    _fill(schedule, a=3, b=1)
    assert len(schedule.take_all(schedule.host("a"))) == 3
    assert schedule.size == 1
    assert [_take(schedule), _take(schedule)] == ["http://b/0", None]
    _fill(schedule, a=1)
    assert _take(schedule) == "http://a/0"


def test_draining_gives_back_everything_that_waits() -> None:
    schedule = _schedule(delay_s=5.0)
    _fill(schedule, a=3, b=1)
    assert _take(schedule) == "http://a/0"
    assert sorted(entry.request.url for entry in schedule.drain()) == [
        "http://a/1",
        "http://a/2",
        "http://b/0",
    ]
    assert schedule.size == 0
    assert _take(schedule, NOW + 5) is None


def test_how_long_a_host_lasts_grows_with_what_waits_and_with_its_delay() -> None:
    schedule = _schedule(delay_s=2.0, per_host=1)
    _fill(schedule, a=10, b=20)
    assert _take(schedule) == "http://a/0"
    assert schedule.host("a").drain_s(NOW) >= 9 * 0.05
    _finish(schedule, "a")
    assert schedule.host("a").drain_s(NOW) == pytest.approx(9 * 2.0)
    assert schedule.host("b").drain_s(NOW) > 0
    assert schedule.host("c").drain_s(NOW) == 0


def test_idle_hosts_are_forgotten_beyond_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REMEMBERED_HOSTS", 100)
    schedule = _schedule()
    most = 0
    for n in range(1_000):
        schedule.add(f"h{n}", _entry(f"http://h{n}/"))
        assert _take(schedule, NOW + n) == f"http://h{n}/"
        _finish(schedule, f"h{n}", NOW + n)
        most = max(most, schedule.hosts)
    assert most <= 101


def test_hosts_that_were_delayed_are_forgotten_too_once_the_delay_has_passed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_REMEMBERED_HOSTS", 100)
    schedule = _schedule(delay_s=5.0)
    for n in range(1_000):
        schedule.add(f"h{n}", _entry(f"http://h{n}/"))
        assert _take(schedule, NOW + n) == f"http://h{n}/"
        _finish(schedule, f"h{n}", NOW + n)
    assert schedule.hosts <= 200


def test_hosts_that_are_busy_waiting_or_in_trouble_are_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REMEMBERED_HOSTS", 10)
    schedule = _schedule()
    _fill(schedule, busy=1, troubled=1)
    assert [_take(schedule), _take(schedule)] == ["http://busy/0", "http://troubled/0"]
    _finish(schedule, "troubled", error=ConnectError("refused"))
    schedule.add("waiting", _entry("http://waiting/"))
    kept = {name: schedule.host(name) for name in ("busy", "troubled", "waiting")}
    for n in range(100):
        schedule.host(f"h{n}")
    assert all(schedule.host(name) is queue for name, queue in kept.items())


def test_hosts_that_can_not_be_forgotten_are_not_looked_through_again_for_each_new_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_REMEMBERED_HOSTS", 50)
    looks = 0
    forget = Schedule._forget_idle

    def counted(schedule: Schedule) -> None:
        nonlocal looks
        looks += 1
        forget(schedule)

    monkeypatch.setattr(Schedule, "_forget_idle", counted)
    schedule = _schedule()
    for n in range(2_000):
        schedule.add(f"h{n}", _entry(f"http://h{n}/"))
    assert schedule.hosts == 2_000
    assert looks <= 10


def test_what_comes_together_goes_by_priority_and_depth_too() -> None:
    schedule = _schedule(per_host=100)
    entries = []
    for n, (priority, depth) in enumerate([(0, 2), (0, 2), (5, 1), (0, 1), (5, 1), (0, 2)]):
        entry = _entry(f"http://a/{n}", priority)
        entry.request.depth = depth
        entries.append(entry)
    schedule.add("a", *entries)
    schedule.add("a", *entries[:1])
    assert schedule.size == 7
    assert [_take(schedule) for _ in range(7)] == [f"http://a/{n}" for n in (2, 4, 3, 0, 1, 5, 0)]
    assert _take(schedule) is None


def test_no_entry_leaves_its_queue_before_it_may_start() -> None:
    queue = HostQueue("a", HostPace(Pace(delay_s=2.0, jitter=0.0), random.Random(1)))
    assert queue.take(NOW) is None
    queue.push([_entry(f"http://a/{n}") for n in range(3)])
    queue.blocked_until = NOW + 1
    assert queue.take(NOW) is None
    assert queue.take(NOW + 1, deepest=-1) is None
    assert (queue.size, queue.pace.in_flight) == (3, 0)
    assert queue.take(NOW + 1) is not None
    assert queue.take(NOW + 2) is None
    queue.probing = True
    assert queue.take(NOW + 3) is None
    assert (queue.size, queue.pace.in_flight) == (2, 1)
