"""The template: a deployment as CloudFormation reads it. Same deployment, same bytes."""

from __future__ import annotations

import json

from airless.deploy.aws.alarms import alarm_resources
from airless.deploy.aws.deployment import Deployment, Json, sub
from airless.deploy.aws.function import common_outputs, function_resources, outputs
from airless.deploy.aws.queues import queue_resources


def template(deployment: Deployment) -> Json:
    """The whole of it. The package is where the parameters CodeBucket and CodeKey say."""
    return {
        **_head(deployment),
        "Parameters": {
            "CodeBucket": {"Type": "String", "Description": "The bucket that holds the package"},
            "CodeKey": {
                "Type": "String",
                "Description": "The package's key in it",
                **({"Default": deployment.package_key} if deployment.package_key else {}),
            },
        },
        "Resources": {
            **_bucket(deployment),
            **queue_resources(deployment),
            **function_resources(deployment),
            **alarm_resources(deployment),
        },
        "Outputs": outputs(deployment),
    }


def bucket_template(deployment: Deployment) -> Json:
    """The bucket alone: a stack begins with it, since its package has to lie somewhere before all else."""
    return {**_head(deployment), "Resources": _bucket(deployment), "Outputs": common_outputs(deployment)}


# Bodies too large for a queue, of messages that are long gone: a queue keeps one for 14 days, one of dead letters for
# 14 more, and so may a second try.
_CLAIM_DAYS = 60


def text_of(value: Json) -> str:
    """As a file: indented, in the template's own order."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _head(deployment: Deployment) -> Json:
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"airless: {deployment.target}",
    }


def _bucket(deployment: Deployment) -> dict[str, Json]:
    if deployment.bucket_name in deployment.shared:
        return {}
    properties: Json = {
        "BucketName": sub(deployment.bucket_name),
        "PublicAccessBlockConfiguration": {
            "BlockPublicAcls": True,
            "BlockPublicPolicy": True,
            "IgnorePublicAcls": True,
            "RestrictPublicBuckets": True,
        },
        "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
        "BucketEncryption": {
            "ServerSideEncryptionConfiguration": [
                {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
            ]
        },
        "LifecycleConfiguration": {
            "Rules": [
                {
                    "Id": "unfinished-uploads",
                    "Status": "Enabled",
                    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
                },
                {
                    "Id": "forgotten-bodies",
                    "Status": "Enabled",
                    "Prefix": f"{deployment.prefix}/claims/",
                    "ExpirationInDays": _CLAIM_DAYS,
                },
            ]
        },
        "Tags": deployment.tags,
    }
    return {
        "Bucket": {
            "Type": "AWS::S3::Bucket",
            # What was crawled outlives the stack; airless destroy --delete-data deletes it.
            "DeletionPolicy": "RetainExceptOnCreate",
            "UpdateReplacePolicy": "Retain",
            "Properties": properties,
        }
    }
