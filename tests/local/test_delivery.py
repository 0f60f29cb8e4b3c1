"""Committed items reach the output each exactly once, whatever happens in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from airless.core.errors import ConfigError, EngineError, OutputError
from airless.core.ports import StateWrite
from airless.crawl.layout import Layout
from airless.engines.memory import MemoryEngine
from airless.local.crawl.delivery import Delivery, nothing_to_deliver

LAYOUT = Layout("job", 4)


@pytest.fixture
async def engine() -> AsyncIterator[MemoryEngine]:
    async with MemoryEngine() as engine:
        yield engine


async def commit_items(engine: MemoryEngine, first: int, last: int) -> None:
    for number in range(first, last):
        line = b'{"n":%d}\n' % number
        await engine.objects.put(f"{LAYOUT.items_prefix}00000/{number:012d}", line)


async def waiting(engine: MemoryEngine) -> int:
    return len([name async for name in engine.objects.list(LAYOUT.items_prefix)])


def lines(first: int, last: int) -> str:
    return "".join(f'{{"n":{number}}}\n' for number in range(first, last))


async def test_what_is_delivered_is_let_go_and_recorded(engine: MemoryEngine, tmp_path: Path) -> None:
    output = tmp_path / "items.jsonl"
    delivery = await Delivery.open(engine, LAYOUT, str(output))
    await commit_items(engine, 0, 150)
    assert await delivery.deliver() == 150
    assert await waiting(engine) == 0
    assert output.read_text() == lines(0, 150)
    assert await delivery.deliver() == 0
    await commit_items(engine, 150, 160)
    await delivery.close(finished=True)
    assert output.read_text() == lines(0, 160)
    assert await nothing_to_deliver(engine, LAYOUT, str(output))


async def test_items_come_while_the_crawl_runs_and_the_rest_at_its_end(
    engine: MemoryEngine, tmp_path: Path
) -> None:
    output = tmp_path / "items.jsonl"
    delivery = await Delivery.open(engine, LAYOUT, str(output))
    stop = asyncio.Event()
    running = asyncio.create_task(delivery.run(stop))
    await commit_items(engine, 0, 5)
    while not output.stat().st_size:
        await asyncio.wait([running], timeout=0.02)
    await commit_items(engine, 5, 7)
    stop.set()
    await running
    await delivery.close(finished=False)
    assert output.read_text() == lines(0, 7)


async def test_what_was_written_and_not_recorded_is_cut_and_comes_again(
    engine: MemoryEngine, tmp_path: Path
) -> None:
    output = tmp_path / "items.jsonl"
    delivery = await Delivery.open(engine, LAYOUT, str(output))
    await commit_items(engine, 0, 3)
    await delivery.deliver()
    await delivery.abort()
    with output.open("a") as file:
        file.write('{"n":3}\n{"n":')
    await commit_items(engine, 3, 5)
    again = await Delivery.open(engine, LAYOUT, str(output))
    await again.close(finished=True)
    assert output.read_text() == lines(0, 5)


async def test_a_failed_write_keeps_the_items_and_the_file_as_it_was(
    engine: MemoryEngine, tmp_path: Path
) -> None:
    output = tmp_path / "items.jsonl"
    delivery = await Delivery.open(engine, LAYOUT, str(output))
    await commit_items(engine, 0, 3)
    await delivery.deliver()
    output.rename(tmp_path / "aside")
    await commit_items(engine, 3, 5)
    with pytest.raises(OutputError, match="removed or replaced"):
        await delivery.close(finished=True)
    assert await waiting(engine) == 2
    assert not await nothing_to_deliver(engine, LAYOUT, str(output))
    with pytest.raises(OutputError, match="it is gone"):
        await Delivery.open(engine, LAYOUT, str(output))
    assert not output.exists()
    (tmp_path / "aside").rename(output)
    again = await Delivery.open(engine, LAYOUT, str(output))
    await again.close(finished=True)
    assert output.read_text() == lines(0, 5)


async def test_another_output_is_refused_and_not_even_made(engine: MemoryEngine, tmp_path: Path) -> None:
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    delivery = await Delivery.open(engine, LAYOUT, str(first))
    await commit_items(engine, 0, 3)
    await delivery.close(finished=True)
    for attempt in (Delivery.open, nothing_to_deliver):
        with pytest.raises(ConfigError, match=r"delivers to .*first\.jsonl"):
            await attempt(engine, LAYOUT, str(second))
    assert not second.exists()


async def test_an_output_that_never_got_anything_binds_nobody(engine: MemoryEngine, tmp_path: Path) -> None:
    first, second = tmp_path / "first.jsonl", tmp_path / "second.csv"
    await (await Delivery.open(engine, LAYOUT, str(first))).abort()
    assert not first.exists()
    await commit_items(engine, 0, 2)
    await (await Delivery.open(engine, LAYOUT, str(second))).close(finished=True)
    assert second.read_text().split() == ["n", "0", "1"]


async def test_parquet_is_made_of_all_items_each_time_and_lets_go_of_them_when_finished(
    engine: MemoryEngine, tmp_path: Path
) -> None:
    output = tmp_path / "items.parquet"
    delivery = await Delivery.open(engine, LAYOUT, str(output))
    await commit_items(engine, 0, 100)
    assert await delivery.deliver() == 0
    await delivery.close(finished=False)
    assert pq.read_table(output)["n"].to_pylist() == list(range(100))
    assert await waiting(engine) == 100
    await commit_items(engine, 100, 200)
    delivery = await Delivery.open(engine, LAYOUT, str(output))
    await delivery.close(finished=True)
    assert pq.read_table(output)["n"].to_pylist() == list(range(200))
    assert await waiting(engine) == 0
    assert await nothing_to_deliver(engine, LAYOUT, str(output))
    delivery = await Delivery.open(engine, LAYOUT, str(output))
    await delivery.close(finished=True)
    assert pq.read_table(output).num_rows == 200


@pytest.mark.parametrize("data", [b"junk", b"{}", b'{"output": "a.jsonl", "state": 1}'])
async def test_a_record_of_the_delivery_that_is_damaged_is_told(
    engine: MemoryEngine, tmp_path: Path, data: bytes
) -> None:
    await engine.state.commit(StateWrite(LAYOUT.delivery_key, data, None))
    with pytest.raises(EngineError, match="--restart begins anew"):
        await Delivery.open(engine, LAYOUT, str(tmp_path / "a.jsonl"))
