"""What the function may do: exactly what its class declares, by exact names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airless.deploy.aws.deployment import Deployment, Json, sub

_TAKE = ("sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage")
_SEND = ("sqs:GetQueueUrl", "sqs:SendMessage")
_READ = ("s3:GetObject",)
_WRITE = ("s3:DeleteObject", "s3:PutObject")


def role(deployment: Deployment) -> Json:
    """The function's role."""
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "Description": f"What the function {deployment.stack} may do.",
            "AssumeRolePolicyDocument": trust("lambda.amazonaws.com"),
            "Policies": [policy("declared", statements(deployment))],
        },
    }


def trust(service: str, condition: Json | None = None) -> Json:
    """The document that lets a service take a role."""
    statement: Json = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sts:AssumeRole",
    }
    if condition:
        statement["Condition"] = condition
    return {"Version": "2012-10-17", "Statement": [statement]}


def policy(name: str, allowed: Sequence[Json]) -> Json:
    return {"PolicyName": name, "PolicyDocument": {"Version": "2012-10-17", "Statement": list(allowed)}}


def allow(sid: str, actions: Sequence[str], resources: Sequence[Any]) -> Json:
    return {"Sid": sid, "Effect": "Allow", "Action": sorted(actions), "Resource": list(resources)}


def statements(deployment: Deployment) -> list[Json]:
    """The statements of the function's policy, in order.

    A "*" ends a resource in three places, each below a name: objects under a prefix, streams of the function's
    log group, and the six characters that Secrets Manager puts behind a secret's name.
    """
    uses = deployment.queues()
    taken = [deployment.queue_arn(use) for use in uses if use.consumed]
    dead = [deployment.queue_arn(use, dead=True) for use in uses if use.consumed]
    sent = [deployment.queue_arn(use) for use in uses if not use.consumed]
    found = []
    if taken:
        found.append(allow("TakeMessages", [*_TAKE, *_SEND], taken))
        found.append(allow("GiveUpMessages", _SEND, dead))
    if sent:
        found.append(allow("PublishMessages", _SEND, sent))
    return [
        *found,
        *_own_bucket(deployment),
        *_other_buckets(deployment),
        *_secrets(deployment),
        allow(
            "WriteLogs",
            ["logs:CreateLogStream", "logs:PutLogEvents"],
            [deployment.arn("logs", f"log-group:{deployment.log_group}:*")],
        ),
    ]


def _own_bucket(deployment: Deployment) -> list[Json]:
    bucket, prefix = deployment.bucket_name, deployment.prefix
    kinds = ("claims", "objects", "state")
    listing = allow("ListOwnObjects", ["s3:ListBucket"], [_s3(bucket)])
    # Whoever may not list a bucket is told 403, not 404, of a key that isn't there, and that question has no
    # prefix: hence IfExists.
    listing["Condition"] = {"StringLikeIfExists": {"s3:prefix": [f"{prefix}/{kind}/*" for kind in kinds]}}
    return [
        allow("UseOwnObjects", [*_READ, *_WRITE], [_s3(bucket, f"{prefix}/{kind}/*") for kind in kinds]),
        listing,
    ]


def _other_buckets(deployment: Deployment) -> list[Json]:
    found = []
    for number, use in enumerate(deployment.declared.buckets, 1):
        below = f"{use.prefix}/*" if use.prefix else "*"
        actions = [*_READ, *(_WRITE if use.write else ())]
        found.append(allow(f"UseBucket{number}", actions, [_s3(use.name, below)]))
        listing = allow(f"ListBucket{number}", ["s3:ListBucket"], [_s3(use.name)])
        if use.prefix:
            listing["Condition"] = {"StringLikeIfExists": {"s3:prefix": [f"{use.prefix}/*"]}}
        found.append(listing)
    return found


def _secrets(deployment: Deployment) -> list[Json]:
    arns = [
        secret if secret.startswith("arn:") else deployment.arn("secretsmanager", f"secret:{secret}-??????")
        for secret in deployment.declared.secrets
    ]
    return [allow("ReadSecrets", ["secretsmanager:GetSecretValue"], arns)] if arns else []


def _s3(bucket: str, key: str | None = None) -> Any:
    name = "arn:${AWS::Partition}:s3:::" + bucket
    return sub(name if key is None else f"{name}/{key}")
