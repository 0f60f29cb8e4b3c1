"""What every object store promises."""

from __future__ import annotations

import asyncio

from contract_host import EngineHost

from airless.core.ports import Commit


class ObjectsContract:
    # How many objects are listed; more than any store gives in one answer.
    many = 2500

    async def test_what_is_put_is_there_for_all(self, host: EngineHost) -> None:
        one, two = await host.open(), await host.open()
        await one.objects.put("items/ü 1.jsonl", b"\x00\xff" * 10)
        assert await two.objects.get("items/ü 1.jsonl") == b"\x00\xff" * 10
        await two.objects.put("items/ü 1.jsonl", b"")
        assert await one.objects.get("items/ü 1.jsonl") == b""
        assert await one.objects.get("items/2.jsonl") is None

    async def test_put_if_absent_writes_once(self, host: EngineHost) -> None:
        engines = [await host.open() for _ in range(4)]
        wins = await asyncio.gather(
            *(e.objects.put_if_absent("dead/1", b"%d" % n) for n, e in enumerate(engines))
        )
        assert sum(wins) == 1
        assert await engines[0].objects.get("dead/1") == b"%d" % wins.index(True)

    async def test_list_gives_the_names_of_a_prefix_in_order(self, host: EngineHost) -> None:
        engine = await host.open()
        names = [f"items/{n:05d}" for n in range(self.many)]
        await engine.commit(Commit(put=dict.fromkeys([*reversed(names), "item", "itemsx", "robots/1"], b"x")))
        assert [name async for name in engine.objects.list("items/")] == names
        assert [name async for name in engine.objects.list("nothing")] == []

    async def test_names_may_go_while_they_are_listed(self, host: EngineHost) -> None:
        engine = await host.open()
        names = [f"items/{n:05d}" for n in range(self.many * 3 // 5)]
        await engine.commit(Commit(put=dict.fromkeys(names, b"x")))
        seen = []
        async for name in engine.objects.list("items/"):
            seen.append(name)
            await engine.objects.delete([name])
        assert seen == names
        assert [name async for name in engine.objects.list("")] == []

    async def test_delete_is_content_with_what_is_not_there(self, host: EngineHost) -> None:
        engine = await host.open()
        await engine.objects.put("a", b"1")
        await engine.objects.put("", b"2")
        await engine.objects.delete([])
        await engine.objects.delete(["nothing", "a"])
        assert await engine.objects.get("a") is None
