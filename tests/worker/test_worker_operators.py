"""Operators on workers, each on its topic, the one of errors beside them."""

from __future__ import annotations

import pytest
from support.functions import Fleet
from support.workers import at_work, until, worker

from airless.core.errors import ConfigError
from airless.core.message import Message
from airless.worker.duty import Duty

KEEPING = "worker.operators_on_workers:Keeping"


async def test_an_operator_works_on_its_topic_and_what_fails_is_reported_and_given_up() -> None:
    fleet = Fleet()
    messages = [Message("keeping", {"n": n, "fail": n == 3}, id=f"m{n}") for n in range(6)]
    await fleet.engine().queue.publish_many(messages)
    one = worker(fleet, Duty("memory://", operators=(("keeping", KEEPING),), crawls=False))
    async with at_work(one):
        await until(lambda: one.standing() is not None)
        await until(lambda: not fleet.store.topics["keeping"].entries)
        await until(lambda: one.standing().done.messages["error", "done"] == 1)
    kept = {name for name in fleet.store.blobs if name.startswith("kept/")}
    assert kept == {f"kept/m{n}" for n in range(6) if n != 3}
    done = one.standing().done.messages
    assert (done["keeping", "done"], done["keeping", "dead"], done["error", "done"]) == (5, 1, 1)


async def test_an_operator_that_there_is_not_is_told_of_before_anything_is_taken() -> None:
    fleet = Fleet()
    with pytest.raises(ConfigError, match="nowhere"):
        await worker(fleet, Duty("memory://", operators=(("x", "nowhere:Nobody"),))).run()
