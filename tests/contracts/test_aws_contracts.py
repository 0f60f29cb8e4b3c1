"""State and objects on S3 under their contracts, on two emulators; commits in steps also with the queue on SQS."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import pytest
from aws_host import AwsHost, S3Host, fresh_options
from objects_contract import ObjectsContract
from state_contract import StateContract
from stepped_commit_contract import SteppedCommitContract


@pytest.fixture
def host(s3_host: S3Host) -> S3Host:
    return s3_host


class TestS3State(StateContract):
    pass


class TestS3Objects(ObjectsContract):
    many = 1100


class TestS3SteppedCommit(SteppedCommitContract):
    pass


class TestAwsSteppedCommit(SteppedCommitContract):
    @pytest.fixture
    async def host(self, ministack_endpoint: str) -> AsyncIterator[AwsHost]:
        host = AwsHost(fresh_options(ministack_endpoint, prefix=f"t{uuid.uuid4().hex[:12]}"))
        yield host
        await host.close()
