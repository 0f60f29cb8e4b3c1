"""The price table: every figure once, with its date and where it was read.

Kinds of requests are named ``service.Operation`` as botocore names them; requests to a FIFO queue, which has a
price of its own, are ``sqs-fifo.Operation``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from airless.core.errors import ConfigError

_MILLION: Final = 1_000_000

# As Amazon S3 sorts its requests: these are "PUT, COPY, POST, LIST"; DELETE is free; the rest goes by GET's price.
_S3_WRITES: Final = frozenset(
    {
        "CompleteMultipartUpload",
        "CopyObject",
        "CreateBucket",
        "CreateMultipartUpload",
        "ListBuckets",
        "ListMultipartUploads",
        "ListObjectVersions",
        "ListObjects",
        "ListObjectsV2",
        "ListParts",
        "PutObject",
        "UploadPart",
        "UploadPartCopy",
    }
)
_S3_FREE: Final = frozenset({"AbortMultipartUpload", "DeleteBucket", "DeleteObject", "DeleteObjects"})
_DYNAMODB_WRITES: Final = frozenset({"BatchWriteItem", "DeleteItem", "PutItem", "UpdateItem"})


@dataclass(frozen=True, slots=True)
class Prices:
    """What a region asks, in US dollars: its first tier, without what is free in a month and without egress.

    `gb_second` is of a function's memory, by architecture. Requests are priced by the billed unit: for SQS each
    begun 64 KiB of a request's payload, for DynamoDB each begun KB that is written.
    """

    region: str
    gathered: str
    sources: tuple[str, ...]
    gb_second: Mapping[str, float]
    invocation: float
    sqs: float
    sqs_fifo: float
    s3_write: float
    s3_read: float
    s3_gb_month: float
    dynamodb_write: float
    dynamodb_read: float
    schedule: float

    def of(self, kind: str) -> float:
        """One billed unit of a kind of request. Raises ConfigError where there is no price for it."""
        service, _, operation = kind.partition(".")
        match service:
            case "sqs":
                return self.sqs
            case "sqs-fifo":
                return self.sqs_fifo
            case "s3":
                if operation in _S3_FREE:
                    return 0.0
                return self.s3_write if operation in _S3_WRITES else self.s3_read
            case "dynamodb":
                return self.dynamodb_write if operation in _DYNAMODB_WRITES else self.dynamodb_read
            case "scheduler":
                return self.schedule if operation == "Invoke" else 0.0
            case _:
                raise ConfigError(f"there is no price for {kind!r} in the table of {self.gathered}")

    def second(self, memory_mb: int, arch: str) -> float:
        """A billed second of a function. Raises ConfigError for an unknown architecture."""
        if arch not in self.gb_second:
            raise ConfigError(f"there is no price for {arch!r}: it is one of {', '.join(self.gb_second)}")
        return memory_mb / 1024 * self.gb_second[arch]


AWS: Final = Prices(
    region="us-east-1",
    gathered="2026-11",
    sources=(
        "https://aws.amazon.com/lambda/pricing/",
        "https://aws.amazon.com/sqs/pricing/",
        "https://aws.amazon.com/s3/pricing/",
        "https://aws.amazon.com/dynamodb/pricing/on-demand/",
        "https://aws.amazon.com/eventbridge/pricing/",
    ),
    gb_second=MappingProxyType({"x86_64": 1.66667e-5, "arm64": 1.33334e-5}),
    invocation=0.20 / _MILLION,
    sqs=0.40 / _MILLION,
    sqs_fifo=0.50 / _MILLION,
    s3_write=5.00 / _MILLION,
    s3_read=0.40 / _MILLION,
    s3_gb_month=0.023,
    dynamodb_write=0.625 / _MILLION,
    dynamodb_read=0.125 / _MILLION,
    schedule=1.00 / _MILLION,
)
