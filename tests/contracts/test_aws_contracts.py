"""State, objects and commits in steps on S3, under every contract, on two emulators."""

from __future__ import annotations

import pytest
from aws_host import S3Host
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
