"""The queues of a deployment: for each topic a standard one and a FIFO one, and the dead letters of both."""

from __future__ import annotations

from typing import Final

from airless.deploy.aws.deployment import Deployment, Json, QueueUse, logical_id, sub

RETENTION_S: Final = 14 * 24 * 3600
"""The longest that SQS keeps a message."""

MAX_RECEIVES: Final = 50
"""Failures are counted by airless and end long before; this is for messages that kill the process."""

_MESSAGE_BYTES = 1024 * 1024


def queue_resources(deployment: Deployment) -> dict[str, Json]:
    """Those that nobody else has made.

    The stack keeps the ones that it only sends to when it goes or they leave its template, since other stacks of
    the prefix may live on them; ``airless destroy`` deletes them with the last of these.
    """
    resources: dict[str, Json] = {}
    for use in deployment.queues():
        name, dead = deployment.queue(use), deployment.queue(use, dead=True)
        if dead not in deployment.shared:
            resources[queue_id(use, dead=True)] = _queue(
                dead, use, {"VisibilityTimeout": 60, "Tags": deployment.tags}
            )
        if name in deployment.shared:
            continue
        resource = _queue(
            name,
            use,
            {
                "VisibilityTimeout": deployment.visibility_s,
                "RedrivePolicy": {
                    "deadLetterTargetArn": deployment.queue_arn(use, dead=True),
                    "maxReceiveCount": MAX_RECEIVES,
                },
                "Tags": deployment.tags,
            },
        )
        if queue_id(use, dead=True) in resources:
            resource["DependsOn"] = [queue_id(use, dead=True)]
        resources[queue_id(use)] = resource
        if (
            deployment.declared.kind == "file"
            and use.consumed
            and not use.fifo
            and deployment.declared.buckets
        ):
            resources["QueuePolicy"] = _from_buckets(deployment, use)
    return resources


def _from_buckets(deployment: Deployment, use: QueueUse) -> Json:
    """Lets the declared buckets tell the queue of their files; the buckets' owner turns that on there."""
    buckets = [sub("arn:${AWS::Partition}:s3:::" + bucket.name) for bucket in deployment.declared.buckets]
    statement = {
        "Sid": "FilesOfDeclaredBuckets",
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": deployment.queue_arn(use),
        "Condition": {
            "ArnEquals": {"aws:SourceArn": buckets},
            "StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}},
        },
    }
    return {
        "Type": "AWS::SQS::QueuePolicy",
        "Properties": {
            "Queues": [{"Ref": queue_id(use)}],
            "PolicyDocument": {"Version": "2012-10-17", "Statement": [statement]},
        },
    }


def queue_id(use: QueueUse, *, dead: bool = False) -> str:
    return logical_id("Queue", use.topic.partition("/")[0], *["Fifo"] * use.fifo, *["Dead"] * dead)


def _queue(name: str, use: QueueUse, properties: Json) -> Json:
    fifo = {
        "FifoQueue": True,
        "ContentBasedDeduplication": False,
        # With these two a FIFO queue takes thousands of messages a second, not hundreds.
        "DeduplicationScope": "messageGroup",
        "FifoThroughputLimit": "perMessageGroupId",
    }
    policy = "Delete" if use.consumed else "RetainExceptOnCreate"
    return {
        "Type": "AWS::SQS::Queue",
        "DeletionPolicy": policy,
        "UpdateReplacePolicy": "Delete" if use.consumed else "Retain",
        "Properties": {
            "QueueName": name,
            "MessageRetentionPeriod": RETENTION_S,
            "MaximumMessageSize": _MESSAGE_BYTES,
            "SqsManagedSseEnabled": True,
            **(fifo if use.fifo else {}),
            **properties,
        },
    }
