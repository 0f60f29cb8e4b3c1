"""Destroying: the stack goes, and what it left behind; what was crawled stays unless it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from airless.core.errors import ConfigError
from airless.deploy.aws.bucket import DeployBucket
from airless.deploy.aws.deploying import bucket_of_account, package_folder
from airless.deploy.aws.stack import Stack
from airless.engines.aws.clients import AwsClients
from airless.engines.aws.faults import code_of, translated
from airless.engines.aws.options import AwsOptions


async def destroy(
    clients: AwsClients,
    stack: Stack,
    *,
    delete_data: bool = False,
    prefix: str = "airless",
    bucket: str | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> None:
    """Remove the stack and wait; then its packages, the queues that it kept, and its bucket if that is empty.

    With `delete_data` the bucket is emptied first. One that another stack made loses only what is under the
    prefix. `prefix` and `bucket` are asked for where the stack is gone already. Raises DeployFailed and
    ConfigError.
    """
    outputs = await stack.outputs()
    queues: list[str] = []
    there = await stack.status() is not None
    if there:
        queues = [name for kind, name in await stack.resources() if kind == "AWS::SQS::Queue"]
    if "Engine" in outputs:
        options = AwsOptions.parse(outputs["Engine"])
        prefix, bucket = options.prefix, options.bucket
    place = DeployBucket(clients, bucket or await bucket_of_account(clients, prefix))
    has_bucket = await place.exists()
    own = has_bucket and await place.stack() == stack.name
    if not there and not own:
        raise ConfigError(f"there is no stack {stack.name} in {clients.options.region}")
    if has_bucket and delete_data:
        others = sorted({*await place.folders(f"{prefix}/deploy/")} - {stack.name})
        if others:
            raise ConfigError(
                f"the data in the bucket {place.name} is also that of {', '.join(others)}: destroy those first, or "
                "leave out --delete-data"
            )
    await stack.delete()
    await _delete_queues(clients, queues, say)
    if has_bucket:
        await _delete_data(place, stack.name, prefix, own=own, everything=delete_data, say=say)


async def _delete_queues(clients: AwsClients, urls: Sequence[str], say: Callable[[str], None]) -> None:
    """Those that the stack kept, unless a function of somebody else's lives on them."""
    sqs, functions = await clients.sqs(), await clients.client("lambda")
    for url in urls:
        name = url.rpartition("/")[2]
        with translated(f"removing the queue {name}"):
            try:
                answer = await sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
                arn = answer["Attributes"]["QueueArn"]
                users = await functions.list_event_source_mappings(EventSourceArn=arn)
                if users["EventSourceMappings"]:
                    function = users["EventSourceMappings"][0]["FunctionArn"].rpartition(":")[2]
                    say(f"kept the queue {name}: {function} works on it")
                    continue
                await sqs.delete_queue(QueueUrl=url)
            except sqs.exceptions.ClientError as error:
                if code_of(error) not in {"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"}:
                    raise


async def _delete_data(
    bucket: DeployBucket, stack: str, prefix: str, *, own: bool, everything: bool, say: Callable[[str], None]
) -> None:
    await bucket.clear(package_folder(prefix, stack))
    if everything:
        deleted = await bucket.clear("" if own else f"{prefix}/")
        say(f"deleted {deleted:,} objects of the bucket {bucket.name}")
    if not own:
        say(f"kept the bucket {bucket.name}: another stack, or somebody, made it")
    elif waiting := await bucket.count():
        more = "or more " if waiting == 1000 else ""
        say(
            f"kept the bucket {bucket.name}: it holds {waiting:,} {more}objects; "
            "the same command with --delete-data deletes them"
        )
    else:
        await bucket.remove()
        say(f"removed the bucket {bucket.name}")
