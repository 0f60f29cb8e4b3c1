"""Contender: one message, one invocation, one page, and a conditional database write for each link.

It is written as well as this way can be: a warm function that keeps its connections, links looked at once a page,
all of a page's writes at once, messages sent and deleted ten at a time, the item written into the page's own row.
Its links come from airless's compiled scanner.

An invocation is billed for the page's latency, as the web keeps it back, and for what it computes at its memory's
share of a processor. For the answers of the database and the queue, some 30 ms, it is billed nothing, since the
emulator is slower than they are. All requests are made, and counted as they go out.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Self

import aiohttp
import orjson

from airless import Response
from airless.cost.usage import Usage
from airless.engines.aws.clients import AwsClients
from airless.engines.aws.options import AwsOptions
from benchmarks.latency.web import DOMAIN, Web

from .billing import billed_s

MEMORY_MB = 256
_BATCH = 10
_HOST = f".{DOMAIN}"


@dataclass(slots=True)
class Crawled:
    """What came of it: titles by address, and what it used."""

    titles: dict[str, str] = field(default_factory=dict)
    repeated: int = 0
    usage: Usage = field(default_factory=Usage)


class Naive:
    """The crawler, its queue and its table; `at_once` functions run side by side."""

    def __init__(self, web: Web, endpoint: str, *, arch: str, at_once: int, name: str = "naive") -> None:
        self._web = web
        self._arch = arch
        self._at_once = at_once
        self._name = name
        self._clients = AwsClients(AwsOptions("us-east-1", name, endpoint=endpoint))
        self._open = AsyncExitStack()
        self._usage = self._clients.usage
        self.crawled = Crawled(usage=self._usage)

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as opening:
            opening.push_async_callback(self._clients.aclose)
            self._sqs = await self._clients.sqs()
            self._table = await self._clients.client("dynamodb")
            self._url = (await self._sqs.create_queue(QueueName=self._name))["QueueUrl"]
            await self._table.create_table(
                TableName=self._name,
                KeySchema=[{"AttributeName": "url", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "url", "AttributeType": "S"}],
                BillingMode="PAY_PER_REQUEST",
            )
            connector = aiohttp.TCPConnector(limit=0, resolver=_Loopback())
            self._session = await opening.enter_async_context(aiohttp.ClientSession(connector=connector))
            self._open = opening.pop_all()
        # Deployed beforehand: that is no part of a crawl.
        self._usage.requests.clear()
        self._usage.billed.clear()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    async def crawl(self, most: int) -> Crawled:
        """From the seeds until nothing is left, or `most` pages are fetched."""
        began_cpu_s = time.process_time()
        new = await asyncio.gather(*map(self._is_new, self._web.seeds))
        await self._send([url for url, is_new in zip(self._web.seeds, new, strict=True) if is_new])
        async with asyncio.TaskGroup() as group:
            waiting: set[asyncio.Task[str]] = set()
            ended: list[str] = []
            while True:
                room = min(self._at_once, most - len(self.crawled.titles)) - len(waiting)
                if room >= _BATCH or (room > 0 and not waiting):
                    messages = await self._receive(min(room, _BATCH), idle=not waiting)
                    waiting |= {group.create_task(self._invoke(each)) for each in messages}
                if not waiting:
                    break
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                ended += [task.result() for task in done]
                if len(ended) >= _BATCH or not waiting:
                    await self._delete(ended)
                    ended = []
        pages = len(self.crawled.titles) + self.crawled.repeated
        # Cut short, it has sent more than it received: a whole crawl sends a message a page.
        for counter in (self._usage.requests, self._usage.billed):
            counter["sqs.SendMessageBatch"] = min(counter["sqs.SendMessageBatch"], pages)
        cpu_s = (time.process_time() - began_cpu_s) / max(pages, 1)
        for url in self.crawled.titles:
            wait_s = self._web.latency.of(url)
            self._usage.invoke(billed_s(wait_s + cpu_s, cpu_s, MEMORY_MB), MEMORY_MB, self._arch)
        return self.crawled

    async def _receive(self, limit: int, *, idle: bool) -> list[Mapping[str, Any]]:
        """As the mapping polls: up to ten a request."""
        received = await self._sqs.receive_message(
            QueueUrl=self._url, MaxNumberOfMessages=limit, WaitTimeSeconds=1 if idle else 0
        )
        return list(received.get("Messages", ()))

    async def _invoke(self, message: Mapping[str, Any]) -> str:
        """The function: a page. Returns the receipt of what succeeded."""
        url: str = orjson.loads(message["Body"])["url"]
        async with self._session.get(url) as answer:
            body = await answer.read()
        response = Response.from_bytes(url, body)
        links = dict.fromkeys(link.url for link in response.links() if _HOST in link.url)
        new = await asyncio.gather(*map(self._is_new, links))
        await self._send([link for link, is_new in zip(links, new, strict=True) if is_new])
        await self._write_item(url, response.title or "", len(body))
        if url in self.crawled.titles:
            self.crawled.repeated += 1
        self.crawled.titles[url] = response.title or ""
        self._usage.fetched_bytes += len(body)
        receipt: str = message["ReceiptHandle"]
        return receipt

    async def _is_new(self, url: str) -> bool:
        try:
            await self._table.put_item(
                TableName=self._name,
                Item={"url": {"S": url}},
                ConditionExpression="attribute_not_exists(#url)",
                ExpressionAttributeNames={"#url": "url"},
            )
        except self._table.exceptions.ConditionalCheckFailedException:
            return False
        return True

    async def _write_item(self, url: str, title: str, size: int) -> None:
        await self._table.update_item(
            TableName=self._name,
            Key={"url": {"S": url}},
            UpdateExpression="SET page_title = :title, page_bytes = :size",
            ExpressionAttributeValues={":title": {"S": title}, ":size": {"N": str(size)}},
        )

    async def _send(self, urls: list[str]) -> None:
        for start in range(0, len(urls), _BATCH):
            entries: Any = [
                {"Id": str(number), "MessageBody": orjson.dumps({"url": url}).decode()}
                for number, url in enumerate(urls[start : start + _BATCH])
            ]
            await self._sqs.send_message_batch(QueueUrl=self._url, Entries=entries)

    async def _delete(self, receipts: list[str]) -> None:
        for start in range(0, len(receipts), _BATCH):
            entries: Any = [
                {"Id": str(number), "ReceiptHandle": receipt}
                for number, receipt in enumerate(receipts[start : start + _BATCH])
            ]
            await self._sqs.delete_message_batch(QueueUrl=self._url, Entries=entries)


class _Loopback(aiohttp.abc.AbstractResolver):
    """Every host is on this machine."""

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[Any]:
        return [{"hostname": host, "host": "127.0.0.1", "port": port, "family": 2, "proto": 0, "flags": 0}]

    async def close(self) -> None:
        """Nothing is open."""
