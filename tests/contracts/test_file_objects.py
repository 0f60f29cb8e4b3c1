"""Objects in a folder under their contract, beside the memory engine's queue and state; and what files alone may do."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from contract_host import EngineHost
from objects_contract import ObjectsContract
from stepped_commit_contract import SteppedCommitContract

from airless.core.errors import ConfigError, EngineError, MessageError
from airless.core.steps import SteppedEngine
from airless.engines.files import FileObjects, path_of
from airless.engines.memory import MemoryEngine, MemoryStore


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[EngineHost]:
    store = MemoryStore()

    async def open_consumer(clock: Any) -> SteppedEngine:
        memory, objects = MemoryEngine(store, clock=clock), FileObjects(tmp_path / "objects")

        async def close() -> None:
            await memory.aclose()
            await objects.aclose()

        return SteppedEngine(memory.queue, memory.state, objects, close=close)

    host = EngineHost(open_consumer)
    yield host
    await host.close()


class TestFileObjects(ObjectsContract):
    pass


class TestSteppedCommitWithFiles(SteppedCommitContract):
    pass


NAMES = [
    *(
        "",
        ".",
        "..",
        "../out",
        "/etc/passwd",
        "a",
        "a/b",
        "a/",
        "a//b",
        "a+",
        "a+/b",
        "a=",
        "%",
        "%2E",
        "%/%",
    ),
    *(
        ".writing",
        "x" * 1000,
        "x" * 200,
        "x" * 200 + "/y",
        "ü" * 300,
        "\n\x00",
        "\ud800",
        "con",
        " ",
        "~",
        "A",
    ),
]


async def test_any_name_is_a_file_of_its_own_below_the_folder(tmp_path: Path) -> None:
    root = tmp_path / "deep" / "objects"
    objects = FileObjects(root)
    for name in NAMES:
        await objects.put(name, name.encode(errors="surrogatepass"))
    for name in NAMES:
        assert await objects.get(name) == name.encode(errors="surrogatepass")
    assert [name async for name in objects.list("")] == sorted(NAMES)
    for prefix in ("a", "a/", "a//", "x" * 200, "ü" * 3, "%", "/"):
        found = [name async for name in objects.list(prefix)]
        assert found == sorted(name for name in NAMES if name.startswith(prefix))
    assert os.listdir(tmp_path) == ["deep"]
    assert os.listdir(root / ".writing") == []
    await objects.delete(NAMES)
    assert [name async for name in objects.list("")] == []


async def test_what_a_disk_refuses_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    objects = FileObjects(tmp_path / "taken")
    with pytest.raises(EngineError, match="taken"):
        await objects.put("a", b"")
    with pytest.raises(MessageError, match="too long"):
        await FileObjects(tmp_path).put("x/" * 4000, b"")


def test_a_url_names_the_folder(tmp_path: Path) -> None:
    assert FileObjects.parse(f"file://{tmp_path}/a%20b").root == tmp_path / "a b"
    for url in ("file://host/x", "file:relative", "s3://bucket", "file:///x?y=1"):
        with pytest.raises(ConfigError, match="file:///"):
            FileObjects.parse(url)
    assert path_of("items/1.jsonl") == "items+/1.jsonl"
