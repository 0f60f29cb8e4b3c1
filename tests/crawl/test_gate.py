"""The gate: what is known of a host's rules opens at once, for as long as it counts."""

from __future__ import annotations

import random

import pytest
from support.pages import Page, Pages, text

from airless.core.clock import ManualClock
from airless.crawl.gate import Gate
from airless.crawl.pace import HostPace
from airless.crawl.schedule import HostQueue
from airless.crawl.settings import Pace, Settings

HERE = "http://a.test/"
FORBIDS = text("User-agent: *\nDisallow: /no\n", cache_control="max-age=600")
ALLOWS = text("", cache_control="max-age=600")


class World:
    def __init__(self, **robots: Page | list[Page]) -> None:
        self.pages = Pages({f"{scheme}://a.test/robots.txt": answer for scheme, answer in robots.items()})
        self.clock = ManualClock()
        self.gate = Gate(Settings(), self.pages, self.clock, lambda queue: None)
        self.queue = HostQueue("a.test", HostPace(Pace(), random.Random(1)), cap=10)

    def passes(self, url: str) -> bool:
        return self.gate.passes(self.queue, url, self.clock.now())

    async def ask(self, url: str) -> str | None:
        """The reason for which a URL is skipped, asked as a worker does."""
        if self.passes(url):
            return None
        outcome = await self.gate.check(self.queue, url)
        return None if outcome is None else outcome.reason

    @property
    def fetched(self) -> int:
        return len(self.pages.asked)


async def test_rules_that_are_known_are_asked_for_no_more_until_they_expire() -> None:
    world = World(http=[FORBIDS, ALLOWS])
    for _ in range(3):
        assert await world.ask(HERE + "yes") is None
        assert await world.ask(HERE + "no/x") == "robots"
    world.clock.advance(599)
    assert await world.ask(HERE + "no") == "robots"
    assert world.fetched == 1
    world.clock.advance(1)
    assert not world.passes(HERE + "no")
    assert await world.ask(HERE + "no") is None
    assert world.fetched == 2


async def test_what_expires_within_the_moment_is_not_used_beyond() -> None:
    world = World(http=[FORBIDS, ALLOWS])
    await world.ask(HERE)
    world.clock.advance(599.5)
    assert await world.ask(HERE + "no") == "robots"
    world.clock.advance(0.5)
    assert await world.ask(HERE + "no") is None


async def test_each_origin_of_a_host_has_its_own_rules() -> None:
    world = World(http=FORBIDS, https=ALLOWS)
    for _ in range(3):
        assert await world.ask("http://a.test/no") == "robots"
        assert await world.ask("https://a.test/no") is None
        assert await world.ask("http://me@a.test/no") == "robots"
    assert world.fetched == 2


async def test_what_is_remembered_of_rules_knows_escapes_and_wildcards() -> None:
    world = World(http=text("User-agent: *\nDisallow: /no\nDisallow: /a*sid=\nAllow: /no/but\n"))
    await world.ask(HERE)
    assert world.passes(HERE)
    assert world.queue.rules is not None
    for path in ("yes", "no/but", "a?sod=1", "b?sid=1", "robots.txt", "yes%6Eo"):
        assert world.passes(HERE + path)
    for path in ("no", "no/x", "%6e%6F", "n%6F/x", "a?sid=1", "%61bc?sid="):
        assert not world.passes(HERE + path)


async def test_a_host_remembers_light_rules_alone() -> None:
    many = "".join(f"Disallow: /{n}$\n" for n in range(1_000))
    world = World(http=text(f"User-agent: *\n{many}"))
    for n in range(3):
        assert await world.ask(f"{HERE}{n}") == "robots"
        assert await world.ask(f"{HERE}{n}/") is None
    assert world.queue.rules is None
    assert world.fetched == 1


@pytest.mark.parametrize("probing", [True, False])
async def test_a_host_that_is_probed_or_spent_is_not_passed(probing: bool) -> None:
    world = World(http=ALLOWS)
    assert await world.ask(HERE) is None
    assert world.passes(HERE)
    world.queue.probing, world.queue.pages = probing, 0 if probing else 10
    assert not world.passes(HERE)
    assert await world.ask(HERE) == (None if probing else "host_pages")
