"""A deployment as one value: all that its template follows from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final
from urllib.parse import quote

from airless.core.errors import ConfigError
from airless.deploy.declared import Declared
from airless.engines.aws.topics import queue_name

HANDLER: Final = "airless.functions.aws_lambda.handler"

ENVIRONMENT_BYTES: Final = 4096
"""All of a function's environment, names and values."""

PREFIX_TAG: Final = "airless:prefix"
"""What is kept when a stack goes has this tag, and is found by it when the last stack of its prefix goes."""

# Lambda keeps these for itself, and the last three are the deployment's own.
_RESERVED = re.compile(r"AWS_.*|LAMBDA_.*|_.*|AIRLESS_ENGINE|OPERATOR_IMPORT")
_VARIABLE = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_STACK = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
_SNS = re.compile(r"arn:[\w-]+:sns:[\w-]+:\d{12}:[\w.-]+")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class QueueUse:
    """One queue of a topic, with its dead-letter queue; `consumed` where the function runs on its messages."""

    topic: str
    fifo: bool
    consumed: bool


@dataclass(frozen=True, slots=True)
class Deployment:
    """What is deployed, where to, and how it runs there.

    `target` is the class as the package names it. `shared` are names of queues, and of the bucket, that others
    have made already: they are used and not made.
    """

    declared: Declared
    target: str
    prefix: str = "airless"
    name: str = ""
    bucket: str | None = None
    endpoint: str | None = None
    arch: str = "arm64"
    python: str = "3.13"
    memory_mb: int = 512
    timeout_s: int = 300
    concurrency: int | None = None
    reserved: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    notify: str | None = None
    public_url: bool = False
    package_key: str = ""
    shared: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Raises ConfigError for what AWS would refuse."""
        if not _STACK.fullmatch(self.stack):
            raise ConfigError(
                f"{self.stack!r} can't be the name of a stack and a function: it has up to 64 letters, digits "
                "and '-', a letter first; give another --name or --prefix"
            )
        if self.bucket is not None and not _BUCKET.fullmatch(self.bucket):
            raise ConfigError(f"--bucket {self.bucket!r}: a bucket's name has 3 to 63 of a-z, 0-9 and '-'")
        if self.notify is not None and not _SNS.fullmatch(self.notify):
            raise ConfigError(f"--notify {self.notify!r} is not the ARN of an SNS topic")
        for name in self.environment:
            if not _VARIABLE.fullmatch(name) or _RESERVED.fullmatch(name):
                raise ConfigError(f"--env {name}: the name is reserved, or none of a variable")
        size = sum(len(name.encode()) + len(text.encode()) for name, text in self.environment.items())
        if size > ENVIRONMENT_BYTES - 1024:
            raise ConfigError(f"--env takes {ENVIRONMENT_BYTES - 1024:,} bytes in all; these are {size:,}")

    @property
    def stack(self) -> str:
        """The stack's name, and the function's."""
        return f"{self.prefix}-{self.name or self.declared.name}".replace("_", "-")

    @property
    def tags(self) -> list[Json]:
        return [{"Key": PREFIX_TAG, "Value": self.prefix}]

    @property
    def log_group(self) -> str:
        return f"/aws/lambda/{self.stack}"

    @property
    def visibility_s(self) -> int:
        """Six times the function's timeout, so that a batch which is throttled doesn't come twice."""
        return 6 * self.timeout_s

    def queues(self) -> list[QueueUse]:
        """Every queue that the function takes from or sends to, once."""
        topics: dict[str, tuple[str, bool]] = {}
        if self.declared.topic is not None:
            topics[queue_name(self.prefix, self.declared.topic)] = (self.declared.topic, True)
        for topic in self.declared.publishes:
            topics.setdefault(queue_name(self.prefix, topic), (topic, False))
        return [QueueUse(topic, fifo, taken) for topic, taken in topics.values() for fifo in (False, True)]

    def queue(self, use: QueueUse, *, dead: bool = False) -> str:
        return queue_name(self.prefix, use.topic, fifo=use.fifo, dead=dead)

    def arn(self, service: str, resource: str) -> Any:
        """The ARN of something in this account and region."""
        return sub("arn:${AWS::Partition}:" + f"{service}:${{AWS::Region}}:${{AWS::AccountId}}:{resource}")

    def queue_arn(self, use: QueueUse, *, dead: bool = False) -> Any:
        return self.arn("sqs", self.queue(use, dead=dead))

    @property
    def bucket_name(self) -> str:
        """The bucket as a text for Fn::Sub."""
        return self.bucket or default_bucket(self.prefix, "${AWS::AccountId}", "${AWS::Region}")

    @property
    def engine_url(self) -> Any:
        endpoint = f"&endpoint={quote(self.endpoint, safe=':/')}" if self.endpoint else ""
        return sub(f"aws://${{AWS::Region}}?bucket={self.bucket_name}&prefix={self.prefix}{endpoint}")


def default_bucket(prefix: str, account: str, region: str) -> str:
    """Names of buckets are the whole world's, so the account is in it."""
    return f"{prefix.lower().replace('_', '-').strip('-')}-{account}-{region}"


def sub(text: str) -> Any:
    """Text in which CloudFormation fills in ``${…}``, if there is any."""
    return {"Fn::Sub": text} if "${" in text else text


def logical_id(*words: str) -> str:
    """A resource's name in the template: ``send-mail`` is SendMail and a hash, for it has more than letters."""
    text = ""
    for word in words:
        parts = [part for part in re.split(r"[^A-Za-z0-9]+", word) if part]
        text += "".join(part[:1].upper() + part[1:] for part in parts)
        if not re.fullmatch(r"[a-z0-9]+|[A-Z][A-Za-z0-9]*", word):
            text += blake2b(word.encode(), digest_size=3).hexdigest()
    return text
