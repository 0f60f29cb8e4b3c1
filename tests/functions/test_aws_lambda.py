"""The function under AWS's own runtime client, in a process of its own, on the events that AWS sends."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.emulators import CREDENTIALS
from support.runtime_api import RuntimeApi, function

from airless.core.codec import decode
from airless.engines.sqlite import SqliteEngine


def environment(folder: Path, operator: str) -> dict[str, str]:
    return {
        "AIRLESS_ENGINE": f"sqlite:///{folder / 'state.db'}",
        "OPERATOR_IMPORT": f"functions.operators_at_work:{operator}",
    }


@pytest.fixture
def keeping(tmp_path: Path) -> Iterator[RuntimeApi]:
    # The form in which the old airless named operators.
    old = "from functions.operators_at_work import Keeping"
    with function(tmp_path, {**environment(tmp_path, "Keeping"), "OPERATOR_IMPORT": old}) as api:
        yield api


async def objects(folder: Path) -> dict[str, str]:
    async with await SqliteEngine.open(f"sqlite:///{folder / 'state.db'}") as engine:
        names = [name async for name in engine.objects.list("")]
        return {name: (await engine.objects.get(name) or b"").decode() for name in names}


async def published(folder: Path, topic: str) -> list[dict[str, Any]]:
    async with await SqliteEngine.open(f"sqlite:///{folder / 'state.db'}") as engine:
        deliveries = await engine.queue.receive(topic, limit=10, lease_s=30)
        return [dict(decode(topic, one.body, id=one.id).data) for one in deliveries]


SCHEDULED = {
    "version": "0",
    "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
    "detail-type": "Scheduled Event",
    "source": "aws.scheduler",
    "account": "123456789012",
    "time": "2026-11-22T00:00:00Z",
    "region": "us-east-1",
    "resources": ["arn:aws:scheduler:us-east-1:123456789012:schedule/default/nightly"],
    "detail": {"n": 7},
}


async def test_a_schedule_s_event_is_a_message_for_the_operator(keeping: RuntimeApi, tmp_path: Path) -> None:
    answer = keeping.invoke(SCHEDULED)
    assert (answer.result, answer.error) == (None, None)
    kept = await objects(tmp_path)
    assert kept[f"kept/{SCHEDULED['id']}"].startswith("aws.scheduler 7 ")


async def test_any_json_object_is_a_message_for_the_operator(keeping: RuntimeApi, tmp_path: Path) -> None:
    assert keeping.invoke({"n": 1}).error is None
    (kept,) = (await objects(tmp_path)).values()
    assert kept.startswith("invoke 1 ")


async def test_one_process_and_one_loop_work_on_all_events(keeping: RuntimeApi, tmp_path: Path) -> None:
    for n in range(1, 6):
        assert keeping.invoke({"n": n}).error is None
    kept = list((await objects(tmp_path)).values())
    assert len(kept) == 5
    assert len({line.split()[2] for line in kept}) == 1


def test_what_takes_long_is_made_ready_before_the_first_event(tmp_path: Path) -> None:
    """Then a function has whole processors. Here it is to import aiobotocore and to open its clients."""
    asking = {
        "AIRLESS_ENGINE": "aws://us-east-1?bucket=b",
        "OPERATOR_IMPORT": "functions.operators_at_work:Imports",
    }
    with function(tmp_path, {**CREDENTIALS, **asking}) as api:
        answer = api.invoke(url_event("/")).result
    assert {"aiobotocore.client", "airless.core.batch"} <= set(json.loads(answer["body"])["before"])


async def test_what_is_given_up_is_reported_and_no_error_of_the_function(
    keeping: RuntimeApi, tmp_path: Path
) -> None:
    assert keeping.invoke({"fail": "now"}).error is None
    (report,) = await published(tmp_path, "error")
    assert report["error"].startswith("poison")
    assert report["data"] == {"fail": "now"}


async def test_what_is_to_be_tried_again_is_an_error_that_has_lambda_try_it_again(
    keeping: RuntimeApi, tmp_path: Path
) -> None:
    error = keeping.invoke({"fail": "later"}).error
    assert error is not None
    assert error["errorType"] == "RetryableError"
    assert "not yet" in error["errorMessage"]
    assert await published(tmp_path, "error") == []


async def test_work_that_takes_too_long_is_cut_off_before_lambda_does_it(keeping: RuntimeApi) -> None:
    answer = keeping.invoke({"sleep": 60}, timeout_s=2.0)
    assert answer.error is not None
    assert "cut off" in answer.error["errorMessage"]
    assert answer.seconds < 2.0


@pytest.mark.parametrize(
    ("event", "text"),
    [
        ({"Records": [{"EventSource": "aws:sns", "Sns": {}}]}, "records of aws:sns"),
        ({"Records": []}, "records of none"),
        ([1, 2], "must be a JSON object, not list"),
        ({"requestContext": {"routeKey": "$connect"}}, "WebSocket"),
        (
            {"Records": [{"eventSource": "aws:sqs", "messageId": "1"}]},
            "engine that AIRLESS_ENGINE names is not on AWS",
        ),
    ],
    ids=["sns", "empty", "list", "websocket", "sqs without aws"],
)
def test_an_event_that_nothing_takes_is_refused_in_words(keeping: RuntimeApi, event: Any, text: str) -> None:
    error = keeping.invoke(event).error
    assert error is not None
    assert error["errorType"] == "ConfigError"
    assert text in error["errorMessage"]


def test_a_function_without_an_engine_or_an_operator_says_what_is_missing(tmp_path: Path) -> None:
    with function(tmp_path, {}) as api:
        error = api.invoke({"n": 1}).error
        assert error is not None
        assert "AIRLESS_ENGINE is not set" in error["errorMessage"]
    with function(tmp_path, {"AIRLESS_ENGINE": "memory://"}) as api:
        error = api.invoke({"n": 1}).error
        assert error is not None
        assert "OPERATOR_IMPORT is not set" in error["errorMessage"]


async def test_a_file_operator_gets_what_came_into_a_bucket(tmp_path: Path) -> None:
    event = {
        "Records": [
            {
                "eventVersion": "2.1",
                "eventSource": "aws:s3",
                "awsRegion": "us-east-1",
                "eventTime": "2026-11-22T00:00:00.000Z",
                "eventName": "ObjectCreated:Put",
                "s3": {
                    "s3SchemaVersion": "1.0",
                    "bucket": {"name": "landing", "arn": "arn:aws:s3:::landing"},
                    "object": {"key": "in/a+b%C3%A9.csv", "size": 1024, "sequencer": "0A1B2C3D4E5F678901"},
                },
            }
        ]
    }
    with function(tmp_path, environment(tmp_path, "Files")) as api:
        assert api.invoke(event).error is None
        assert (
            api.invoke({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "landing"}).error is None
        )
    assert set(await objects(tmp_path)) == {"files/landing/in/a bé.csv"}


def url_event(
    path: str, *, method: str = "GET", body: bytes | None = None, query: str = ""
) -> dict[str, Any]:
    """A request of a Function URL: payload 2.0."""
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "cookies": ["a=1", "b=2"],
        "headers": {"Host": "x.lambda-url.us-east-1.on.aws", "X-Two": "1,2"},
        "requestContext": {
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "1.2.3.4"},
            "requestId": "e1506fd5-9e7b-434f-bd42-4f8fa224b599",
        },
        "isBase64Encoded": body is not None,
    }
    if body is not None:
        event["body"] = base64.b64encode(body).decode()
    return event


def rest_event(path: str) -> dict[str, Any]:
    """A request of a REST API: payload 1.0."""
    return {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": "POST",
        "headers": {"X-Two": "2"},
        "multiValueHeaders": {"X-Two": ["1", "2"]},
        "queryStringParameters": {"a": "2"},
        "multiValueQueryStringParameters": {"a": ["1", "2"]},
        "requestContext": {"requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef", "stage": "prod"},
        "body": "héllo",
        "isBase64Encoded": False,
    }


async def test_an_http_operator_answers_requests_of_both_payloads(tmp_path: Path) -> None:
    with function(tmp_path, environment(tmp_path, "Web")) as api:
        told = api.invoke(url_event("/", method="PUT", body=b"\xff", query="a=1&a=2&b=")).result
        assert told["statusCode"] == 200
        assert told["headers"]["content-type"] == "application/json"
        assert json.loads(told["body"]) == {
            "method": "PUT",
            "query": {"a": "2", "b": ""},
            "headers": {"host": "x.lambda-url.us-east-1.on.aws", "x-two": "1,2", "cookie": "a=1; b=2"},
            "body": "ÿ",
        }
        told = api.invoke(rest_event("/")).result
        body = json.loads(told["body"])
        assert (body["method"], body["query"], body["headers"]) == ("POST", {"a": "2"}, {"x-two": "1, 2"})
        assert body["body"].encode("latin-1").decode() == "héllo"
        told = api.invoke(url_event("/bytes")).result
        assert (base64.b64decode(told["body"]), told["isBase64Encoded"]) == (b"\xff\x00", True)


async def test_what_a_request_published_is_durable_when_it_is_answered(tmp_path: Path) -> None:
    with function(tmp_path, environment(tmp_path, "Web")) as api:
        told = api.invoke(url_event("/publish", method="POST", body=b'{"n": 3}')).result
        assert (told["statusCode"], told["body"]) == (204, "")
        assert api.invoke(url_event("/fail")).result["statusCode"] == 500
        assert api.invoke(url_event("/slow"), timeout_s=2.0).result["statusCode"] == 504
    assert await published(tmp_path, "orders") == [{"n": 3}]
    (report,) = await published(tmp_path, "error")
    assert report["input_type"] == "http"
    assert report["event_id"] == "e1506fd5-9e7b-434f-bd42-4f8fa224b599"


def test_another_kind_of_operator_answers_no_requests(keeping: RuntimeApi) -> None:
    error = keeping.invoke(url_event("/")).error
    assert error is not None
    assert "is no HttpOperator" in error["errorMessage"]
