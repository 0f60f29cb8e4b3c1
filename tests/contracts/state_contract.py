"""What every state store promises: compare-and-set, and nothing else."""

from __future__ import annotations

import asyncio

import pytest
from contract_host import EngineHost

from airless.core.errors import Conflict
from airless.core.ports import StateWrite


class StateContract:
    async def test_what_was_never_written_is_none(self, host: EngineHost) -> None:
        engine = await host.open()
        assert await engine.state.load("shard-1") is None

    async def test_state_is_created_and_changed(self, host: EngineHost) -> None:
        one, two = await host.open(), await host.open()
        first = await one.state.commit(StateWrite("shard-1", b"one", None))
        loaded = await two.state.load("shard-1")
        assert (loaded.version, loaded.data) == (first, b"one")
        second = await two.state.commit(StateWrite("shard-1", b"", first))
        assert second != first
        loaded = await one.state.load("shard-1")
        assert (loaded.version, loaded.data) == (second, b"")

    @pytest.mark.parametrize("expected", [None, "0", "2", "", "etag", "²", "9" * 30])
    async def test_a_version_that_is_not_current_conflicts(
        self, host: EngineHost, expected: str | None
    ) -> None:
        engine = await host.open()
        version = await engine.state.commit(StateWrite("shard-1", b"one", None))
        with pytest.raises(Conflict) as caught:
            await engine.state.commit(StateWrite("shard-1", b"two", expected))
        assert caught.value.key == "shard-1"
        loaded = await engine.state.load("shard-1")
        assert (loaded.version, loaded.data) == (version, b"one")

    async def test_a_version_of_what_does_not_exist_conflicts(self, host: EngineHost) -> None:
        engine = await host.open()
        with pytest.raises(Conflict):
            await engine.state.commit(StateWrite("shard-1", b"one", "1"))
        assert await engine.state.load("shard-1") is None

    async def test_of_many_at_once_one_wins(self, host: EngineHost) -> None:
        engines = [await host.open() for _ in range(4)]
        results = await asyncio.gather(
            *(e.state.commit(StateWrite("shard-1", b"%d" % n, None)) for n, e in enumerate(engines)),
            return_exceptions=True,
        )
        assert sum(isinstance(result, Conflict) for result in results) == 3
        winner = next(n for n, result in enumerate(results) if isinstance(result, str))
        assert (await engines[0].state.load("shard-1")).data == b"%d" % winner

    async def test_list_gives_the_keys_of_a_prefix_in_order(self, host: EngineHost) -> None:
        engine = await host.open()
        for key in ["b/2", "a/1", "b/10", "b/ü", "b", "c", "b/\U0010ffff", "B/1"]:
            await engine.state.commit(StateWrite(key, b"", None))
        assert [key async for key in engine.state.list("b/")] == ["b/10", "b/2", "b/ü", "b/\U0010ffff"]
        assert [key async for key in engine.state.list("")] == sorted(
            ["b/2", "a/1", "b/10", "b/ü", "b", "c", "b/\U0010ffff", "B/1"]
        )
        assert [key async for key in engine.state.list("z")] == []
