"""What of a measured invocation is billed, and how requests are counted wherever clients are made."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from airless.cost.bill import Bill
from airless.cost.usage import Usage
from airless.engines.aws.meter import Meter

SERVICES = ("sqs", "s3", "dynamodb", "scheduler")
# A whole vCPU comes with so much memory.
_VCPU_MB = 1_769


def billed_s(wall_s: float, cpu_s: float, memory_mb: int) -> float:
    """What an invocation takes there, that took `wall_s` here with a whole processor to itself.

    The part of a processor that comes with the memory is slower: what was computed takes longer by that, and none of
    it is taken to overlap with waiting.
    """
    return wall_s + cpu_s * max(0.0, _VCPU_MB / memory_mb - 1)


@contextmanager
def counted() -> Iterator[Usage]:
    """What is asked by all sessions that botocore makes meanwhile, also later on."""
    import botocore

    meter = Meter()

    def listen(session: Any) -> None:
        for service in SERVICES:
            meter.listen(session.register, service)

    botocore.register_initializer(listen)
    try:
        yield meter.usage
    finally:
        botocore.unregister_initializer(listen)


def a_million(bill: Bill, pages: int) -> dict[str, float]:
    """US dollars a million pages, by line; all of them as "all"."""
    share = 1e6 / max(pages, 1)
    lines = {line.name: round(line.usd * share, 5) for line in bill.lines}
    return {**lines, "all": round(bill.usd * share, 5)}


def tell(bills: Mapping[str, dict[str, float]]) -> list[dict[str, Any]]:
    """The lines of several bills side by side, as rows."""
    names = dict.fromkeys(name for bill in bills.values() for name in bill if name != "all")
    return [
        {"usd_a_million_pages": name, **{who: bill.get(name, 0.0) for who, bill in bills.items()}}
        for name in (*names, "all")
    ]


def say(text: str) -> None:
    """Tell how it goes, while the rest is still to come."""
    print(text, file=sys.stderr, flush=True)
