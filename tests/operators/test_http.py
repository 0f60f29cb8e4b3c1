import pytest

from airless.core.batch import run_batch
from airless.core.codec import decode
from airless.core.config import Config
from airless.core.errors import EngineError, PermanentError, RetryableError
from airless.core.invocation import Invocation
from airless.core.message import Message
from airless.engines.memory import MemoryEngine
from airless.operators import HttpOperator, HttpRequest, HttpResponse, OperatorRunner
from airless.operators.http import answer


def http(function):
    return type("Tested", (HttpOperator,), {"execute": function})()


async def on(engine, topic):
    return [
        decode(d.topic, d.body, id=d.id) for d in await engine.queue.receive(topic, limit=100, lease_s=60)
    ]


@pytest.mark.parametrize(
    ("value", "body", "status", "kind"),
    [
        (None, b"", 204, None),
        ("héllo", "héllo".encode(), 200, "text/plain; charset=utf-8"),
        (b"\x00", b"\x00", 200, "application/octet-stream"),
        ({"a": 1}, b'{"a":1}', 200, "application/json"),
        (({"a": 1}, 201), b'{"a":1}', 201, "application/json"),
        (HttpResponse(b"x", 418), b"x", 418, None),
    ],
)
async def test_what_execute_returns_is_the_answer(value, body, status, kind):
    response = await answer(http(lambda self, request: value), HttpRequest(), MemoryEngine())
    assert (response.body, response.status, response.headers.get("content-type")) == (body, status, kind)


async def test_an_answer_is_returned_after_its_publishes_are_durable():
    engine = MemoryEngine()

    async def execute(self, request):
        self.publish("out", request.json())
        return self.message_id

    response = await answer(http(execute), HttpRequest(body=b'{"n":1}'), engine, request_id="req-1")
    assert response.body == b"req-1"
    assert [m.data for m in await on(engine, "out")] == [{"n": 1}]


async def test_a_failure_is_reported_without_secrets_and_answered_without_details():
    engine = MemoryEngine()

    async def execute(self, request):
        self.publish("out", {})
        raise ValueError("secret detail")

    request = HttpRequest("POST", "/hook", {"q": "1"}, {"authorization": "Bearer s3cret"}, b"\xffbody")
    response = await answer(http(execute), request, engine)
    assert (response.status, response.body) == (500, b'{"error":"internal error"}')
    assert await on(engine, "out") == []
    (report,) = await on(engine, "error")
    assert report.data["input_type"] == "http"
    assert report.data["origin"] == "/hook"
    assert report.data["data"]["query"] == {"q": "1"}
    assert "s3cret" not in str(report.data)


@pytest.mark.parametrize(("after_s", "header"), [(None, None), (1.5, "2")])
async def test_what_may_be_tried_again_is_answered_so(after_s, header):
    async def execute(self, request):
        raise RetryableError("busy", after_s=after_s)

    response = await answer(http(execute), HttpRequest(), MemoryEngine())
    assert (response.status, response.headers.get("retry-after")) == (503, header)


@pytest.mark.parametrize("value", [object(), {"x": {1, 2}}])
async def test_an_answer_that_is_not_json_is_a_failure(value):
    response = await answer(http(lambda self, request: value), HttpRequest(), MemoryEngine())
    assert response.status == 500


async def test_a_body_that_is_not_json_says_so():
    with pytest.raises(PermanentError, match="not JSON"):
        HttpRequest(body=b"{").json()


async def test_a_commit_that_fails_is_no_answer():
    class Broken(MemoryEngine):
        async def commit(self, commit):
            raise EngineError("gone")

    with pytest.raises(EngineError):
        await answer(http(lambda self, request: "fine"), HttpRequest(), Broken())


async def test_a_dry_run_publishes_nothing():
    engine = MemoryEngine()

    async def execute(self, request):
        self.publish("out", {})

    await answer(http(execute), HttpRequest(), engine, config=Config(dry_run=True))
    assert await on(engine, "out") == []


async def test_a_request_can_come_as_a_message():
    engine, seen = MemoryEngine(), []

    async def execute(self, request):
        seen.append(request)
        self.publish("out", {})

    data = {"method": "PUT", "path": "/a", "query": {"q": "1"}, "headers": {"X-A": "b"}, "body": {"n": 1}}
    await engine.queue.publish_many([Message("in", data), Message("in", {"body": "text"})])
    async with OperatorRunner(http(execute)) as runner:
        one = Invocation(engine, runner)
        await run_batch(one, await engine.queue.receive("in", limit=9, lease_s=60), concurrency=1)
    assert seen[0] == HttpRequest("PUT", "/a", {"q": "1"}, {"x-a": "b"}, b'{"n":1}')
    assert seen[1].body == b"text"
    assert len(await on(engine, "out")) == 2
