"""Places for requests that crawlers share: never more than there are, and a fair share for each."""

from __future__ import annotations

import asyncio
import math
import random

import pytest

from airless.core.clock import SystemClock
from airless.core.ports import Delivery
from airless.crawl.budget import Unlimited
from airless.crawl.held import Entry, Held
from airless.crawl.pace import HostPace
from airless.crawl.places import Place, Places
from airless.crawl.request import Request
from airless.crawl.schedule import HostQueue, Schedule
from airless.crawl.settings import Pace
from airless.crawl.workers import Workers


def ask(place: Place, wanted: int) -> int:
    """Take what it may have of so many, and wait for the rest; what it got."""
    room = place.room(wanted)
    place.take(room)
    if room < wanted:
        place.wait()
    return room


def crawler(places: Places, *, per_host: int) -> Workers:
    """One with requests for one host, more than may be under way."""
    schedule = Schedule(
        lambda host: HostQueue(
            host, HostPace(Pace(per_host=per_host, jitter=0.0, adaptive=False), random.Random(1))
        )
    )
    held = Held(Delivery("frontier/job", b"", "1", "r"), "1", 0, 100)
    schedule.add("a", *[Entry(Request(f"http://a/{n}"), held, n) for n in range(100)])
    return Workers(
        schedule, Unlimited(), SystemClock(), limit=8, levels=None, deadline_s=math.inf, places=places
    )


def test_no_more_are_taken_than_there_are() -> None:
    places = Places(5)
    one, other = places.join(lambda: None), places.join(lambda: None)
    ask(one, 3)
    ask(other, 9)
    assert (one.taken, other.taken, places.taken) == (3, 2, 5)
    assert places.full


def test_who_waits_is_woken_when_a_place_is_given_back() -> None:
    places, woken = Places(2), []
    one, other = places.join(lambda: woken.append("one")), places.join(lambda: woken.append("other"))
    ask(one, 2)
    assert ask(other, 1) == 0
    one.give_back(1)
    assert woken == ["other"]
    assert ask(other, 1) == 1


def test_while_somebody_waits_who_has_his_share_gets_no_more() -> None:
    places = Places(4)
    one = places.join(lambda: None)
    other = places.join(lambda: ask(other, 4))
    ask(one, 4)
    assert ask(other, 4) == 0
    one.give_back(2)
    assert other.taken == 2
    # The other wants more still; each has half of them.
    assert ask(one, 2) == 0


async def test_who_waits_and_has_less_than_his_share_is_handed_a_place_at_once() -> None:
    places, woken = Places(4), []
    one, other = places.join(lambda: None), places.join(lambda: woken.append("other"))
    third = places.join(lambda: woken.append("third"))
    ask(one, 2)
    ask(other, 2)
    assert (ask(other, 1), ask(third, 1)) == (0, 0)
    one.give_back(1)
    assert woken == ["third"]
    await asyncio.sleep(0)
    # Nobody has taken it.
    assert woken == ["third", "other"]


async def test_who_gives_a_place_back_may_take_it_again_before_others_get_more_than_their_share() -> None:
    places, woken = Places(4), []
    one, other = places.join(lambda: None), places.join(lambda: woken.append("other"))
    ask(one, 2)
    ask(other, 2)
    assert ask(other, 1) == 0
    for _ in range(3):
        one.give_back(1)
        ask(one, 1)
        assert one.taken == 2
        await asyncio.sleep(0)
    assert woken == []
    one.give_back(1)
    await asyncio.sleep(0)
    assert woken == ["other"]


async def test_who_gives_a_place_back_is_not_handed_it_while_it_is_about_to_take_it() -> None:
    """Woken then, it would begin anew what goes on more cheaply."""
    places, woken = Places(4), []
    one, other = places.join(lambda: woken.append("one")), places.join(lambda: None)
    ask(other, 2)
    assert ask(one, 4) == 2
    ask(other, 1)
    one.give_back(1)
    assert woken == []
    assert ask(one, 1) == 1
    await asyncio.sleep(0)
    assert woken == []
    one.give_back(2)
    await asyncio.sleep(0)
    assert woken == ["one"]  # it has not taken them at once


def test_who_leaves_gives_all_back_and_is_woken_no_more() -> None:
    places, woken = Places(2), []
    one, other = places.join(lambda: None), places.join(lambda: woken.append("other"))
    ask(one, 2)
    assert ask(other, 1) == 0
    other.leave()
    one.leave()
    assert (places.taken, woken) == (0, [])
    alone = places.join(lambda: None)
    assert ask(alone, 2) == 2


@pytest.mark.parametrize(("per_host", "gets"), [(2, 1), (8, 0)])
async def test_only_who_could_start_something_keeps_others_to_their_share(per_host: int, gets: int) -> None:
    places = Places(5)
    one, other = crawler(places, per_host=per_host), crawler(places, per_host=8)
    assert len(other.following(3)) == 3
    assert len(one.following(2)) == 2
    assert one.following(1) == []  # all are taken
    other.ended(1, 1)
    assert len(other.following(1)) == gets
