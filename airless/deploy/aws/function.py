"""The function: its code, its log, and what makes it run."""

from __future__ import annotations

from typing import Final

import orjson

from airless.deploy.aws.deployment import Deployment, Json, QueueUse, logical_id, sub
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
        "Handler": deployment.handler,
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
    """Each sends a message to the operator's queue, or calls the function to begin a crawl."""
    declared = deployment.declared
    if not declared.schedules:
        return {}
    crawl = declared.kind == "crawl"
    use = next(use for use in deployment.queues() if use.consumed and not use.fifo)
    arn = {"Fn::GetAtt": ["Function", "Arn"]} if crawl else deployment.queue_arn(use)
    action = "lambda:InvokeFunction" if crawl else "sqs:SendMessage"
    only_here = {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
    resources: dict[str, Json] = {
        "ScheduleRole": {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "Description": f"What the schedules of {deployment.stack} may do.",
                "AssumeRolePolicyDocument": trust("scheduler.amazonaws.com", only_here),
                "Policies": [policy("target", [allow("CallTarget", [action], [arn])])],
            },
        }
    }
    for number, schedule in enumerate(declared.schedules, 1):
        # Two calls for one moment can be told to be one by the time that the scheduler fills in.
        start = {
            "airless": "crawl",
            "spider": deployment.target,
            "arguments": dict(schedule.data),
            "scheduled": "<aws.scheduler.scheduled-time>",
        }
        resources[f"Schedule{number}"] = {
            "Type": "AWS::Scheduler::Schedule",
            "Properties": {
                "Name": f"{deployment.stack[:60]}-{number}",
                "Description": f"airless: {deployment.target}",
                "ScheduleExpression": schedule.expression,
                "FlexibleTimeWindow": {"Mode": "OFF"},
                "Target": {
                    "Arn": arn,
                    "RoleArn": {"Fn::GetAtt": ["ScheduleRole", "Arn"]},
                    "Input": orjson.dumps(start if crawl else dict(schedule.data)).decode(),
                },
            },
        }
        if not crawl and deployment.queue(use) not in deployment.shared:
            resources[f"Schedule{number}"]["DependsOn"] = [queue_id(use)]
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
