"""Opening the Redis engine: what its URL may say, what the server must be, and what the user is told of it."""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import (
    BusyLoadingError,
    ClusterDownError,
    MovedError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
)
from support.tcp_proxy import TcpProxy
from support.valkey import Valkey

from airless.core.errors import ConfigError, EngineError, LeaseLost, MessageTooLarge, StorageFull
from airless.core.message import Message
from airless.core.ports import Commit, Settlement, StateWrite
from airless.engines import open_engine
from airless.engines.redis.checks import warnings
from airless.engines.redis.faults import may_pass, translate
from airless.engines.redis.options import RedisOptions


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with Valkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("redis://localhost", RedisOptions("localhost")),
        ("redis://10.0.0.1:7000/3", RedisOptions("10.0.0.1", 7000, 3)),
        ("redis://[::1]:7000/", RedisOptions("::1", 7000)),
        ("redis://:p%40ss@h", RedisOptions("h", password="p@ss")),
        ("rediss://us%3Aer:pw@h/1", RedisOptions("h", 6379, 1, "us:er", "pw", tls=True)),
        (
            "redis://h?prefix=a:b&objects=s3://b/c&timeout=2.5",
            RedisOptions("h", prefix="a:b", objects="s3://b/c", timeout_s=2.5),
        ),
    ],
)
def test_a_url_says_where_and_how(url: str, options: RedisOptions) -> None:
    assert RedisOptions.parse(url) == options


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis://", "names no host"),
        ("redis:///1", "names no host"),
        ("redis://h:x", "Port could not be cast"),
        ("redis://h/name", "no number of a database"),
        ("redis://h?prefx=a", "unknown option 'prefx'"),
        ("redis://h?prefix={a}", "no braces"),
        ("redis://h?prefix=a%20b", "no blanks"),
        ("redis://h?objects=s3://", "no place for objects"),
        ("redis://h?objects=folder", "write file:///FOLDER or s3://BUCKET"),
        ("redis://h?timeout=soon", "timeout is a number"),
        ("redis://h?timeout=0", "timeout is a number"),
        ("redis://h?ca=/a.pem", "ca is for rediss"),
    ],
)
async def test_a_url_that_is_wrong_says_what_is(url: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        await open_engine(url)


async def test_no_error_shows_a_password(server: Valkey) -> None:
    with pytest.raises(ConfigError) as caught:
        await open_engine("redis://user:secret@h?nothing=1")
    assert "secret" not in str(caught.value)
    with pytest.raises(ConfigError, match="refuses these credentials") as caught:
        await open_engine(server.url.replace("//", "//user:secret@"))
    assert "secret" not in str(caught.value)


async def test_a_password_opens(tmp_path: Path) -> None:
    with Valkey(tmp_path, options=("--requirepass", "p@ss word")) as server:
        async with await open_engine(server.url.replace("//", "//:p%40ss%20word@")) as engine:
            await engine.objects.put("a", b"")
        with pytest.raises(ConfigError, match="refuses these credentials"):
            await open_engine(server.url)


async def test_a_user_needs_the_permissions_that_the_documents_name(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    documents = (Path(__file__).parents[2] / "docs" / "redis.md").read_text("utf-8")
    (rules,) = re.findall(r"^    ACL SETUSER (worker .+)$", documents, re.MULTILINE)
    with Valkey(tmp_path, options=("--user", *rules.replace("{prefix}", "{airless}").split())) as server:
        async with await open_engine(server.url.replace("//", "//worker:PASSWORD@")) as engine:
            waiting = asyncio.create_task(engine.queue.receive("in/*", limit=1, lease_s=30, wait_s=60))
            await asyncio.sleep(0.2)
            await engine.queue.publish_many([Message("in/a", {})])
            async with asyncio.timeout(1):
                (got,) = await waiting
            await engine.queue.extend([got], 60)
            await engine.queue.settle([Settlement.given_up(got, "no")])
            assert len(await engine.queue.letters("in/a", limit=1)) == await engine.queue.redrive("in/a") == 1
            assert await engine.queue.topics("in/*") == ["in/a"]
            await engine.commit(Commit(put={"a": b""}, state=[StateWrite("a", b"", None)], delete=["b"]))
            assert await engine.objects.put_if_absent("b", b"")
            assert [name async for name in engine.objects.list("")] == ["a", "b"]
            assert (await engine.queue.depth("in/a")).messages == 1
    assert caplog.messages == []


async def test_a_node_of_a_cluster_that_holds_the_prefix_serves(tmp_path: Path) -> None:
    with Valkey(tmp_path, options=("--cluster-enabled", "yes")) as server:
        async with Redis(port=server.port) as node:
            await node.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        async with await open_engine(server.url) as engine:  # which waits until the cluster is up
            await engine.queue.publish_many([Message("in/a", {}, ordering_key="1")])
            (got,) = await engine.queue.receive("in/*", limit=9, lease_s=30)
            await engine.commit(Commit(put={"a": b""}, state=[StateWrite("a", b"", None)]))
            await engine.queue.settle([Settlement.done(got)])


@pytest.mark.parametrize(
    ("error", "kind", "told"),
    [
        (MovedError("1 h:1"), ConfigError, "name the one that does"),
        (ResponseError("CROSSSLOT Keys"), ConfigError, "name the one that does"),
        (OutOfMemoryError("command not allowed"), StorageFull, "maxmemory"),
        (ResponseError("MISCONF Errors writing to the AOF file"), StorageFull, "no room"),
        (NoPermissionError("no"), ConfigError, "credentials"),
        (ResponseError("Protocol error: invalid bulk length"), MessageTooLarge, "larger"),
        (ResponseError("ERR something"), EngineError, "something"),
        (LeaseLost("gone"), LeaseLost, "^gone$"),
    ],
)
def test_what_a_server_says_becomes_an_error_that_says_what_to_do(
    error: Exception, kind: type[Exception], told: str
) -> None:
    translated = translate(error, "redis://h:1/0")
    assert type(translated) is kind
    assert re.search(told, str(translated))
    assert not may_pass(error)


@pytest.mark.parametrize(
    "error",
    [
        BusyLoadingError("Redis is loading the dataset in memory"),
        ReadOnlyError("You can't write against a read only replica."),
        ResponseError("BUSY Redis is busy running a script."),
        ClusterDownError("The cluster is down"),
        TryAgainError("Multiple keys request during rehashing of slot"),
        ConnectionResetError(),
    ],
)
def test_what_may_pass_is_tried_again(error: Exception) -> None:
    assert may_pass(error)


async def test_databases_and_prefixes_share_nothing(server: Valkey) -> None:
    urls = [server.url, f"{server.url}/1", f"{server.url}?prefix=other"]
    for url in urls:
        async with await open_engine(url) as engine:
            assert await engine.objects.get("a") is None
            await engine.objects.put("a", b"")


async def test_a_server_that_keeps_everything_is_not_warned_of(
    server: Valkey, caplog: pytest.LogCaptureFixture
) -> None:
    async with await open_engine(server.url):
        assert caplog.messages == []


async def test_a_server_without_an_append_only_file_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    options = ("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
    with Valkey(tmp_path, fsync=None, options=options) as server, caplog.at_level(logging.WARNING):
        async with await open_engine(server.url):
            assert [message.startswith(f"{server.url}/0 ") for message in caplog.messages] == [True, True]
    assert "set appendonly to yes" in caplog.text
    assert "set noeviction" in caplog.text


@pytest.mark.parametrize(
    ("info", "fsync", "told"),
    [
        ({"aof_enabled": 1}, "no", "set appendfsync to everysec or always"),
        ({"aof_enabled": 0}, None, "set appendonly to yes"),
        ({"aof_enabled": 1, "maxmemory": 0, "maxmemory_policy": "allkeys-lru"}, "everysec", None),
        ({"aof_enabled": 1, "maxmemory": 9, "maxmemory_policy": "volatile-ttl"}, None, None),
    ],
)
def test_what_may_get_lost_is_told(info: dict[str, Any], fsync: str | None, told: str | None) -> None:
    found = warnings(info, fsync)
    assert (told is None) == (not found)
    assert told is None or told in found[0]


async def test_something_else_that_listens_is_no_server(server: Valkey) -> None:
    async with TcpProxy(server.port, _tls(None)) as proxy:
        with pytest.raises(EngineError, match="has not answered"):
            await open_engine(f"redis://127.0.0.1:{proxy.port}?timeout=1")


async def test_over_tls_with_a_certificate_that_is_trusted(server: Valkey, tmp_path: Path) -> None:
    certificate = _certificate(tmp_path)
    async with TcpProxy(server.port, _tls(certificate)) as proxy:
        url = f"rediss://127.0.0.1:{proxy.port}"
        async with await open_engine(f"{url}?ca={certificate[0]}") as engine:
            await engine.objects.put("tls", b"1")
            assert await engine.objects.get("tls") == b"1"
        with pytest.raises(ConfigError, match="is not trusted"):
            await open_engine(url)


def _tls(certificate: tuple[Path, Path] | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if certificate is not None:
        context.load_cert_chain(*certificate)
    return context


def _certificate(folder: Path) -> tuple[Path, Path]:
    certificate, key = folder / "cert.pem", folder / "key.pem"
    subject = ("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1")
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject]
    subprocess.run([*made, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key


def test_without_redis_py_it_is_said_what_to_install() -> None:
    code = (
        "import asyncio, sys; sys.modules['redis'] = None\n"
        "from airless.engines import open_engine\n"
        "try: asyncio.run(open_engine('redis://localhost'))\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert told == "ConfigError the redis engine needs redis-py: pip install 'airless[redis]'\n"
