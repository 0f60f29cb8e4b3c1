"""What is asked of AWS is counted as it is billed: by the services' emulator, and by a service that fails."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from support.emulators import CREDENTIALS, REGION, ministack

from airless.engines.aws.clients import AwsClients
from airless.engines.aws.options import AwsOptions


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with ministack(tmp_path_factory.mktemp("ministack") / "log") as url:
        yield url


@pytest.fixture
async def clients(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> AwsClients:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    return AwsClients(AwsOptions(REGION, "pages", endpoint=endpoint))


async def test_large_messages_are_billed_by_64_kib_and_fifo_ones_at_their_price(clients: AwsClients) -> None:
    sqs = await clients.sqs()
    for name, fifo in (("plain", False), ("ordered.fifo", True)):
        queue = await sqs.create_queue(QueueName=name, Attributes={"FifoQueue": "true"} if fifo else {})
        url = queue["QueueUrl"]

        def ordered(id: str, *, fifo: bool = fifo) -> Any:
            return {"MessageGroupId": "g", "MessageDeduplicationId": id} if fifo else {}

        await sqs.send_message(QueueUrl=url, MessageBody="x" * 65_536, **ordered("first"))
        entries: Any = [{"Id": id, "MessageBody": "x" * 40_000, **ordered(id)} for id in "abc"]
        await sqs.send_message_batch(QueueUrl=url, Entries=entries)
        received = await sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
        assert len(received["Messages"]) == 4
        for message in received["Messages"]:
            await sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        await sqs.receive_message(QueueUrl=url)
    await clients.aclose()
    assert clients.usage.requests == clients.requests
    for service in ("sqs", "sqs-fifo"):
        billed = {
            kind.partition(".")[2]: units
            for kind, units in clients.usage.billed.items()
            if kind.startswith(f"{service}.")
        }
        billed.pop("CreateQueue", None)
        assert billed == {
            "SendMessage": 1,
            "SendMessageBatch": 2,  # 120,000 bytes
            "ReceiveMessage": 3 + 1,  # 185,536 bytes; nothing
            "DeleteMessage": 4,
        }
        assert clients.requests[f"{service}.ReceiveMessage"] == 2


async def test_attributes_count_as_payload(clients: AwsClients) -> None:
    sqs = await clients.sqs()
    url = (await sqs.create_queue(QueueName="attributed"))["QueueUrl"]
    attribute = {"airless": {"DataType": "String", "StringValue": "x" * 536}}
    await sqs.send_message(QueueUrl=url, MessageBody="x" * 65_000, MessageAttributes=attribute)
    await sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"])
    await clients.aclose()
    assert clients.usage.billed["sqs.SendMessage"] == 2
    assert clients.usage.billed["sqs.ReceiveMessage"] == 2


async def test_objects_are_counted_by_operation(clients: AwsClients) -> None:
    s3 = await clients.s3()
    await s3.create_bucket(Bucket="pages")
    await s3.put_object(Bucket="pages", Key="a", Body=b"x" * 200_000)
    with pytest.raises(s3.exceptions.ClientError):
        await s3.put_object(Bucket="pages", Key="a", Body=b"y", IfNoneMatch="*")
    await (await s3.get_object(Bucket="pages", Key="a"))["Body"].read()
    await s3.delete_objects(Bucket="pages", Delete={"Objects": [{"Key": "a"}]})
    await clients.aclose()
    assert clients.usage.billed == {
        "s3.CreateBucket": 1,
        "s3.PutObject": 2,
        "s3.GetObject": 1,
        "s3.DeleteObjects": 1,
    }


async def test_every_try_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    statuses = ["503 Service Unavailable", "200 OK"]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 {statuses.pop(0)}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + b"{}")
        await writer.drain()
        writer.close()

    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        clients = AwsClients(AwsOptions(REGION, "pages", endpoint=endpoint))
        sqs = await clients.sqs()
        assert not (await sqs.receive_message(QueueUrl=f"{endpoint}/1/q.fifo")).get("Messages")
        await clients.aclose()
    assert clients.usage.billed == clients.requests == {"sqs-fifo.ReceiveMessage": 2}
