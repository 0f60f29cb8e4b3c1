"""What others have made: queues that are there, and the functions that work on them."""

from __future__ import annotations

from airless.engines.aws.clients import AwsClients
from airless.engines.aws.faults import code_of, translated

GONE = frozenset({"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"})
"""The codes by which SQS says that there is no such queue."""


async def queue_url(clients: AwsClients, name: str) -> str | None:
    """None where there is no queue of that name."""
    client = await clients.sqs()
    with translated(f"asking for the queue {name}"):
        try:
            return (await client.get_queue_url(QueueName=name))["QueueUrl"]
        except client.exceptions.ClientError as error:
            if code_of(error) in GONE:
                return None
            raise


async def functions_on(clients: AwsClients, url: str) -> list[str]:
    """The names of the functions that take a queue's messages."""
    sqs, functions = await clients.sqs(), await clients.client("lambda")
    with translated(f"asking who works on the queue {url.rpartition('/')[2]}"):
        answer = await sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        found = await functions.list_event_source_mappings(EventSourceArn=answer["Attributes"]["QueueArn"])
    return [mapping["FunctionArn"].split(":")[6] for mapping in found["EventSourceMappings"]]
