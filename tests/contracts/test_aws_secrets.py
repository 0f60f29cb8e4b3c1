"""Secrets on Secrets Manager, on ministack."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest
from aws_host import fresh_options, opened
from support.faulty_proxy import Answer, FaultyProxy, some

from airless.core.clock import ManualClock
from airless.core.errors import ConfigError
from airless.engines.aws.clients import AwsClients
from airless.engines.aws.secrets import ManagedSecrets


@pytest.fixture
async def clients(ministack_endpoint: str) -> AsyncIterator[AwsClients]:
    async with opened(fresh_options(ministack_endpoint)) as clients:
        yield clients


async def made(clients: AwsClients, value: str | bytes) -> str:
    name = f"team/{uuid.uuid4().hex}"
    client = await clients.secretsmanager()
    if isinstance(value, str):
        await client.create_secret(Name=name, SecretString=value)
    else:
        await client.create_secret(Name=name, SecretBinary=value)
    clients.requests.clear()
    return name


@pytest.mark.parametrize("value", ["päss", b"p\xc3\xa4ss"])
async def test_a_secret_is_read(clients: AwsClients, value: str | bytes) -> None:
    name = await made(clients, value)
    assert await ManagedSecrets(clients).get(name) == "päss"


async def test_what_is_not_there_is_none(clients: AwsClients) -> None:
    assert await ManagedSecrets(clients).get("nothing") is None


async def test_a_secret_is_asked_for_once_a_minute(clients: AwsClients) -> None:
    clock = ManualClock()
    secrets, name = ManagedSecrets(clients, clock=clock), await made(clients, "old")
    assert await asyncio.gather(*(secrets.get(name) for _ in range(5))) == ["old"] * 5
    assert await secrets.get("nothing") is await secrets.get("nothing") is None
    await (await clients.secretsmanager()).put_secret_value(SecretId=name, SecretString="new")
    clock.advance(59)
    assert await secrets.get(name) == "old"
    assert clients.requests["secretsmanager.GetSecretValue"] == 2
    clock.advance(1)
    assert await secrets.get(name) == "new"
    assert clients.requests["secretsmanager.GetSecretValue"] == 3


async def test_what_is_no_text_is_told(clients: AwsClients) -> None:
    name = await made(clients, b"\xff\x00")
    with pytest.raises(ConfigError, match=f"the secret '{name}' is no text"):
        await ManagedSecrets(clients).get(name)


async def test_what_is_not_allowed_is_told_and_asked_for_again(ministack_endpoint: str) -> None:
    with FaultyProxy(ministack_endpoint) as proxy:
        async with opened(fresh_options(proxy.url)) as clients:
            name = await made(clients, "päss")
            secrets = ManagedSecrets(clients)
            proxy.plan = lambda _: Answer(400, b'{"__type":"AccessDeniedException","Message":"no"}')
            with pytest.raises(ConfigError, match=r"reading the secret .* is refused by AWS: allow it"):
                await secrets.get(name)
            proxy.plan = some(0.3)
            assert await secrets.get(name) == "päss"
