"""Messages survive the wire, and what is no message survives as bytes."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import orjson
import pytest

from airless.core.codec import decode, encode
from airless.core.errors import MessageError, UndecodableMessage
from airless.core.message import Message

FULL = Message(
    topic="pages",
    data={"url": "https://example.com/", "metadata": {"run_next": [{"topic": "t", "data": {}}]}},
    id="a",
    run_id="r",
    not_before_s=1_700_000_000.25,
    ordering_key="shard-7",
    traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    hops=4,
    priority=-2,
    weight=300,
)


def test_a_message_comes_back_as_it_was_sent() -> None:
    assert all(getattr(FULL, f.name) != f.default for f in fields(FULL) if f.name != "attempt")
    assert decode("pages", encode(FULL), id="engine's") == FULL


def test_the_attempt_is_the_engines() -> None:
    assert decode("pages", encode(FULL.with_attempt(3)), id="x", attempt=1) == FULL.with_attempt(1)


def test_a_plain_message_carries_its_id_and_nothing_else() -> None:
    body = encode(Message("pages", {"n": 1}, id="a"))
    assert orjson.loads(body) == {"n": 1, "metadata": {"airless": {"id": "a"}}}


def test_encoding_leaves_the_users_data_alone() -> None:
    data: dict[str, Any] = {"metadata": {"dataset": "d"}}
    encode(Message("pages", data))
    assert data == {"metadata": {"dataset": "d"}}


@pytest.mark.parametrize("metadata", [{}, {"airless": {"id": "b", "hops": 7}}])
def test_an_envelope_is_not_the_users_to_write(metadata: dict[str, Any]) -> None:
    sent = Message("pages", {"metadata": metadata}, id="a")
    got = decode("pages", encode(sent), id="x")
    assert (got.id, got.hops, got.data) == ("a", 0, {})


@pytest.mark.parametrize("data", [{"n": 1}, {"n": 1, "metadata": {"run_next": []}}, {}])
def test_json_published_by_hand_is_a_message(data: dict[str, Any]) -> None:
    got = decode("pages", orjson.dumps(data), id="engine's", attempt=2)
    assert (got.id, got.attempt, got.data, got.weight) == ("engine's", 2, data, 1)


@pytest.mark.parametrize("wire_id", [None, "", 7])
def test_an_envelope_without_an_id_takes_the_engines(wire_id: object) -> None:
    body = orjson.dumps({"metadata": {"airless": {"id": wire_id, "priority": 2}}})
    got = decode("pages", body, id="engine's")
    assert (got.id, got.priority) == ("engine's", 2)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"null",
        b"[]",
        b'"text"',
        b"7",
        b'{"metadata": 7}',
        b'{"metadata": []}',
        b'{"metadata": {"airless": "x"}}',
        b'{"metadata": {"airless": {"hops": "3"}}}',
        b'{"metadata": {"airless": {"weight": true}}}',
        b'{"metadata": {"airless": {"key": 1}}}',
        b'{"metadata": {"airless": {"not_before": "soon"}}}',
    ],
)
def test_what_is_no_message_is_kept_whole(body: bytes) -> None:
    with pytest.raises(UndecodableMessage) as caught:
        decode("pages", body, id="a")
    assert caught.value.raw == body


@pytest.mark.parametrize(
    "data", [{"x": object()}, {"x": {1, 2}}, {"metadata": "text"}, {1: "key"}, {"x": "\ud800"}, {"x": 2**70}]
)
def test_data_that_is_not_json_is_refused_with_a_reason(data: dict[str, Any]) -> None:
    with pytest.raises(MessageError):
        encode(Message("pages", data))
