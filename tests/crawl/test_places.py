"""Places for requests that crawlers share: never more than there are, and a fair share for each."""

from __future__ import annotations

import asyncio

from airless.crawl.places import Places


def test_no_more_are_taken_than_there_are() -> None:
    places = Places(5)
    one, other = places.join(lambda: None), places.join(lambda: None)
    one.take(one.room(3))
    other.take(other.room(9))
    assert (one.taken, other.taken, places.taken) == (3, 2, 5)
    assert places.full


def test_who_waits_is_woken_when_a_place_is_given_back() -> None:
    places, woken = Places(2), []
    one, other = places.join(lambda: woken.append("one")), places.join(lambda: woken.append("other"))
    one.take(one.room(2))
    assert other.room(1) == 0
    one.give_back(1)
    assert woken == ["other"]
    assert other.room(1) == 1


def test_while_somebody_waits_who_has_his_share_gets_no_more() -> None:
    places = Places(4)
    one = places.join(lambda: None)
    other = places.join(lambda: other.take(other.room(4)))
    one.take(one.room(4))
    assert other.room(4) == 0
    one.give_back(2)
    assert other.taken == 2
    # The other wants more still; each has half of them.
    assert one.room(2) == 0


async def test_who_waits_and_has_less_than_his_share_is_handed_a_place_at_once() -> None:
    places, woken = Places(4), []
    one, other = places.join(lambda: None), places.join(lambda: woken.append("other"))
    third = places.join(lambda: woken.append("third"))
    one.take(one.room(2))
    other.take(other.room(2))
    assert (other.room(1), third.room(1)) == (0, 0)
    one.give_back(1)
    assert woken == ["third"]
    await asyncio.sleep(0)
    # Nobody has taken it.
    assert woken == ["third", "other"]


async def test_who_gives_a_place_back_may_take_it_again_before_others_get_more_than_their_share() -> None:
    places, woken = Places(4), []
    one, other = places.join(lambda: None), places.join(lambda: woken.append("other"))
    one.take(one.room(2))
    other.take(other.room(2))
    assert other.room(1) == 0
    for _ in range(3):
        one.give_back(1)
        one.take(one.room(1))
        assert one.taken == 2
        await asyncio.sleep(0)
    assert woken == []
    one.give_back(1)
    await asyncio.sleep(0)
    assert woken == ["other"]


def test_who_leaves_gives_all_back_and_is_woken_no_more() -> None:
    places, woken = Places(2), []
    one, other = places.join(lambda: None), places.join(lambda: woken.append("other"))
    one.take(one.room(2))
    assert other.room(1) == 0
    other.leave()
    one.leave()
    assert (places.taken, woken) == (0, [])
    alone = places.join(lambda: None)
    assert alone.room(2) == 2
