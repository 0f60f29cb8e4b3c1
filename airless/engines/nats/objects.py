"""Objects in a stream, each the last message of its subject; what is larger than a message is in parts beside it."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Sequence

import orjson
from nats.aio.msg import Msg

from airless.core.errors import EngineError
from airless.engines.nats.asking import Ask, said
from airless.engines.nats.connection import Connection
from airless.engines.nats.faults import Refused
from airless.engines.nats.reading import first_of, last, subject_of, subjects_in
from airless.engines.nats.subjects import below, decoded, encoded
from airless.engines.nats.wire import HEADERS_BYTES
from airless.engines.nats.writes import compare_and_set

# The name that a put's parts have in common, and how many they are.
_PARTS = "Airless-Parts"
_READS = 5
# Parts of one answer: few, so that a large object comes in several.
_PARTS_AT_ONCE = 16


class NatsObjects:
    """`Objects` in JetStream. An object is there when its last write is: parts come before what names them."""

    def __init__(self, connection: Connection, folder: str) -> None:
        self._connection = connection
        self._folder = folder

    async def put(self, name: str, data: bytes) -> None:
        token, doing = encoded(name), f"writing object {name!r}"
        headers, data, before = await self._parted(name, token, data)
        try:
            subject = self._connection.names.blob(self._folder, token)
            ((answer,),) = await self._connection.ask_all(doing, [Ask(subject, data, headers)])
            said(answer)
            if before is not None and _PARTS in (before.headers or {}):
                put = (before.headers or {})[_PARTS].partition(":")[0]
                await self._purge(doing, [self._connection.names.chunk(self._folder, token, put, "*")])
        except Refused as refused:
            raise refused.translated(doing) from refused

    async def put_if_absent(self, name: str, data: bytes) -> bool:
        token, doing = encoded(name), f"writing object {name!r}"
        headers, data, _ = await self._parted(name, token, data)
        names = self._connection.names
        subject = names.blob(self._folder, token)
        made = await compare_and_set(self._connection, doing, names.objects, subject, data, 0, headers)
        if made is None and _PARTS in headers:
            put = headers[_PARTS].partition(":")[0]
            await self._purge(doing, [names.chunk(self._folder, token, put, "*")])
        return made is not None

    async def get(self, name: str) -> bytes | None:
        self._connection.check_open()
        token, doing, names = encoded(name), f"reading object {name!r}", self._connection.names
        for _ in range(_READS):
            found = await last(self._connection, doing, names.objects, names.blob(self._folder, token))
            if found is None:
                return None
            parts = (found.headers or {}).get(_PARTS)
            if parts is None:
                return found.data
            put, _, number = parts.partition(":")
            data = await self._joined(doing, token, put, int(number))
            if data is not None:
                return data
        raise EngineError(f"{doing} failed: parts of it are missing, or it is written all the time")

    async def delete(self, names: Sequence[str]) -> None:
        self._connection.check_open()
        subjects = self._connection.names
        tokens = [encoded(name) for name in names]
        # The parts first by what names them, so that nobody finds a name without its parts for long.
        await self._purge(
            f"deleting {len(names)} objects", [subjects.blob(self._folder, token) for token in tokens]
        )
        await self._purge(
            f"deleting {len(names)} objects",
            [subjects.chunk(self._folder, token, "*", "*") for token in tokens],
        )

    async def list(self, prefix: str) -> AsyncIterator[str]:
        self._connection.check_open()
        names = self._connection.names
        start = names.blob(self._folder, "")
        found, _ = await subjects_in(
            self._connection, f"listing objects {prefix!r}", names.objects, start + below(prefix)
        )
        for name in sorted(decoded(subject.removeprefix(start)) for subject in found):
            if name.startswith(prefix):
                yield name

    async def _parted(self, name: str, token: str, data: bytes) -> tuple[dict[str, str], bytes, Msg | None]:
        """What is written under the name, the parts being there; and what is there until then, if it has parts too."""
        self._connection.check_open()
        await self._connection.ready()
        most, names = self._connection.max_payload - HEADERS_BYTES, self._connection.names
        if len(data) <= most:
            return {}, data, None
        doing, put = f"writing object {name!r}", uuid.uuid4().hex
        before = await last(self._connection, doing, names.objects, names.blob(self._folder, token))
        view = memoryview(data)
        parts = [bytes(view[at : at + most]) for at in range(0, len(data), most)]
        asked = [Ask(names.chunk(self._folder, token, put, at), part) for at, part in enumerate(parts)]
        try:
            for (answer,) in await self._connection.ask_all(doing, asked):
                said(answer)
        except Refused as refused:
            raise refused.translated(doing) from refused
        return {_PARTS: f"{put}:{len(parts)}"}, b"", before

    async def _joined(self, doing: str, token: str, put: str, number: int) -> bytes | None:
        """The parts as one; None where some are missing."""
        names, parts = self._connection.names, dict[int, bytes]()
        if number <= _PARTS_AT_ONCE:
            subject = names.chunk(self._folder, token, put, "*")
            for message in await first_of(self._connection, doing, names.objects, subject, number):
                parts[int(subject_of(message).rpartition(".")[2])] = message.data
        else:
            for at in range(number):
                subject = names.chunk(self._folder, token, put, at)
                if (message_at := await last(self._connection, doing, names.objects, subject)) is not None:
                    parts[at] = message_at.data
        return b"".join(parts[at] for at in range(number)) if len(parts) == number else None

    async def _purge(self, doing: str, subjects: Sequence[str]) -> None:
        call = f"$JS.API.STREAM.PURGE.{self._connection.names.objects}"
        asked = [Ask(call, orjson.dumps({"filter": subject})) for subject in subjects]
        try:
            for (answer,) in await self._connection.ask_all(doing, asked):
                said(answer)
        except Refused as refused:
            raise refused.translated(doing) from refused
