"""What goes wrong with a file is said clearly, and takes nothing with it."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from airless.core.clock import ManualClock
from airless.core.errors import (
    AirlessError,
    ConfigError,
    EngineError,
    Locked,
    MessageError,
    MessageTooLarge,
    StorageFull,
)
from airless.core.message import Message
from airless.core.ports import Commit, Settlement, StateWrite
from airless.engines import open_engine
from airless.engines.sqlite import SqliteEngine
from airless.engines.sqlite.consumers import Consumers
from airless.engines.sqlite.faults import translate
from airless.engines.sqlite.options import SqliteOptions


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/airless.db"


def pragma(statement: str) -> Callable[[sqlite3.Connection], object]:
    return lambda connection: connection.execute(f"PRAGMA {statement}").fetchone()[0]


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("gcp://project", "not in this version"),
        ("azure://account", "not in this version"),
        ("aws://eu-central-1", "names no bucket"),
        ("mysql://localhost", "there is no engine 'mysql'"),
        ("airless.db", "no engine URL"),
        ("", "no engine URL"),
        ("memory://name", "memory://"),
        ("sqlite://relative.db", "sqlite:///relative/path.db"),
        ("sqlite://", "sqlite:///relative/path.db"),
        ("sqlite:///", "names no file"),
        ("sqlite:///folder/", "names no file"),
        ("sqlite:///a%00b", "names no file"),
        ("sqlite:///:memory:", "memory://"),
        ("sqlite:///x.db?synchronous=off", "normal, full"),
        ("sqlite:///x.db?busy_timeout_s=long", "number of seconds"),
        ("sqlite:///x.db?busy_timeout_s=nan", "number of seconds"),
        ("sqlite:///x.db?mode=ro", "no option mode"),
    ],
)
async def test_a_url_that_names_no_engine_is_refused_with_what_there_is(url: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        await open_engine(url)


async def test_the_memory_engine_opens_by_url() -> None:
    async with await open_engine("MEMORY://", clock=ManualClock()) as engine:
        await engine.queue.publish_many([Message("in", {})])


async def test_a_relative_path_and_its_folders_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with await open_engine("sqlite:///.airless/crawl%3F 1/airless.db") as engine:
        await engine.objects.put("a", b"1")
    assert (tmp_path / ".airless/crawl? 1/airless.db").is_file()


async def test_options_reach_the_database(url: str) -> None:
    assert SqliteOptions.parse(url).synchronous == "normal"
    engine = await SqliteEngine.open(f"{url}?synchronous=FULL&busy_timeout_s=1.5")
    database = engine.state._database
    assert await database.run(pragma("synchronous")) == 2
    assert await database.run(pragma("busy_timeout")) == 1500
    assert await database.run(pragma("journal_mode")) == "wal"
    await engine.aclose()


async def test_work_survives_closing_and_opening(url: str) -> None:
    async with await open_engine(url) as engine:
        await engine.commit(
            Commit(put={"o": b"1"}, state=[StateWrite("s", b"2", None)], publish=[Message("in", {}, id="m")])
        )
    async with await open_engine(url) as engine:
        assert await engine.objects.get("o") == b"1"
        found = await engine.state.load("s")
        assert found is not None
        assert found.data == b"2"
        assert [d.id for d in await engine.queue.receive("in", limit=9, lease_s=30)] == ["m"]


async def test_an_engine_works_in_one_event_loop_after_another(url: str) -> None:
    async with await open_engine(url) as engine:
        await engine.queue.publish_many([Message("in", {})])

        def elsewhere() -> int:
            return len(asyncio.run(engine.queue.receive("in", limit=9, lease_s=30, wait_s=0.01)))

        assert await asyncio.to_thread(elsewhere) == 1
        assert await engine.queue.receive("in", limit=9, lease_s=30, wait_s=0.01) == []


async def test_a_full_disk_applies_nothing_and_passes(url: str) -> None:
    engine = await SqliteEngine.open(url)
    database = engine.state._database
    await engine.queue.publish_many([Message("in", {}, id="m")])
    (got,) = await engine.queue.receive("in", limit=1, lease_s=30)
    pages = await database.run(pragma("page_count"))
    await database.run(pragma(f"max_page_count = {pages}"))
    large = Commit(
        put={"o": b"x" * 1_000_000},
        state=[StateWrite("s", b"1", None)],
        publish=[Message("out", {"x": "y" * 100_000})],
        settle=[Settlement.done(got)],
    )
    with pytest.raises(StorageFull, match=r"airless\.db"):
        await engine.commit(large)
    with pytest.raises(StorageFull):
        await engine.queue.publish_many([Message("out", {"x": "y" * 100_000})])
    assert await engine.objects.get("o") is None
    assert await engine.state.load("s") is None
    assert (await engine.queue.depth("out")).messages == 0
    assert (await engine.queue.depth("in")).leased == 1
    await database.run(pragma("max_page_count = 1000000"))
    await engine.commit(large)
    assert (await engine.queue.depth("out")).messages == 1
    await engine.aclose()


async def test_another_processs_lock_is_waited_for_and_then_told(url: str, tmp_path: Path) -> None:
    async with await open_engine(f"{url}?busy_timeout_s=0.05") as engine:
        other = sqlite3.connect(tmp_path / "airless.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Locked, match=r"airless\.db"):
            await engine.queue.publish_many([Message("in", {})])
        other.execute("ROLLBACK")
        other.close()
        await engine.queue.publish_many([Message("in", {})])


async def test_opening_waits_for_who_has_the_file_to_itself(url: str, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "airless.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(Locked, match=r"airless\.db"):
        await open_engine(f"{url}?busy_timeout_s=0.03")
    opening = asyncio.create_task(open_engine(url))
    await asyncio.sleep(0.05)
    assert not opening.done()
    other.execute("COMMIT")
    other.close()
    await (await opening).aclose()


async def test_the_loop_goes_on_while_another_process_has_the_lock(url: str, tmp_path: Path) -> None:
    async with await open_engine(url) as engine:
        other = sqlite3.connect(tmp_path / "airless.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        publishing = asyncio.create_task(engine.queue.publish_many([Message("in", {})]))
        await asyncio.sleep(0.05)
        assert not publishing.done()
        other.execute("COMMIT")
        other.close()
        await publishing
        assert (await engine.queue.depth("in")).ready == 1


async def test_what_waits_for_a_lock_can_be_cancelled_before_it_began(url: str, tmp_path: Path) -> None:
    async with await open_engine(url) as engine:
        other = sqlite3.connect(tmp_path / "airless.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        first = asyncio.create_task(engine.queue.publish_many([Message("in", {}, id="a")]))
        second = asyncio.create_task(engine.queue.publish_many([Message("in", {}, id="b")]))
        await asyncio.sleep(0.05)
        first.cancel()
        second.cancel()
        await asyncio.gather(first, second, return_exceptions=True)
        other.execute("COMMIT")
        other.close()
        assert [d.id for d in await engine.queue.receive("in", limit=9, lease_s=30)] == ["a"]


async def test_what_a_cancelled_receive_has_leased_is_handed_back(url: str, tmp_path: Path) -> None:
    async with await open_engine(url) as engine:
        await engine.queue.publish_many([Message("in", {}, id="a")])
        other = sqlite3.connect(tmp_path / "airless.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        receiving = asyncio.create_task(engine.queue.receive("in", limit=9, lease_s=3600))
        await asyncio.sleep(0.05)
        receiving.cancel()
        await asyncio.gather(receiving, return_exceptions=True)
        other.execute("COMMIT")
        other.close()
        (got,) = await engine.queue.receive("in", limit=9, lease_s=30)
        assert (got.id, got.attempt) == ("a", 0)


@pytest.mark.parametrize("content", [b"this is no database " * 500, b"SQLite format 3\x00" + b"\xff" * 8000])
async def test_a_file_that_is_no_database_is_named(tmp_path: Path, url: str, content: bytes) -> None:
    (tmp_path / "airless.db").write_bytes(content)
    with pytest.raises(EngineError, match=r"airless\.db is damaged or no SQLite database.*move it away"):
        await open_engine(url)
    assert (tmp_path / "airless.db").read_bytes() == content


async def test_a_database_of_something_else_is_left_alone(tmp_path: Path, url: str) -> None:
    other = sqlite3.connect(tmp_path / "airless.db")
    other.execute("CREATE TABLE bookmarks (url)")
    other.close()
    before = (tmp_path / "airless.db").read_bytes()
    with pytest.raises(ConfigError, match="something else"):
        await open_engine(url)
    assert (tmp_path / "airless.db").read_bytes() == before


async def test_a_file_of_a_later_version_is_refused(tmp_path: Path, url: str) -> None:
    await (await open_engine(url)).aclose()
    later = sqlite3.connect(tmp_path / "airless.db")
    later.execute("PRAGMA user_version = 99")
    later.close()
    with pytest.raises(ConfigError, match="later version"):
        await open_engine(url)


async def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigError, match="can't be opened for writing"):
        await open_engine(f"sqlite:///{tmp_path}/file/airless.db")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigError, match="can't be opened for writing"):
        await open_engine(f"sqlite:///{tmp_path}/folder")
    with pytest.raises(ConfigError, match="can't be opened for writing"):
        await open_engine("sqlite:////dev/null/airless.db")


async def test_values_that_no_database_holds_are_refused(url: str) -> None:
    async with await open_engine(url) as engine:
        with pytest.raises(MessageError):
            await engine.queue.publish_many([Message("in\ud800", {})])
        with pytest.raises(MessageError):
            await engine.queue.publish_many([Message("in", {}, ordering_key="a\0b")])
        with pytest.raises(MessageError):
            await engine.queue.publish_many([Message("in", {}), Message("in", {}, weight=2**63)])
        assert (await engine.queue.depth("in")).messages == 0


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (sqlite3.SQLITE_FULL, StorageFull),
        (sqlite3.SQLITE_IOERR_WRITE, StorageFull),
        (sqlite3.SQLITE_IOERR_READ, EngineError),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, Locked),
        (sqlite3.SQLITE_CORRUPT, EngineError),
        (sqlite3.SQLITE_READONLY, ConfigError),
        (sqlite3.SQLITE_TOOBIG, MessageTooLarge),
    ],
)
def test_sqlites_result_codes_have_a_meaning(code: int, error: type[AirlessError]) -> None:
    fault = sqlite3.OperationalError("said by sqlite")
    fault.sqlite_errorcode = code
    assert type(translate(fault, Path("x.db"))) is error
    assert "said by sqlite" in str(translate(fault, Path("x.db"))) or error is Locked


def test_faults_without_a_result_code_have_a_meaning_too() -> None:
    assert type(translate(sqlite3.ProgrammingError("closed"), Path("x.db"))) is EngineError
    assert type(translate(OSError(errno.ENOSPC, "full"), Path("x.db"))) is StorageFull
    assert type(translate(OSError(errno.EACCES, "denied"), Path("x.db"))) is ConfigError


async def test_a_consumer_whose_file_is_swept_before_its_lock_makes_another(tmp_path: Path) -> None:
    consumers = Consumers(tmp_path / "airless.db")
    folder = tmp_path / "airless.db.consumers"
    folder.mkdir()
    file = folder / f"{consumers.id}.lock"
    sweeper = os.open(file, os.O_RDWR | os.O_CREAT)
    fcntl.flock(sweeper, fcntl.LOCK_EX)
    registering = asyncio.create_task(asyncio.to_thread(consumers.register))
    await asyncio.sleep(0.05)
    assert not registering.done()
    os.unlink(file)
    os.close(sweeper)
    await registering
    assert file.exists()
    assert Consumers(tmp_path / "airless.db").dead([consumers.id, "never-was"]) == ["never-was"]
    consumers.leave()
    assert not file.exists()
