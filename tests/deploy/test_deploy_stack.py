"""Deploying for real: the command makes a stack on an emulator of AWS, its function runs, and it goes again.

The emulator (ministack) runs the package in a process of this machine, reads queues for it as Lambda's event source
mappings do, and drops the tags of a bucket, which AWS keeps.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from deploying import deployment_of, written

from airless.core.errors import ConfigError
from airless.deploy.aws.bucket import DeployBucket
from airless.deploy.aws.deploying import Deployer
from airless.deploy.aws.deployment import PREFIX_TAG
from airless.deploy.aws.destroying import destroy
from airless.deploy.aws.stack import Stack, StackEvent
from airless.deploy.errors import DeployFailed
from airless.deploy.package import Package
from airless.engines.aws.clients import AwsClients
from airless.engines.aws.options import AwsOptions
from airless.local.demo import Shop, served

REGION = "us-east-1"
ACCOUNT = "000000000000"
ROOT = Path(__file__).resolve().parents[2]

GREET = """
import json, os
from airless.operators import EventOperator

class Greet(EventOperator):
    topics = ["greeted"]
    schedules = {"0 6 * * *": {"name": "Ada"}}

    async def execute(self, data, topic):
        said = {"name": data["name"], "word": os.environ.get("WORD"), "topic": topic}
        self.put(f"greetings/{self.message_id}", json.dumps(said).encode())
        self.publish("greeted", said)
"""

MAIL = """
from airless.operators import EventOperator

class Greeted(EventOperator):
    def execute(self, data, topic): ...
"""

EMPTY = Package(b"PK\x05\x06" + bytes(18), 0, 0, compiled=False)

SPIDER = """
from airless import Spider

class WholeShop(Spider):
    def parse(self, response):
        return [{"url": response.url}, response.follow_all()]
"""
PRIVATE = """
    from airless import Http, Settings
    settings = Settings(http=Http(allow_private=True))
"""


@dataclass(frozen=True, slots=True)
class Ran:
    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Cloud:
    """The emulator, with a prefix that no other test has, and the command in a folder of its own."""

    endpoint: str
    prefix: str
    folder: Path
    clients: AwsClients

    @property
    def bucket(self) -> str:
        return f"{self.prefix}-{ACCOUNT}-{REGION}"

    async def run(self, *words: str, expect: int = 0) -> Ran:
        """``airless …`` against the emulator."""
        place = ["--prefix", self.prefix, "--endpoint", self.endpoint, "--region", REGION]
        return await self.command(*words, *place, expect=expect)

    async def command(self, *words: str, expect: int | None = 0) -> Ran:
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "airless", *words],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=120,
        )
        ran = Ran(done.returncode, done.stdout, done.stderr)
        assert expect is None or ran.code == expect, ran
        return ran

    async def deploy(self, *words: str, expect: int = 0) -> Ran:
        return await self.run("deploy", "aws", *words, expect=expect)

    async def destroy(self, stack: str, *words: str, expect: int = 0) -> Ran:
        return await self.run("destroy", "aws", f"{self.prefix}-{stack}", "--yes", *words, expect=expect)

    async def make(self, file: str, **options: Any) -> list[str]:
        """What the command does in this process, with a package that has nothing in it; what it says."""
        said: list[str] = []
        deployment = deployment_of(
            self.folder / file, prefix=self.prefix, endpoint=self.endpoint, python="3.11", **options
        )
        stack = Stack(self.clients, deployment.stack, poll_s=0.05)
        await Deployer(self.clients, stack, deployment, EMPTY, said.append).apply()
        return said

    async def unmake(self, name: str, *, delete_data: bool = False) -> list[str]:
        said: list[str] = []
        stack = Stack(self.clients, f"{self.prefix}-{name}", poll_s=0.05)
        await destroy(self.clients, stack, delete_data=delete_data, prefix=self.prefix, say=said.append)
        return said

    async def item(self) -> None:
        """Something crawled."""
        s3 = await self.clients.s3()
        await s3.put_object(Bucket=self.bucket, Key=f"{self.prefix}/objects/item", Body=b"{}")

    async def tag(self) -> None:
        """The tag that CloudFormation gives the bucket on AWS."""
        s3 = await self.clients.s3()
        tags = [{"Key": PREFIX_TAG, "Value": self.prefix}]
        await s3.put_bucket_tagging(Bucket=self.bucket, Tagging={"TagSet": tags})

    async def send(self, topic: str, body: str) -> None:
        sqs = await self.clients.sqs()
        url = (await sqs.get_queue_url(QueueName=f"{self.prefix}-{topic}"))["QueueUrl"]
        await sqs.send_message(QueueUrl=url, MessageBody=body)

    async def received(self, topic: str) -> str:
        """The body of a message on a queue."""
        sqs = await self.clients.sqs()
        url = (await sqs.get_queue_url(QueueName=f"{self.prefix}-{topic}"))["QueueUrl"]
        answer = await sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)
        return answer["Messages"][0]["Body"]

    async def kept(self, count: int) -> list[dict[str, Any]]:
        """What the function has left in the bucket, when it is that many."""
        s3 = await self.clients.s3()
        async with asyncio.timeout(30):
            while True:
                page = await s3.list_objects_v2(
                    Bucket=self.bucket, Prefix=f"{self.prefix}/objects/greetings/"
                )
                if page["KeyCount"] >= count:
                    break
                await asyncio.sleep(0.1)
        bodies = []
        for entry in page["Contents"]:
            answer = await s3.get_object(Bucket=self.bucket, Key=entry["Key"])
            bodies.append(json.loads(await answer["Body"].read()))
        return bodies

    async def everything(self) -> list[str]:
        """What there is of ours, of every kind that a deployment makes."""
        sqs, s3 = await self.clients.sqs(), await self.clients.s3()
        functions, logs = await self.clients.client("lambda"), await self.clients.client("logs")
        iam, schedules = await self.clients.client("iam"), await self.clients.client("scheduler")
        stacks, alarms = await self.clients.client("cloudformation"), await self.clients.client("cloudwatch")
        mappings = (await functions.list_event_source_mappings())["EventSourceMappings"]
        found = [
            *(await sqs.list_queues()).get("QueueUrls", []),
            *(bucket["Name"] for bucket in (await s3.list_buckets())["Buckets"]),
            *(entry["FunctionName"] for entry in (await functions.list_functions())["Functions"]),
            *(mapping["EventSourceArn"] for mapping in mappings),
            *(group["logGroupName"] for group in (await logs.describe_log_groups())["logGroups"]),
            *(role["RoleName"] for role in (await iam.list_roles())["Roles"]),
            *(entry["Name"] for entry in (await schedules.list_schedules())["Schedules"]),
            *(entry["StackName"] for entry in (await stacks.describe_stacks())["Stacks"]),
            *(entry["AlarmName"] for entry in (await alarms.describe_alarms())["MetricAlarms"]),
        ]
        return [name for name in found if self.prefix in name]


@pytest.fixture
async def cloud(ministack_endpoint: str, tmp_path: Path) -> AsyncIterator[Cloud]:
    prefix = f"t{os.urandom(4).hex()}"
    clients = AwsClients(AwsOptions(REGION, "", prefix, ministack_endpoint))
    written(tmp_path, "greet.py", GREET)
    written(tmp_path, "mail.py", MAIL)
    yield Cloud(ministack_endpoint, prefix, tmp_path, clients)
    await clients.aclose()


async def test_a_deployed_function_runs_on_messages_is_updated_and_leaves_nothing(cloud: Cloud) -> None:
    planned = await cloud.deploy("greet.py", "--plan")
    assert f"the stack {cloud.prefix}-greet in {REGION} would be created" in planned.out
    assert "+ AWS::Lambda::Function  Function" in planned.out
    assert await cloud.everything() == []

    made = await cloud.deploy("greet.py", "--apply", "--out", "build")
    assert f"the stack {cloud.prefix}-greet in {REGION} is deployed" in made.out
    assert "CREATE_COMPLETE" in made.err
    assert {file.name for file in (cloud.folder / "build").iterdir()} == {"package.zip", "template.json"}
    await cloud.send("greet", '{"name": "Ada"}')
    assert await cloud.kept(1) == [{"name": "Ada", "word": None, "topic": "greet"}]
    assert "Ada" in await cloud.received("greeted")

    # The folder "build" is no Python: the package is the same, and so is the stack.
    same = await cloud.deploy("greet.py", "--plan", "--apply")
    assert "would stay as it is" in same.out
    assert "is as it should be" in same.out

    changed = await cloud.deploy(
        "greet.py", "--env", "WORD=hello", "--schedule", "30 * * * *", "--plan", "--apply"
    )
    assert "~ AWS::Lambda::Function  Function" in changed.out
    assert "+ AWS::Scheduler::Schedule  Schedule2" in changed.out
    await cloud.send("greet", '{"name": "Bob"}')
    assert "hello" in [entry["word"] for entry in await cloud.kept(2)]

    kept = await cloud.destroy("greet")
    assert f"kept the bucket {cloud.bucket}: it holds 2 objects" in kept.err
    assert await cloud.everything() == [cloud.bucket]


async def test_a_deployed_spider_crawls_a_site(cloud: Cloud) -> None:
    """The file of the spider is named as on this machine, the function finds it in its package."""
    written(cloud.folder, "spiders/whole_shop_spider.py", SPIDER)
    await cloud.deploy("spiders/whole_shop_spider.py", "--apply", "--timeout", "60")
    shop = Shop(50)
    with served(shop) as url:
        engine = f"aws://{REGION}?bucket={cloud.bucket}&prefix={cloud.prefix}&endpoint={cloud.endpoint}"
        words = [
            "-s",
            "spiders/whole_shop_spider.py",
            "--engine",
            engine,
            "--allow-private",
            "-o",
            "out.jsonl",
        ]
        await cloud.command("crawl", *words, url)
    urls = [json.loads(line)["url"] for line in (cloud.folder / "out.jsonl").read_text().splitlines()]
    assert len(urls) == len({*urls}) > 50
    await cloud.destroy("whole-shop", "--delete-data")
    assert await cloud.everything() == []


async def test_a_schedule_begins_crawls_of_a_deployed_spider(cloud: Cloud) -> None:
    """What EventBridge sends to the queue is sent by hand: the emulator's clock isn't waited for."""
    written(cloud.folder, "whole_shop.py", SPIDER.replace("    def", PRIVATE + "    def", 1))
    shop = Shop(50)
    with served(shop) as url:
        call = json.dumps({"seeds": [url], "job": "nightly"})
        await cloud.deploy("whole_shop.py", "--schedule", f"0 6 * * * {call}", "--apply", "--timeout", "60")
        schedules = await cloud.clients.client("scheduler")
        schedule = await schedules.get_schedule(Name=f"{cloud.prefix}-whole-shop-1")
        assert schedule["Target"]["Arn"].endswith(f":{cloud.prefix}-frontier")
        for _ in range(2):
            await cloud.send("frontier", schedule["Target"]["Input"])
        engine = f"aws://{REGION}?bucket={cloud.bucket}&prefix={cloud.prefix}&endpoint={cloud.endpoint}"
        lines: list[str] = []
        async with asyncio.timeout(60):
            while len(lines) < len(shop.paths()):
                await asyncio.sleep(1)
                words = ("items", "--engine", engine, "--job", "nightly", "-o", "out.jsonl")
                if (await cloud.command(*words, expect=None)).code:
                    continue  # it has not begun yet
                lines = (cloud.folder / "out.jsonl").read_text().splitlines()
    urls = [json.loads(line)["url"] for line in lines]
    assert len(urls) == len({*urls})
    await cloud.destroy("whole-shop", "--delete-data")
    assert await cloud.everything() == []


async def test_two_functions_on_one_queue_are_refused(cloud: Cloud) -> None:
    written(cloud.folder, "one_spider.py", SPIDER.replace("WholeShop", "One"))
    written(cloud.folder, "other_spider.py", SPIDER.replace("WholeShop", "Other"))
    await cloud.make("one_spider.py")
    with pytest.raises(
        ConfigError, match=f"{cloud.prefix}-one works on the queue {cloud.prefix}-frontier already"
    ):
        await cloud.make("other_spider.py")
    await cloud.make("one_spider.py", memory_mb=1024)
    await cloud.unmake("one")
    assert await cloud.everything() == []


async def test_data_goes_where_that_is_asked_for(cloud: Cloud) -> None:
    await cloud.make("greet.py")
    await cloud.item()
    gone = await cloud.unmake("greet", delete_data=True)
    assert f"removed the bucket {cloud.bucket}" in gone
    assert await cloud.everything() == []
    again = await cloud.destroy("greet", expect=2)
    assert f"there is no stack {cloud.prefix}-greet" in again.err


async def test_data_that_was_kept_can_be_deleted_later(cloud: Cloud) -> None:
    await cloud.make("mail.py")
    await cloud.item()
    await cloud.tag()
    assert f"kept the bucket {cloud.bucket}: it holds 1 objects" in " ".join(await cloud.unmake("greeted"))
    assert await cloud.everything() == [cloud.bucket]
    await cloud.unmake("greeted", delete_data=True)
    assert await cloud.everything() == []


async def test_stacks_of_one_prefix_share_queues_and_the_last_one_takes_them_along(cloud: Cloud) -> None:
    await cloud.make("greet.py")
    await cloud.tag()
    said = await cloud.make("mail.py")
    for name in (f"{cloud.prefix}-greeted", f"{cloud.prefix}-error.fifo", cloud.bucket):
        assert f"{name} is there already, and used as it is" in said
    with pytest.raises(ConfigError, match=f"is also that of {cloud.prefix}-greeted"):
        await cloud.unmake("greet", delete_data=True)

    await cloud.unmake("greet")
    left = await cloud.everything()
    assert any(name.endswith(f"/{cloud.prefix}-greeted") for name in left)
    assert any(name.endswith(f"/{cloud.prefix}-error") for name in left)
    assert not any(name.endswith(f"/{cloud.prefix}-greet") for name in left)

    await cloud.unmake("greeted")
    assert await cloud.everything() == []


async def test_a_queue_on_which_somebody_elses_function_works_is_kept(cloud: Cloud) -> None:
    await cloud.make("greet.py")
    functions = await cloud.clients.client("lambda")
    mapping = await functions.create_event_source_mapping(
        EventSourceArn=f"arn:aws:sqs:{REGION}:{ACCOUNT}:{cloud.prefix}-greeted",
        FunctionName=f"{cloud.prefix}-greet",
        BatchSize=1,
    )
    said = await cloud.unmake("greet")
    assert f"kept the queue {cloud.prefix}-greeted: {cloud.prefix}-greet works on it" in said
    await functions.delete_event_source_mapping(UUID=mapping["UUID"])
    sqs = await cloud.clients.sqs()
    await sqs.delete_queue(
        QueueUrl=(await sqs.get_queue_url(QueueName=f"{cloud.prefix}-greeted"))["QueueUrl"]
    )
    assert await cloud.everything() == []


async def test_a_stack_that_fails_names_the_first_resource_that_did_and_can_be_made_again(
    cloud: Cloud,
) -> None:
    events: list[StackEvent] = []
    stack = Stack(cloud.clients, f"{cloud.prefix}-fails", tell=events.append, poll_s=0.05)
    queue = {
        "Type": "AWS::SQS::Queue",
        "Properties": {"QueueName": f"{cloud.prefix}-q", "DelaySeconds": 9999},
    }

    async def unused(body: bytes) -> str:
        raise AssertionError("a small template needs no place")

    with pytest.raises(DeployFailed, match=r"^Q \(AWS::SQS::Queue\) failed: .+"):
        await stack.apply({"Resources": {"Q": queue}}, {}, staging=unused)
    assert events[0].status == "CREATE_IN_PROGRESS"
    assert await stack.status() == "ROLLBACK_COMPLETE"

    queue["Properties"] = {"QueueName": f"{cloud.prefix}-q"}
    assert await stack.apply({"Resources": {"Q": queue}}, {}, staging=unused)
    assert await stack.status() == "CREATE_COMPLETE"
    queue["Properties"] = {"QueueName": f"{cloud.prefix}-q", "DelaySeconds": 9999}
    with pytest.raises(DeployFailed, match=r"^Q \(AWS::SQS::Queue\) failed: .+"):
        await stack.apply({"Resources": {"Q": queue}}, {}, staging=unused)
    await stack.delete()
    assert await cloud.everything() == []


async def test_a_template_too_large_for_a_request_is_read_from_the_bucket(cloud: Cloud) -> None:
    s3 = await cloud.clients.s3()
    await s3.create_bucket(Bucket=cloud.bucket)
    bucket = DeployBucket(cloud.clients, cloud.bucket)
    stack = Stack(cloud.clients, f"{cloud.prefix}-large", poll_s=0.05)
    staged = []

    async def staging(body: bytes) -> str:
        staged.append(len(body))
        await bucket.put("template.json", body)
        return bucket.url("template.json")

    queues = {f"Queue{n}": {"Type": "AWS::SQS::Queue", "Metadata": {"Why": "x" * 1000}} for n in range(60)}
    assert await stack.apply({"Resources": queues}, {}, staging=staging)
    assert staged[0] > 51_200
    assert len(await stack.resources()) == 60
    await stack.delete()
    assert await bucket.clear() == 1
    await bucket.remove()
    assert await cloud.everything() == []


async def test_only_what_is_ours_is_deleted_from_a_bucket_of_somebody_elses(cloud: Cloud) -> None:
    s3 = await cloud.clients.s3()
    await s3.create_bucket(Bucket=f"{cloud.prefix}-mine")
    await s3.put_object(Bucket=f"{cloud.prefix}-mine", Key="holiday.jpg", Body=b"")
    await s3.put_object(Bucket=f"{cloud.prefix}-mine", Key=f"{cloud.prefix}/state/a", Body=b"")
    await cloud.make("mail.py", bucket=f"{cloud.prefix}-mine")
    gone = await cloud.unmake("greeted", delete_data=True)
    assert f"kept the bucket {cloud.prefix}-mine: it was not made for {cloud.prefix}" in gone
    listed = await s3.list_objects_v2(Bucket=f"{cloud.prefix}-mine")
    assert [entry["Key"] for entry in listed["Contents"]] == ["holiday.jpg"]
    assert await cloud.everything() == [f"{cloud.prefix}-mine"]


async def test_a_stack_that_never_was_is_told_so(cloud: Cloud) -> None:
    stack = Stack(cloud.clients, f"{cloud.prefix}-none")
    assert await stack.status() is None
    with pytest.raises(ConfigError, match="there is no stack"):
        await destroy(cloud.clients, stack, prefix=cloud.prefix)


async def test_what_is_to_be_done_has_to_be_said(cloud: Cloud) -> None:
    assert "--out DIR, --plan or --apply" in (await cloud.deploy("greet.py", expect=2)).err
    assert "reserved" in (await cloud.deploy("greet.py", "--plan", "--env", "AWS_REGION=x", expect=2)).err
    # Where an emulator runs them, the packages are this machine's.
    wrong = await cloud.deploy("greet.py", "--plan", "--python", "3.14", expect=2)
    assert "this machine's packages are for" in wrong.err
