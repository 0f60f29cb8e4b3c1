"""What is derived from a message has an id that a replay gives it again."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from airless.core.message import Message, derived_id


def test_messages_have_ids_of_their_own() -> None:
    assert len({Message("t", {}).id for _ in range(100)}) == 100


def test_the_same_position_gives_the_same_id() -> None:
    parent = Message("t", {}, id="a", run_id="r", traceparent="tp", hops=2, ordering_key="k", attempt=5)
    child = parent.derive(0, "u", {"n": 1}, not_before_s=5.0, ordering_key="j", priority=1, weight=2)
    assert child == parent.derive(0, "u", {"n": 1}, not_before_s=5.0, ordering_key="j", priority=1, weight=2)
    assert (child.topic, child.data, child.run_id, child.traceparent) == ("u", {"n": 1}, "r", "tp")
    assert (child.hops, child.attempt, child.ordering_key, child.priority) == (3, 0, "j", 1)
    assert (child.not_before_s, child.weight) == (5.0, 2)


def test_other_positions_and_other_parents_give_other_ids() -> None:
    ids = [derived_id(parent, position) for parent in ("a", "b", "a1") for position in (0, 1, 10, "", "x")]
    assert len(set(ids)) == len(ids)
    assert all(len(id) == 32 and set(id) <= set("0123456789abcdef") for id in ids)
    assert derived_id("a", 1) == derived_id("a", "1")


def test_an_id_does_not_change_between_releases() -> None:
    assert derived_id("parent", 0) == "46132586ed55ac8bebd39d86f924ae1d"


@pytest.mark.parametrize("parent", ["", "ü\x00", "🕷️", "x" * 10_000])
def test_any_text_can_be_a_parents_id(parent: str) -> None:
    assert len(derived_id(parent, "ü")) == 32


def test_an_attempt_is_set_on_a_copy() -> None:
    message = Message("t", {})
    assert message.with_attempt(0) is message
    assert message.with_attempt(2).attempt == 2
    assert message.attempt == 0


def test_a_message_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        Message("t", {}).topic = "u"  # type: ignore[misc]
