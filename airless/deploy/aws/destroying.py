"""Destroying: the stack goes, and with the last one of its prefix what they kept; data stays unless asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from airless.core.errors import ConfigError
from airless.deploy.aws.bucket import DeployBucket
from airless.deploy.aws.deploying import bucket_of_account, package_folder
from airless.deploy.aws.deployment import PREFIX_TAG
from airless.deploy.aws.others import GONE, functions_on
from airless.deploy.aws.stack import Stack
from airless.engines.aws.clients import AwsClients
from airless.engines.aws.faults import code_of, translated
from airless.engines.aws.options import AwsOptions

Say = Callable[[str], None]

_COUNTED = 1000


async def destroy(
    clients: AwsClients,
    stack: Stack,
    *,
    delete_data: bool = False,
    prefix: str = "airless",
    bucket: str | None = None,
    say: Say = lambda line: None,
) -> None:
    """Remove the stack and its packages, and wait.

    If no other stack of its prefix is left, the queues go that they kept for each other, and the bucket if it is
    empty; with `delete_data` it is emptied first, or loses what is below the prefix if it was not made for it.
    `prefix` and `bucket` are asked for where the stack is gone already. Raises DeployFailed and ConfigError.
    """
    there = await stack.status() is not None
    outputs = await stack.outputs()
    if "Engine" in outputs:
        options = AwsOptions.parse(outputs["Engine"])
        prefix, bucket = options.prefix, options.bucket
    place = DeployBucket(clients, bucket or await bucket_of_account(clients, prefix))
    has_bucket = await place.exists()
    own = has_bucket and await _is_ours(place, stack, prefix)
    if not there and not (own and delete_data):
        raise ConfigError(f"there is no stack {stack.name} in {clients.options.region}")
    # Each stack has its package there as long as it lives.
    others = sorted({*await place.folders(f"{prefix}/deploy/")} - {stack.name}) if has_bucket else []
    if others and delete_data:
        raise ConfigError(
            f"the data in the bucket {place.name} is also that of {', '.join(others)}: destroy those first, or "
            "leave out --delete-data"
        )
    await stack.delete()
    if has_bucket:
        await place.clear(package_folder(prefix, stack.name))
    if others:
        say(
            f"kept the bucket {place.name} and the queues that are published on: {', '.join(others)} may use them"
        )
        return
    await _delete_kept_queues(clients, prefix, say)
    if has_bucket:
        await _delete_data(place, prefix, own=own, everything=delete_data, say=say)


async def _is_ours(place: DeployBucket, stack: Stack, prefix: str) -> bool:
    if await stack.status() is not None and ("AWS::S3::Bucket", place.name) in await stack.resources():
        return True
    return await place.prefix() == prefix


async def _delete_kept_queues(clients: AwsClients, prefix: str, say: Say) -> None:
    """Those of the prefix, by their tag, unless a function that isn't ours lives on them."""
    sqs = await clients.sqs()
    urls: Sequence[str] = []
    with translated("listing the queues"):
        async for page in sqs.get_paginator("list_queues").paginate(
            QueueNamePrefix=f"{prefix}-", PaginationConfig={"PageSize": 1000}
        ):
            urls = [*urls, *page.get("QueueUrls", ())]
    for url in urls:
        name = url.rpartition("/")[2]
        with translated(f"removing the queue {name}"):
            try:
                tags = (await sqs.list_queue_tags(QueueUrl=url)).get("Tags", {})
                if tags.get(PREFIX_TAG) != prefix:
                    continue
                if users := await functions_on(clients, url):
                    say(f"kept the queue {name}: {users[0]} works on it")
                    continue
                await sqs.delete_queue(QueueUrl=url)
            except sqs.exceptions.ClientError as error:
                # SQS lists a queue for a minute after it has gone.
                if code_of(error) not in GONE:
                    raise


async def _delete_data(bucket: DeployBucket, prefix: str, *, own: bool, everything: bool, say: Say) -> None:
    if everything:
        deleted = await bucket.clear("" if own else f"{prefix}/")
        say(f"deleted {deleted:,} objects of the bucket {bucket.name}")
    if not own:
        say(f"kept the bucket {bucket.name}: it was not made for {prefix}")
    elif waiting := await bucket.count(limit=_COUNTED):
        more = " or more" if waiting == _COUNTED else ""
        say(
            f"kept the bucket {bucket.name}: it holds {waiting:,}{more} objects; "
            "the same command with --delete-data deletes them"
        )
    else:
        await bucket.remove()
        say(f"removed the bucket {bucket.name}")
