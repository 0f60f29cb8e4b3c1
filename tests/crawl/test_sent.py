"""What was published lately is known when it comes back."""

from __future__ import annotations

from airless.crawl.request import Request
from airless.crawl.sent import Sent


def batch(number: int) -> list[Request]:
    return [Request(f"http://a.test/{n}") for n in range(number)]


def test_a_message_is_known_once() -> None:
    sent, requests = Sent(), batch(3)
    sent.remember("one", 7, requests)
    assert len(sent) == 3
    assert sent.take("other") is None
    assert sent.take("one") == (7, requests)
    assert sent.take("one") is None
    assert len(sent) == 0


def test_the_oldest_are_forgotten_first() -> None:
    sent = Sent()
    for number in range(1_000):
        sent.remember(str(number), 0, batch(200))
        assert len(sent) <= 16_000
    assert sent.take("0") is None
    assert sent.take("999") is not None
    assert len(sent) == 16_000 - 200
