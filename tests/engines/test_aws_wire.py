"""What goes over the wire to SQS comes back as it was, and keeps to what SQS takes."""

from __future__ import annotations

import os
import re

import pytest

from airless.core.errors import MessageError, MessageTooLarge
from airless.engines.aws.topics import dead_name, is_dead, is_fifo, part_in, queue_name
from airless.engines.aws.wire import (
    BASE64,
    EMPTY,
    PLAIN,
    ZSTD,
    Tag,
    deduplication_id,
    error_value,
    group_id,
    pack,
    tag_of,
    tag_text,
    unpack,
)

# What SQS documents, turned round: "#x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF".
TAKEN = re.compile("[\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]+")


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (b'{"n":1}', PLAIN),
        ("тема 🕷️\t\r\n".encode(), PLAIN),
        (b"", EMPTY),
        (b"\x00", BASE64),
        ("\ufffe".encode(), BASE64),
        (b"\xff\xfe", BASE64),
        (b"\xed\xa0\x80", BASE64),
        (b"x" * 1024, PLAIN),
        (b"x" * 1025, ZSTD),
        (os.urandom(5000).hex().encode(), ZSTD),
        (os.urandom(5000), ZSTD),
        (b"\x00" * 5000, ZSTD),
    ],
)
def test_a_body_comes_back_as_it_was(body: bytes, encoding: str) -> None:
    text, encoded = pack(body)
    assert TAKEN.fullmatch(text)
    assert encoded == encoding
    assert unpack(text, encoded) == body


@pytest.mark.parametrize("encoding", [BASE64, ZSTD, "of a later version"])
def test_a_body_that_cannot_be_read_stays_as_it_is(encoding: str) -> None:
    assert unpack("no such thing ü", encoding) == "no such thing ü".encode()
    assert unpack("bm8genN0ZA==", ZSTD) == b"bm8genN0ZA=="


@pytest.mark.parametrize(
    "tag",
    [
        Tag("pages", "m1"),
        Tag("тема/’", "ид'\x00\ufffe\"", "ключ", 3, 2, 1_700_000_000.5, ZSTD, "claim"),
    ],
)
def test_a_tag_comes_back_as_it_was(tag: Tag) -> None:
    text = tag_text(tag)
    assert tag_of(text) == tag
    assert text.isascii()
    assert TAKEN.fullmatch(text)


@pytest.mark.parametrize(
    "text", ["", "x", "1", "[]", "{}", '{"t":"a"}', '{"t":1,"i":"a"}', '{"t":"a","i":"b","a":"c"}']
)
def test_an_attribute_of_somebody_elses_is_no_tag(text: str) -> None:
    assert tag_of(text) is None


def test_what_no_attribute_holds_is_refused() -> None:
    with pytest.raises(MessageError):
        tag_text(Tag("pages\ud800", "m1"))
    with pytest.raises(MessageTooLarge):
        tag_text(Tag("pages", "m" * 20_000))


def test_an_error_fits_its_attribute() -> None:
    assert error_value("a\x00b") == "a\ufffdb"
    assert error_value("") == "?"
    assert len(error_value("ü" * 100_000).encode()) <= 8 * 1024


def test_ids_tell_apart_what_is_apart() -> None:
    assert group_id("a", "bc") != group_id("ab", "c")
    assert deduplication_id(Tag("a", "b")) != deduplication_id(Tag("a", "b", generation=1))
    assert deduplication_id(Tag("a", "b")) == deduplication_id(Tag("a", "b", "key", attempt=3))


def test_queues_are_named_after_the_first_part_of_their_topic() -> None:
    assert queue_name("airless", "frontier/books-1", fifo=True) == "airless-frontier.fifo"
    assert queue_name("airless", "frontier/shop-2") == "airless-frontier"
    assert queue_name("airless", "frontier", fifo=True, dead=True) == "airless-frontier-dead.fifo"
    assert queue_name("airless", "pages", dead=True) == "airless-pages-dead"


@pytest.mark.parametrize("prefix", ["a", "a" * 40])
@pytest.mark.parametrize("topic", ["тема ’", "a.b", "a_b", "x" * 200, "", "/x", "pages-dead", "\ud800"])
def test_any_topic_has_a_name_that_sqs_takes(prefix: str, topic: str) -> None:
    names = {
        queue_name(prefix, topic, fifo=fifo, dead=dead) for fifo in (False, True) for dead in (False, True)
    }
    assert len(names) == 4
    for name in names:
        assert re.fullmatch(r"[A-Za-z0-9_-]{1,80}|[A-Za-z0-9_-]{1,75}\.fifo", name)
        assert is_dead(name) == ("-dead" in name.removeprefix(queue_name(prefix, topic)))
        part = part_in(prefix, name)
        again = queue_name(prefix, part, fifo=is_fifo(name), dead=is_dead(name))
        assert again == name


def test_topics_that_are_apart_have_queues_of_their_own() -> None:
    topics = ["a b", "a-b", "a.b", "a:b", "pages", "pages-dead", "Pages", "ä", "ö", "x" * 200, "x" * 201]
    names = {queue_name("p", topic, dead=dead) for topic in topics for dead in (False, True)}
    assert len(names) == 2 * len(topics)
    assert dead_name(queue_name("p", "a b", fifo=True)) == queue_name("p", "a b", fifo=True, dead=True)
