"""A process of its own on a sqlite engine: `python sqlite_process.py ROLE URL NUMBER COUNT`.

publish: puts COUNT messages, ten at a time. work: moves messages from `in` to `out` until none has come for a
while. hold: leases COUNT messages, says so, and waits to be killed.
"""

from __future__ import annotations

import asyncio
import sys

from airless.core.message import Message
from airless.core.ports import Commit, Settlement
from airless.engines import OpenEngine, open_engine


async def publish(engine: OpenEngine, number: int, count: int) -> None:
    for start in range(0, count, 10):
        await engine.queue.publish_many(
            [
                Message("in", {"n": n}, id=f"{number}-{n}", ordering_key=f"k{n % 7}" if n % 3 else None)
                for n in range(start, start + 10)
            ]
        )


async def work(engine: OpenEngine, number: int, count: int) -> None:
    while batch := await engine.queue.receive("in", limit=5, lease_s=600, wait_s=2):
        await engine.commit(
            Commit(
                put={f"done/{d.id}/{number}": d.body for d in batch},
                publish=[Message("out", {"by": number}, id=d.id) for d in batch],
                settle=[Settlement.done(d) for d in batch],
            )
        )


async def hold(engine: OpenEngine, number: int, count: int) -> None:
    held = await engine.queue.receive("in", limit=count, lease_s=3600)
    sys.stdout.write(f"holding {len(held)}\n")
    sys.stdout.flush()
    await asyncio.sleep(600)


async def main(role: str, url: str, number: str, count: str) -> None:
    async with await open_engine(url) as engine:
        await {"publish": publish, "work": work, "hold": hold}[role](engine, int(number), int(count))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
