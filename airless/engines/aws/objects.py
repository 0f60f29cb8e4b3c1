"""Objects on S3, each under its name."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Sequence

from airless.engines.aws.bucket import Bucket
from airless.engines.aws.clients import AwsClients
from airless.engines.aws.options import AwsOptions


class S3Objects:
    """`Objects` on S3, in a folder of the bucket. Names S3 can't keep (see `Bucket`) raise MessageError when put."""

    def __init__(self, clients: AwsClients, options: AwsOptions, folder: str = "objects") -> None:
        self._bucket = Bucket(clients, options, folder)

    async def put(self, name: str, data: bytes) -> None:
        await self._bucket.put(name, data)

    async def put_if_absent(self, name: str, data: bytes) -> bool:
        """As `Objects.put_if_absent`; a write whose answer was lost is known by its mark."""
        mark = uuid.uuid4().hex
        if await self._bucket.put(name, data, if_absent=True, mark=mark) is not None:
            return True
        return await self._bucket.marked_by(name) == mark

    async def get(self, name: str) -> bytes | None:
        stored = await self._bucket.get(name)
        return stored.data if stored else None

    async def delete(self, names: Sequence[str]) -> None:
        await self._bucket.delete([name for name in names if name])

    def list(self, prefix: str) -> AsyncIterator[str]:
        return self._bucket.list(prefix)
