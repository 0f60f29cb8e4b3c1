"""A deployment's bucket, as deploying needs it: is it there, whose is it, and away with what is in it."""

from __future__ import annotations

from typing import Any

from airless.core.errors import ConfigError
from airless.deploy.aws.deployment import PREFIX_TAG
from airless.deploy.errors import DeployFailed
from airless.engines.aws.clients import AwsClients
from airless.engines.aws.faults import code_of, translated
from airless.engines.aws.limits import S3_DELETE_KEYS


class DeployBucket:
    """One bucket by its name."""

    def __init__(self, clients: AwsClients, name: str) -> None:
        self.name = name
        self._clients = clients

    async def exists(self) -> bool:
        """Raises ConfigError where somebody else's account has a bucket of that name."""
        client = await self._clients.s3()
        with translated(f"asking for the bucket {self.name}"):
            try:
                await client.head_bucket(Bucket=self.name)
            except client.exceptions.ClientError as error:
                if code_of(error) in {"404", "NoSuchBucket", "NotFound"}:
                    return False
                if code_of(error) in {"403", "301"}:
                    raise ConfigError(
                        f"the bucket {self.name} is another account's, or in another region: give --bucket NAME"
                    ) from error
                raise
        return True

    async def prefix(self) -> str | None:
        """The prefix of the stacks that it was made for, by its tag."""
        client = await self._clients.s3()
        with translated(f"reading the tags of the bucket {self.name}"):
            try:
                answer = await client.get_bucket_tagging(Bucket=self.name)
            except client.exceptions.ClientError as error:
                if code_of(error) == "NoSuchTagSet":
                    return None
                raise
        return next((tag["Value"] for tag in answer["TagSet"] if tag["Key"] == PREFIX_TAG), None)

    async def put(self, key: str, data: bytes) -> None:
        """Upload it, if it isn't there: a key that holds a hash of its data has no other data."""
        client = await self._clients.s3()
        with translated(f"uploading {key}"):
            try:
                await client.head_object(Bucket=self.name, Key=key)
                return
            except client.exceptions.ClientError as error:
                if code_of(error) not in {"404", "NoSuchKey", "NotFound"}:
                    raise
            await client.put_object(Bucket=self.name, Key=key, Body=data)

    def url(self, key: str) -> str:
        """Where CloudFormation reads an object of it."""
        options = self._clients.options
        if options.endpoint:
            return f"{options.endpoint}/{self.name}/{key}"
        return f"https://{self.name}.s3.{options.region}.amazonaws.com/{key}"

    async def count(self, prefix: str = "", *, limit: int = 1000) -> int:
        """How many objects are below a prefix, counted no further than to `limit`."""
        client = await self._clients.s3()
        with translated(f"looking into the bucket {self.name}"):
            page = await client.list_objects_v2(Bucket=self.name, Prefix=prefix, MaxKeys=limit)
        return page["KeyCount"]

    async def folders(self, prefix: str) -> list[str]:
        """The names up to the next "/" below a prefix."""
        client = await self._clients.s3()
        with translated(f"looking into the bucket {self.name}"):
            page = await client.list_objects_v2(Bucket=self.name, Prefix=prefix, Delimiter="/")
        found = page.get("CommonPrefixes", ())
        return [entry["Prefix"].removeprefix(prefix).rstrip("/") for entry in found]

    async def clear(self, prefix: str = "", *, but: str = "") -> int:
        """Delete what is below a prefix, without the key `but`; how many objects that were."""
        client = await self._clients.s3()
        deleted = 0
        with translated(f"emptying the bucket {self.name}"):
            async for page in client.get_paginator("list_objects_v2").paginate(
                Bucket=self.name, Prefix=prefix, PaginationConfig={"PageSize": S3_DELETE_KEYS}
            ):
                keys: list[Any] = [
                    {"Key": entry["Key"]} for entry in page.get("Contents", ()) if entry["Key"] != but
                ]
                if not keys:
                    continue
                answer = await client.delete_objects(
                    Bucket=self.name, Delete={"Objects": keys, "Quiet": True}
                )
                if errors := answer.get("Errors"):
                    raise DeployFailed(f"{errors[0]['Key']} can't be deleted: {errors[0].get('Message')}")
                deleted += len(keys)
        return deleted

    async def remove(self) -> None:
        """Remove the bucket, which is empty."""
        client = await self._clients.s3()
        with translated(f"removing the bucket {self.name}"):
            await client.delete_bucket(Bucket=self.name)
