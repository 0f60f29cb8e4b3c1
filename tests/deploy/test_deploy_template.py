"""The template: it passes cfn-lint, and it allows what was declared and nothing more."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from deploying import deployment_of, resources_of, written

from airless.core.codec import decode
from airless.core.errors import ConfigError
from airless.deploy.aws.deployment import Deployment
from airless.deploy.aws.template import bucket_template, template, text_of
from airless.engines.aws.topics import queue_name

LINT = Path(sys.executable).with_name("cfn-lint")

SPIDER = """
from airless import Spider

class BookShop(Spider):
    buckets = ["pages-of-mine/raw:write"]
    secrets = ["shop/login"]
"""

OPERATORS = """
from airless.operators import BatchOperator, EventOperator, FileOperator, HttpOperator

class SendMail(EventOperator):
    topics = ["sent", "archive/2026"]
    secrets = ["smtp/key", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:other-a1B2c3"]
    schedules = {"0 6 * * 1-5": {"to": "ada"}, "rate(1 hour)": {"to": "bob"}}
    def execute(self, data, topic): ...

class Load(BatchOperator):
    batch_size = 2000
    def execute_many(self, messages): ...

class Import(FileOperator):
    buckets = ["landing", "reports/daily:write"]
    def execute(self, bucket, filepath): ...

class Api(HttpOperator):
    def execute(self, request): ...
"""


@pytest.fixture
def spider(tmp_path: Path) -> Deployment:
    return deployment_of(written(tmp_path, "spider_of_template.py", SPIDER), memory_mb=1024)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return written(tmp_path, "operators_of_template.py", OPERATORS)


@pytest.fixture
def mail(file: Path) -> Deployment:
    return deployment_of(f"{file}:SendMail", concurrency=20, reserved=50)


def lint(folder: Path, *templates: dict[str, Any]) -> str:
    """What cfn-lint has to say of them, of every severity."""
    paths = [folder / f"{number}.json" for number in range(len(templates))]
    for path, entry in zip(paths, templates, strict=True):
        path.write_text(text_of(entry))
    done = subprocess.run([LINT, "-c", "I", "--", *paths], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def allowed(deployment: Deployment) -> dict[str, tuple[list[str], list[str]]]:
    """The statements of the function's policy: id → actions and resources, as text."""
    (policy,) = resources_of(deployment, "AWS::IAM::Role")[0]["Policies"]
    return {
        statement["Sid"]: (statement["Action"], [text(entry) for entry in statement["Resource"]])
        for statement in policy["PolicyDocument"]["Statement"]
    }


def text(value: Any) -> str:
    return str(value["Fn::Sub"]) if isinstance(value, dict) else str(value)


def names(arns: list[str]) -> list[str]:
    return [arn.rpartition(":")[2] for arn in arns]


def test_cfn_lint_finds_nothing(spider: Deployment, file: Path, tmp_path: Path) -> None:
    assert LINT.exists()
    everything: dict[str, Any] = {
        "environment": {"ENV": "prod", "KEY": "value"},
        "notify": "arn:aws:sns:eu-west-1:123456789012:alarms",
        "bucket": "bucket-of-mine",
        "endpoint": "http://127.0.0.1:4566",
    }
    deployments = [
        spider,
        deployment_of(f"{file}:SendMail", concurrency=20, reserved=50, **everything),
        deployment_of(f"{file}:Load"),
        deployment_of(f"{file}:Import", arch="x86_64", python="3.11"),
        deployment_of(f"{file}:Api", public_url=True),
    ]
    assert lint(tmp_path, *map(template, deployments), bucket_template(spider)) == ""


def test_cfn_lint_would_find_something(spider: Deployment, tmp_path: Path) -> None:
    broken = template(spider)
    broken["Resources"]["Function"]["Properties"]["MemorySize"] = "plenty"
    assert "'plenty' is not of type" in lint(tmp_path, broken)


def test_the_same_deployment_gives_the_same_bytes(file: Path) -> None:
    texts = {text_of(template(deployment_of(f"{file}:SendMail", environment=env))) for env in (
        {"A": "1", "B": "2"}, {"B": "2", "A": "1"},
    )}  # fmt: skip
    assert len(texts) == 1


def test_a_spider_gets_the_frontier_with_its_dead_letters(spider: Deployment) -> None:
    queues = resources_of(spider, "AWS::SQS::Queue")
    assert [queue["QueueName"] for queue in queues] == [
        "airless-frontier-dead",
        "airless-frontier",
        "airless-frontier-dead.fifo",
        "airless-frontier.fifo",
    ]
    for queue in queues:
        assert queue.get("FifoQueue", False) == queue["QueueName"].endswith(".fifo")
        if "-dead" not in queue["QueueName"]:
            assert queue["VisibilityTimeout"] == 6 * 300
            assert "-dead" in text(queue["RedrivePolicy"]["deadLetterTargetArn"])
    (function,) = resources_of(spider, "AWS::Lambda::Function")
    assert "OPERATOR_IMPORT" not in function["Environment"]["Variables"]
    assert function["Handler"] == "airless.functions.aws_lambda.handler"


def test_an_operator_gets_its_queues_those_it_publishes_to_and_the_error_topics(mail: Deployment) -> None:
    parts = {queue["QueueName"].split("-dead")[0].removesuffix(".fifo")
             for queue in resources_of(mail, "AWS::SQS::Queue")}  # fmt: skip
    assert parts == {"airless-send-mail", "airless-sent", "airless-archive", "airless-error"}
    assert len(resources_of(mail, "AWS::SQS::Queue")) == 16
    (function,) = resources_of(mail, "AWS::Lambda::Function")
    variables = function["Environment"]["Variables"]
    assert variables["OPERATOR_IMPORT"] == "operators_of_template:SendMail"
    assert text(variables["AIRLESS_ENGINE"]) == (
        "aws://${AWS::Region}?bucket=airless-${AWS::AccountId}-${AWS::Region}&prefix=airless"
    )
    assert function["ReservedConcurrentExecutions"] == 50


def test_mappings_report_what_failed_and_are_limited(mail: Deployment, file: Path) -> None:
    standard, fifo = resources_of(mail, "AWS::Lambda::EventSourceMapping")
    for mapping in (standard, fifo):
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert mapping["ScalingConfig"] == {"MaximumConcurrency": 20}
    assert (standard["BatchSize"], standard["MaximumBatchingWindowInSeconds"]) == (100, 1)
    assert fifo["BatchSize"] == 10
    assert "MaximumBatchingWindowInSeconds" not in fifo
    assert (
        resources_of(deployment_of(f"{file}:Load"), "AWS::Lambda::EventSourceMapping")[0]["BatchSize"] == 2000
    )


def test_an_operator_may_do_what_it_declares(mail: Deployment) -> None:
    found = allowed(mail)
    actions, arns = found["TakeMessages"]
    assert "sqs:ReceiveMessage" in actions
    assert names(arns) == ["airless-send-mail", "airless-send-mail.fifo"]
    actions, arns = found["PublishMessages"]
    assert actions == ["sqs:GetQueueUrl", "sqs:SendMessage"]
    assert {name.removesuffix(".fifo") for name in names(arns)} == {
        "airless-archive",
        "airless-error",
        "airless-sent",
    }
    assert names(found["GiveUpMessages"][1]) == ["airless-send-mail-dead", "airless-send-mail-dead.fifo"]
    assert found["ReadSecrets"][1] == [
        "arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:smtp/key-??????",
        "arn:aws:secretsmanager:eu-west-1:123456789012:secret:other-a1B2c3",
    ]
    assert not [sid for sid in found if sid.startswith("UseBucket")]


def test_buckets_of_others_are_read_and_changed_only_where_that_was_declared(file: Path) -> None:
    found = allowed(deployment_of(f"{file}:Import"))
    assert found["UseBucket1"] == (["s3:GetObject"], ["arn:${AWS::Partition}:s3:::landing/*"])
    assert found["UseBucket2"] == (
        ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"],
        ["arn:${AWS::Partition}:s3:::reports/daily/*"],
    )


def test_no_statement_allows_every_action_or_every_resource(spider: Deployment, file: Path) -> None:
    deployments = [
        spider,
        *(deployment_of(f"{file}:{name}") for name in ("SendMail", "Load", "Import", "Api")),
    ]
    for deployment in deployments:
        for role in resources_of(deployment, "AWS::IAM::Role"):
            for statement in role["Policies"][0]["PolicyDocument"]["Statement"]:
                assert not [action for action in statement["Action"] if "*" in action]
                for resource in map(json.dumps, statement["Resource"]):
                    assert "*" not in resource or resource.rpartition("*")[0].endswith(("/", ":"))
                    assert not resource.strip('"').startswith("*")


def test_schedules_send_messages_to_the_operators_queue(mail: Deployment) -> None:
    first, second = resources_of(mail, "AWS::Scheduler::Schedule")
    assert (first["ScheduleExpression"], second["ScheduleExpression"]) == (
        "cron(0 6 ? * MON-FRI *)",
        "rate(1 hour)",
    )
    assert text(first["Target"]["Arn"]).endswith(":airless-send-mail")
    sent = decode("send-mail", first["Target"]["Input"].encode(), id="another")
    assert sent.data["to"] == "ada"
    assert sent.id == "airless-send-mail-1-<aws.scheduler.scheduled-time>"


def test_the_bucket_is_private_and_forgets_what_nobody_needs(spider: Deployment) -> None:
    (bucket,) = resources_of(spider, "AWS::S3::Bucket")
    assert all(bucket["PublicAccessBlockConfiguration"].values())
    uploads, bodies = bucket["LifecycleConfiguration"]["Rules"]
    assert uploads["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    assert (bodies["Prefix"], bodies["ExpirationInDays"]) == (f"{spider.prefix}/claims/", 60)


def test_alarms_watch_dead_letters_old_messages_and_errors(mail: Deployment) -> None:
    watched = {
        (
            alarm["MetricName"],
            text(alarm["Dimensions"][0]["Value"]) if alarm["Namespace"] == "AWS/SQS" else "",
        )
        for alarm in resources_of(mail, "AWS::CloudWatch::Alarm")
    }
    assert watched == {
        ("Errors", ""),
        ("ApproximateNumberOfMessagesVisible", "airless-send-mail-dead"),
        ("ApproximateNumberOfMessagesVisible", "airless-send-mail-dead.fifo"),
        ("ApproximateAgeOfOldestMessage", "airless-send-mail"),
        ("ApproximateAgeOfOldestMessage", "airless-send-mail.fifo"),
    }


def test_an_http_operator_has_a_url_that_only_signed_requests_open(file: Path) -> None:
    closed = deployment_of(f"{file}:Api")
    assert resources_of(closed, "AWS::Lambda::Url")[0]["AuthType"] == "AWS_IAM"
    assert not resources_of(closed, "AWS::Lambda::Permission")
    assert not resources_of(closed, "AWS::Lambda::EventSourceMapping")
    public = deployment_of(f"{file}:Api", public_url=True)
    assert resources_of(public, "AWS::Lambda::Url")[0]["AuthType"] == "NONE"


def test_the_buckets_of_a_file_operator_may_tell_its_queue(file: Path) -> None:
    (policy,) = resources_of(deployment_of(f"{file}:Import"), "AWS::SQS::QueuePolicy")
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert text(statement["Resource"]).endswith(":airless-import")
    assert [text(arn) for arn in statement["Condition"]["ArnEquals"]["aws:SourceArn"]] == [
        "arn:${AWS::Partition}:s3:::landing",
        "arn:${AWS::Partition}:s3:::reports",
    ]


def test_what_others_have_made_is_used_and_not_made(file: Path, tmp_path: Path) -> None:
    shared = frozenset({"airless-send-mail", "airless-error", "airless-${AWS::AccountId}-${AWS::Region}"})
    made = template(deployment_of(f"{file}:SendMail", shared=shared))
    queues = [entry["Properties"]["QueueName"] for entry in made["Resources"].values()
              if entry["Type"] == "AWS::SQS::Queue"]  # fmt: skip
    assert len(queues) == 14
    assert not shared & {*queues}
    assert "Bucket" not in made["Resources"]
    assert lint(tmp_path, made) == ""


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"name": "x" * 64}, "can't be the name of a stack"),
        ({"prefix": "1st"}, "can't be the name of a stack"),
        ({"bucket": "My_Bucket"}, "a bucket's name has"),
        ({"environment": {"AWS_REGION": "x"}}, "reserved"),
        ({"environment": {"OPERATOR_IMPORT": "x"}}, "reserved"),
        ({"environment": {"not a name": "x"}}, "reserved, or none"),
        ({"environment": {"LONG": "x" * 4000}}, "3,072 bytes"),
        ({"notify": "me@example.com"}, "not the ARN"),
    ],
)
def test_what_aws_would_refuse_is_refused_before(file: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        deployment_of(f"{file}:SendMail", **options)


def test_queues_are_named_by_the_topics_first_part() -> None:
    assert queue_name("airless", "frontier/monday") == "airless-frontier"
    assert queue_name("airless", "mail", fifo=True) == "airless-mail.fifo"
    assert queue_name("airless", "mail", fifo=True, dead=True) == "airless-mail-dead.fifo"


def test_no_two_topics_share_a_queue_and_no_name_is_too_long() -> None:
    topics = ["a.b", "a-b", "a_b", "a b", "ä", "x" * 200, "x" * 201, "mail", "mail-dead"]
    found = {queue_name("p" * 40, topic, fifo=fifo, dead=dead)
             for topic in topics for fifo in (False, True) for dead in (False, True)}  # fmt: skip
    assert len(found) == 4 * len(topics)
    assert all(len(name) <= 80 for name in found)
