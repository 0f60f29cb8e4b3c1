"""The function: its code, its log, and what makes it run."""

from __future__ import annotations

from typing import Final

from airless.core.codec import encode
from airless.core.message import Message
from airless.deploy.aws.deployment import HANDLER, Deployment, Json, QueueUse, logical_id, sub
from airless.deploy.aws.policy import allow, policy, role, trust
from airless.deploy.aws.queues import queue_id

LOG_DAYS: Final = 30

# A FIFO mapping hands over ten messages at most; a standard one waits a second for a batch that is worth a call.
_FIFO_BATCH = 10
_BATCH = 100
_LARGEST_BATCH = 10_000
_WINDOW_S = 1


def function_resources(deployment: Deployment) -> dict[str, Json]:
    """Role, log group, function, and the mappings, schedules or URL that call it."""
    return {
        "Role": role(deployment),
        "Log": {
            "Type": "AWS::Logs::LogGroup",
            "DeletionPolicy": "Delete",
            "UpdateReplacePolicy": "Delete",
            "Properties": {"LogGroupName": deployment.log_group, "RetentionInDays": LOG_DAYS},
        },
        "Function": _function(deployment),
        **_mappings(deployment),
        **_schedules(deployment),
        **_url(deployment),
    }


def _function(deployment: Deployment) -> Json:
    variables: Json = {
        **dict(sorted(deployment.environment.items())),
        "AIRLESS_ENGINE": deployment.engine_url,
    }
    if deployment.declared.kind != "crawl":
        # A crawl's state says which spider it runs.
        variables["OPERATOR_IMPORT"] = deployment.target
    properties: Json = {
        "FunctionName": deployment.stack,
        "Description": f"airless: {deployment.target}",
        "Runtime": f"python{deployment.python}",
        "Architectures": [deployment.arch],
        "Handler": HANDLER,
        "Role": {"Fn::GetAtt": ["Role", "Arn"]},
        "MemorySize": deployment.memory_mb,
        "Timeout": deployment.timeout_s,
        "Code": {"S3Bucket": {"Ref": "CodeBucket"}, "S3Key": {"Ref": "CodeKey"}},
        "Environment": {"Variables": variables},
        "LoggingConfig": {"LogGroup": {"Ref": "Log"}},
    }
    if deployment.reserved is not None:
        properties["ReservedConcurrentExecutions"] = deployment.reserved
    return {"Type": "AWS::Lambda::Function", "Properties": properties}


def _mappings(deployment: Deployment) -> dict[str, Json]:
    resources = {}
    for use in deployment.queues():
        if use.consumed:
            resources[logical_id("Mapping", *["Fifo"] * use.fifo)] = _mapping(deployment, use)
    return resources


def _mapping(deployment: Deployment, use: QueueUse) -> Json:
    properties: Json = {
        "EventSourceArn": deployment.queue_arn(use),
        "FunctionName": {"Ref": "Function"},
        "BatchSize": _FIFO_BATCH,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
    }
    if not use.fifo:
        properties["BatchSize"] = min(_LARGEST_BATCH, max(_BATCH, deployment.declared.batch_size))
        properties["MaximumBatchingWindowInSeconds"] = _WINDOW_S
    if deployment.concurrency is not None:
        properties["ScalingConfig"] = {"MaximumConcurrency": deployment.concurrency}
    resource: Json = {"Type": "AWS::Lambda::EventSourceMapping", "Properties": properties}
    if deployment.queue(use) not in deployment.shared:
        resource["DependsOn"] = [queue_id(use)]
    return resource


def _schedules(deployment: Deployment) -> dict[str, Json]:
    """Each sends a message to the operator's queue."""
    if not deployment.declared.schedules:
        return {}
    use = next(use for use in deployment.queues() if use.consumed and not use.fifo)
    arn = deployment.queue_arn(use)
    only_here = {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
    resources: dict[str, Json] = {
        "ScheduleRole": {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "Description": f"What the schedules of {deployment.stack} may do.",
                "AssumeRolePolicyDocument": trust("scheduler.amazonaws.com", only_here),
                "Policies": [policy("target", [allow("SendMessages", ["sqs:SendMessage"], [arn])])],
            },
        }
    }
    for number, schedule in enumerate(deployment.declared.schedules, 1):
        name = f"{deployment.stack[:60]}-{number}"
        # The scheduler may call twice for one moment: then it is one message by its id.
        message = Message(use.topic, dict(schedule.data), id=f"{name}-<aws.scheduler.scheduled-time>")
        resource: Json = {
            "Type": "AWS::Scheduler::Schedule",
            "Properties": {
                "Name": name,
                "Description": f"airless: {deployment.target}",
                "ScheduleExpression": schedule.expression,
                "FlexibleTimeWindow": {"Mode": "OFF"},
                "Target": {
                    "Arn": arn,
                    "RoleArn": {"Fn::GetAtt": ["ScheduleRole", "Arn"]},
                    "Input": encode(message).decode(),
                },
            },
        }
        if deployment.queue(use) not in deployment.shared:
            resource["DependsOn"] = [queue_id(use)]
        resources[f"Schedule{number}"] = resource
    return resources


def _url(deployment: Deployment) -> dict[str, Json]:
    """A URL for an operator of requests; without --public-url callers sign their requests by IAM."""
    if deployment.declared.kind != "http":
        return {}
    resources: dict[str, Json] = {
        "Url": {
            "Type": "AWS::Lambda::Url",
            "Properties": {
                "AuthType": "NONE" if deployment.public_url else "AWS_IAM",
                "TargetFunctionArn": {"Fn::GetAtt": ["Function", "Arn"]},
            },
        }
    }
    if deployment.public_url:
        resources["UrlForAll"] = {
            "Type": "AWS::Lambda::Permission",
            "Properties": {
                "Action": "lambda:InvokeFunctionUrl",
                "FunctionName": {"Ref": "Function"},
                "FunctionUrlAuthType": "NONE",
                # Everybody: that is what --public-url asks for.
                "Principal": "*",
            },
        }
    return resources


def common_outputs(deployment: Deployment) -> dict[str, Json]:
    """What every stack of ours tells, from its first day."""
    return {
        "Engine": {"Description": "The engine's URL", "Value": deployment.engine_url},
        "Bucket": {"Description": "Where state and objects are", "Value": sub(deployment.bucket_name)},
    }


def outputs(deployment: Deployment) -> dict[str, Json]:
    """What others need to know of the stack."""
    found = {
        **common_outputs(deployment),
        "Function": {"Description": "The function's name", "Value": {"Ref": "Function"}},
    }
    if deployment.declared.kind == "http":
        found["Url"] = {"Description": "Where requests go", "Value": {"Fn::GetAtt": ["Url", "FunctionUrl"]}}
    return found
