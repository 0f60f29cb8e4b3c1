"""A folder of the bucket: names and bytes, written on conditions. State and objects stand on it.

Sources: the references of GetObject, PutObject, ListObjectsV2 and DeleteObjects; the S3 user guide on conditional
writes ("Conditional write behavior") and on naming objects.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from airless.core.at_once import each
from airless.core.errors import EngineError, MessageError
from airless.engines.aws.clients import AwsClients
from airless.engines.aws.faults import code_of, is_broken_off, no_bucket, translated
from airless.engines.aws.limits import S3_DELETE_KEYS, S3_KEY_BYTES
from airless.engines.aws.options import AwsOptions

if TYPE_CHECKING:
    from types_aiobotocore_s3.client import S3Client
    from types_aiobotocore_s3.type_defs import GetObjectRequestTypeDef, PutObjectRequestTypeDef

T = TypeVar("T")

# What botocore doesn't try again: a write that met another of its key, an answer that broke off in its body, and
# single keys that a DeleteObjects left.
_TRIES = 8
_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0
_BUSY = frozenset({"ConditionalRequestConflict", "OperationAborted"})
_DELETES_AT_ONCE = 8
# The metadata of an object that says which write made it.
_MARK = "airless-write"
# XML, in which S3 is asked to delete, can't hold the former; HTTP clients and proxies take the latter for a way.
_UNSTORABLE = re.compile(r"[\x00-\x1f\ud800-\udfff\ufffe\uffff]|(?:^|/)\.{1,2}(?:/|$)")


@dataclass(frozen=True, slots=True)
class Stored:
    """An object as it was read: its ETag, in quotes, and its bytes."""

    etag: str
    data: bytes


class Bucket:
    """The keys under ``{prefix}/{folder}/``, by their names. Strongly consistent, as S3 is.

    Faults that may pass are tried again for some seconds. A bucket that is missing is made where the options say so.
    """

    def __init__(self, clients: AwsClients, options: AwsOptions, folder: str) -> None:
        self._clients = clients
        self._options = options
        self._folder = f"{options.prefix}/{folder}/"

    async def get(self, name: str, kept: Stored | None = None) -> Stored | None:
        """What is stored, None where nothing is. `kept` itself where it is still that: only its ETag travels then."""
        if not self._storable(name):
            return None
        request: GetObjectRequestTypeDef = {"Bucket": self._options.bucket, "Key": self._folder + name}
        if kept is not None:
            request["IfNoneMatch"] = kept.etag

        async def read(client: S3Client) -> Stored | None:
            try:
                answer = await client.get_object(**request)
            except Exception as error:
                if code_of(error) in {"NoSuchKey", "404"}:
                    return None
                if code_of(error) in {"NotModified", "304"}:
                    return kept
                raise
            async with answer["Body"] as body:
                return Stored(_quoted(answer["ETag"]), await body.read())

        return await self._ask(f"reading {name!r} from S3", read)

    async def put(
        self,
        name: str,
        data: bytes,
        *,
        if_etag: str | None = None,
        if_absent: bool = False,
        mark: str | None = None,
    ) -> str | None:
        """The new ETag; None where the condition doesn't hold. That may be so because of this very write, whose
        answer was lost before it was sent again: `marked_by` or the bytes themselves tell.

        Raises MessageError for a name that S3 can't keep.
        """
        request: PutObjectRequestTypeDef = {
            "Bucket": self._options.bucket,
            "Key": self._key(name),
            "Body": data,
        }
        if if_etag is not None:
            request["IfMatch"] = if_etag
        if if_absent:
            request["IfNoneMatch"] = "*"
        if mark is not None:
            request["Metadata"] = {_MARK: mark}

        async def write(client: S3Client) -> str | None:
            try:
                return _quoted((await client.put_object(**request))["ETag"])
            except Exception as error:
                # A condition on what doesn't exist is refused with a 404.
                if code_of(error) == "PreconditionFailed" or (if_etag and code_of(error) == "NoSuchKey"):
                    return None
                raise

        return await self._ask(f"writing {name!r} to S3", write)

    async def marked_by(self, name: str) -> str | None:
        """The mark that the object was put with."""

        async def ask(client: S3Client) -> str | None:
            try:
                answer = await client.head_object(Bucket=self._options.bucket, Key=self._key(name))
            except Exception as error:
                if code_of(error) in {"NoSuchKey", "404"}:
                    return None
                raise
            return answer["Metadata"].get(_MARK)

        return await self._ask(f"asking S3 for {name!r}", ask)

    async def delete(self, names: Sequence[str]) -> None:
        """Many to a request. Raises EngineError where S3 refuses to delete some of them."""
        keys = [self._folder + name for name in dict.fromkeys(names) if self._storable(name)]
        chunks = [keys[at : at + S3_DELETE_KEYS] for at in range(0, len(keys), S3_DELETE_KEYS)]
        await each(self._delete, chunks, at_once=_DELETES_AT_ONCE)

    async def list(self, prefix: str) -> AsyncIterator[str]:
        """The names that start with a prefix, by code points. What is gone meanwhile moves no other."""
        after = ""
        while True:
            keys, more = await self._page(self._folder + prefix, after)
            for key in keys:
                yield key[len(self._folder) :]
            if not more or not keys:
                return
            after = keys[-1]

    async def _page(self, prefix: str, after: str) -> tuple[Sequence[str], bool]:
        async def ask(client: S3Client) -> tuple[Sequence[str], bool]:
            answer = await client.list_objects_v2(
                Bucket=self._options.bucket, Prefix=prefix, StartAfter=after
            )
            return [found["Key"] for found in answer.get("Contents", [])], answer["IsTruncated"]

        return await self._ask(f"listing {prefix!r} in S3", ask)

    async def _delete(self, keys: Sequence[str]) -> None:
        left, refused = list(keys), ""

        async def ask(client: S3Client) -> list[str]:
            nonlocal refused
            answer = await client.delete_objects(
                Bucket=self._options.bucket,
                Delete={"Objects": [{"Key": key} for key in left], "Quiet": True},
            )
            refused = ", ".join(sorted({error.get("Code", "") for error in answer.get("Errors", [])}))
            return [error.get("Key", "") for error in answer.get("Errors", [])]

        for turn in range(_TRIES):
            await _pause(turn)
            left = await self._ask("deleting from S3", ask)
            if not left:
                return
        raise EngineError(f"deleting from S3 failed for {len(left)} keys, of which {left[0]!r}: {refused}")

    async def _ask(self, doing: str, ask: Callable[[S3Client], Awaitable[T]]) -> T:
        with translated(doing):
            client = await self._clients.s3()
            for turn in range(1, _TRIES + 1):
                try:
                    return await ask(client)
                except Exception as error:
                    if code_of(error) == "NoSuchBucket":
                        if not self._options.create:
                            raise no_bucket(self._options) from error
                        await self._make(client)
                    elif turn == _TRIES or not (code_of(error) in _BUSY or is_broken_off(error)):
                        raise
                await _pause(turn)
            raise EngineError(f"{doing} failed: bucket {self._options.bucket!r} was made and isn't there")

    async def _make(self, client: S3Client) -> None:
        try:
            if self._options.region == "us-east-1":  # the one region that must not be named
                await client.create_bucket(Bucket=self._options.bucket)
            else:
                await client.create_bucket(
                    Bucket=self._options.bucket,
                    CreateBucketConfiguration={"LocationConstraint": self._options.region},  # type: ignore[typeddict-item]
                )
        except Exception as error:
            if code_of(error) != "BucketAlreadyOwnedByYou":
                raise

    def _key(self, name: str) -> str:
        if not self._storable(name):
            raise MessageError(
                f"{name!r} can't be a name in S3: no control characters, no '.' or '..' between slashes, and "
                f"up to {S3_KEY_BYTES - len(self._folder)} bytes of UTF-8"
            )
        return self._folder + name

    def _storable(self, name: str) -> bool:
        return not _UNSTORABLE.search(name) and len((self._folder + name).encode()) <= S3_KEY_BYTES


def _quoted(etag: str) -> str:
    """An ETag as HTTP writes it; some servers that speak S3 leave the quotes out."""
    return '"' + etag.strip('"') + '"'


async def _pause(turn: int) -> None:
    """Longer from turn to turn, and at random, so that two who met don't meet again."""
    if turn:
        await asyncio.sleep(min(_LONGEST_PAUSE_S, _PAUSE_S * 2**turn) * random.uniform(0.5, 1.0))  # noqa: S311
