"""The alarms: messages given up, a function that fails, messages that wait too long."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airless.deploy.aws.deployment import Deployment, Json, logical_id

# A crawl's messages wait by design: for their host's turn, and for those before them.
_OLD_S = {"crawl": 12 * 3600}
_OLD_OTHERWISE_S = 3600
_PERIOD_S = 300


def alarm_resources(deployment: Deployment) -> dict[str, Json]:
    """For the function and for each queue that it takes from; they tell the topic of --notify, if there is one."""
    resources = {
        "AlarmErrors": _alarm(
            deployment,
            f"{deployment.stack}: invocations fail",
            ("AWS/Lambda", "Errors", "Sum"),
            {"FunctionName": {"Ref": "Function"}},
            0,
        )
    }
    old_s = _OLD_S.get(deployment.declared.kind, _OLD_OTHERWISE_S)
    for use in deployment.queues():
        if not use.consumed:
            continue
        dead, name = deployment.queue(use, dead=True), deployment.queue(use)
        fifo = ["Fifo"] * use.fifo
        resources[logical_id("Alarm", "Dead", *fifo)] = _alarm(
            deployment,
            f"{deployment.stack}: messages were given up, see the queue {dead}",
            ("AWS/SQS", "ApproximateNumberOfMessagesVisible", "Maximum"),
            {"QueueName": dead},
            0,
        )
        resources[logical_id("Alarm", "Old", *fifo)] = _alarm(
            deployment,
            f"{deployment.stack}: a message has waited for {old_s // 3600} h in the queue {name}",
            ("AWS/SQS", "ApproximateAgeOfOldestMessage", "Maximum"),
            {"QueueName": name},
            old_s,
        )
    return resources


def _alarm(
    deployment: Deployment,
    description: str,
    metric: tuple[str, str, str],
    dimensions: Mapping[str, Any],
    above: int,
) -> Json:
    namespace, name, statistic = metric
    properties: Json = {
        "AlarmDescription": description,
        "Namespace": namespace,
        "MetricName": name,
        "Statistic": statistic,
        "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
        "ComparisonOperator": "GreaterThanThreshold",
        "Threshold": above,
        "Period": _PERIOD_S,
        "EvaluationPeriods": 1,
        # No data means nothing waits and nothing runs.
        "TreatMissingData": "notBreaching",
    }
    if deployment.notify:
        properties["AlarmActions"] = [deployment.notify]
    return {"Type": "AWS::CloudWatch::Alarm", "Properties": properties}
