"""A shard: what it commits is what its next owner finds."""

import random
from typing import Any

import orjson
import pytest

from airless.core.codec import decode, encode
from airless.core.errors import Conflict, EngineError
from airless.core.message import Message
from airless.core.ports import Commit, Delivery, Engine
from airless.core.steps import SteppedEngine, unwrap
from airless.crawl import seen_segments as module
from airless.crawl.held import Held
from airless.crawl.layout import Layout
from airless.crawl.packing import pack, unpack
from airless.crawl.received import origin_of
from airless.crawl.records import progress_of, read_document
from airless.crawl.request import Request
from airless.crawl.seen import SeenSet, pack_fingerprints, unpack_fingerprints
from airless.crawl.shard import Shard, ShardWrite
from airless.engines.memory import MemoryEngine

LAYOUT = Layout("job", 8)


def _marks(shard: Shard) -> list[int]:
    """The fingerprints of a shard, from whichever set holds them."""
    seen = shard.seen
    return sorted(seen if isinstance(seen, SeenSet) else unpack_fingerprints(seen.pack()))


def _requests(number: int, *, start: int = 0, priority: int = 0) -> list[Request]:
    return [Request(f"https://example.com/{n}", priority=priority) for n in range(start, start + number)]


async def _apply(engine: Engine, shard: Shard) -> ShardWrite:
    write = shard.write()
    commit = Commit(
        put=write.put, state=[write.state], publish=write.publish, settle=write.settle, delete=write.delete
    )
    (shard.version,) = await engine.commit(commit)
    return write


async def _load(engine: MemoryEngine, index: int = 3) -> Shard:
    return await Shard.load(engine, LAYOUT, index)


async def _held(engine: MemoryEngine, number: int, *, id: str = "m1") -> Held:
    """A message of so many requests, published and leased."""
    data = {**pack(_requests(number)), "shard": 3}
    message = Message(LAYOUT.topic, data, id=id, ordering_key="3", weight=number)
    await engine.queue.publish_many([message])
    return await _receive(engine, number)


async def _receive(engine: MemoryEngine, number: int) -> Held:
    (delivery,) = await engine.queue.receive(LAYOUT.topic, limit=1, lease_s=60)
    return Held(delivery, delivery.id, 3, number)


def _loose(id: str, total: int = 3) -> Held:
    return Held(Delivery(LAYOUT.topic, b"", id, f"receipt of {id}"), id, 3, total)


def _segments(engine: MemoryEngine) -> list[str]:
    return sorted(name for name in engine.store.blobs if name.startswith(LAYOUT.seen_prefix))


async def test_a_shard_that_was_never_committed_is_new() -> None:
    shard = await _load(MemoryEngine())
    assert shard.version is None
    assert len(shard.seen) == 0
    assert shard.counts.discovered == 0
    assert not shard.dirty


async def test_everything_of_a_shard_survives_loading() -> None:
    engine = MemoryEngine()
    shard = await _load(engine)
    marks = [random.getrandbits(64) for _ in range(100)]
    assert all(map(shard.see, marks))
    shard.counts.discovered = 100
    shard.counts.skip("robots", 2)
    shard.remember("example.com", {"pages": 7, "pace": {"hold": 5.0}})
    shard.remember("gone.example", {"pages": 1})
    shard.remember("gone.example", None)
    shard.remember("never.example", None)
    shard.end_message(await _held(engine, 1, id="applied"))
    await _apply(engine, shard)
    again = await _load(engine)
    assert again.version == shard.version
    assert _marks(again) == sorted(marks)
    assert not any(map(again.see, marks))
    assert again.counts.to_dict() == shard.counts.to_dict()
    assert again.hosts == {"example.com": {"pages": 7, "pace": {"hold": 5.0}}}
    assert again.has_applied(_loose("applied"))
    assert not again.dirty


async def test_items_are_written_with_the_state_under_a_name_that_a_replay_gives_again() -> None:
    engine = MemoryEngine()
    first, second = await _load(engine), await _load(engine)
    for shard in (first, second):
        held = _loose("pages", 4)
        shard.hold(held)
        shard.end(held, 0, [b'{"a":1}\n'])
        shard.end(held, 1, [b'{"a":2}\n'])
    lost, applied = first.write(), await _apply(engine, second)
    assert lost.put == applied.put == {"items/job/00003/000000000001": b'{"a":1}\n{"a":2}\n'}
    second.end(held, 2, [b'{"a":3}\n'])
    assert (await _apply(engine, second)).put == {"items/job/00003/000000000002": b'{"a":3}\n'}
    assert second.counts.items == 3


async def test_what_is_new_alone_is_sent_and_counted() -> None:
    engine = MemoryEngine()
    shard = await _load(engine)
    first, *_ = again = _requests(3)
    for request in again:
        shard.send_new(7, request)
    shard.skip_seen(pack_fingerprints([8, 9]), "offsite")
    (message,) = (await _apply(engine, shard)).publish
    assert [request.url for request in unpack(message.data)] == [first.url]
    assert (shard.counts.discovered, shard.counts.skipped) == (3, {"offsite": 2})
    assert _marks(await _load(engine)) == [7, 8, 9]


async def test_a_replay_of_a_commit_gives_its_messages_the_same_ids() -> None:
    engine = MemoryEngine()
    first, second = await _load(engine), await _load(engine)
    for shard in (first, second):
        for request in _requests(450):
            shard.send(request)
        shard.send_later(Request("https://example.com/later"), 1_000.0)
        shard.send_foreign(5, Request("https://other.example/"))
    lost, applied = first.write(), await _apply(engine, second)
    assert [encode(message) for message in lost.publish] == [encode(message) for message in applied.publish]
    ids = [message.id for message in applied.publish]
    assert len(set(ids)) == len(ids) == 5
    second.send(Request("https://example.com/"))
    (next_one,) = (await _apply(engine, second)).publish
    assert next_one.id not in ids


async def test_messages_of_two_shards_never_share_an_id() -> None:
    engine = MemoryEngine()
    ids = []
    for index in (1, 2):
        shard = await _load(engine, index)
        shard.send(Request("https://example.com/"))
        ids += [message.id for message in (await _apply(engine, shard)).publish]
    assert len(set(ids)) == 2


async def test_requests_travel_in_batches_with_the_shard_as_their_key() -> None:
    shard = await _load(MemoryEngine())
    for request in _requests(450):
        shard.send(request)
    messages = shard.write().publish
    assert [message.weight for message in messages] == [200, 200, 50]
    assert {message.ordering_key for message in messages} == {"3"}
    assert {message.topic for message in messages} == {"frontier/job"}
    assert all(message.data["shard"] == 3 and "admit" not in message.data for message in messages)
    urls = [request.url for message in messages for request in unpack(message.data)]
    assert urls == [request.url for request in _requests(450)]


async def test_a_message_holds_requests_of_one_priority_and_bears_it() -> None:
    shard = await _load(MemoryEngine())
    for low, high in zip(_requests(3), _requests(3, start=10, priority=4), strict=True):
        shard.send(low)
        shard.send(high)
        shard.send_later(Request(low.url + "l"), 50.0)
        shard.send_later(Request(low.url + "h", priority=9), 50.0)
    messages = shard.write().publish
    assert [(message.priority, message.weight) for message in messages] == [(0, 3), (4, 3), (0, 3), (9, 3)]


async def test_what_is_sent_later_is_not_to_be_had_before_its_time() -> None:
    shard = await _load(MemoryEngine())
    shard.send_later(Request("https://example.com/a"), 1_000.2)
    shard.send_later(Request("https://example.com/b"), 1_000.9)
    shard.send_later(Request("https://example.com/c"), 2_000.0)
    messages = shard.write().publish
    assert [message.not_before_s for message in messages] == [1_001.0, 2_001.0]
    assert [message.weight for message in messages] == [2, 1]


async def test_what_belongs_to_another_shard_is_offered_to_it_and_weighs_nothing() -> None:
    shard = await _load(MemoryEngine())
    shard.send_foreign(5, Request("https://other.example/"))
    (message,) = shard.write().publish
    assert message.ordering_key == "5"
    assert message.data["shard"] == 5
    assert message.data["admit"] is True
    assert message.weight == 0


async def test_what_ended_of_a_message_is_remembered_while_it_is_in_hand() -> None:
    engine = MemoryEngine()
    shard = await _load(engine)
    held = await _held(engine, 5)
    shard.hold(held)
    shard.end(held, 1)
    shard.end(held, 4)
    await _apply(engine, shard)
    await engine.aclose()  # the owner dies
    heir = MemoryEngine(engine.store)
    shard = await _load(heir)
    again = await _receive(heir, 5)
    shard.hold(again)
    assert again.done == 0b10010
    assert again.remaining == 3


async def test_a_message_given_back_keeps_its_progress_and_is_not_charged() -> None:
    engine = MemoryEngine()
    shard = await _load(engine)
    held = await _held(engine, 3)
    shard.hold(held)
    shard.end(held, 0)
    shard.give_back(held)
    assert shard.held("m1") is None
    await _apply(engine, shard)
    shard = await _load(engine)
    again = await _receive(engine, 3)
    assert again.delivery.attempt == 0
    shard.hold(again)
    assert (again.done, again.remaining) == (0b001, 2)
    shard.end(again, 2)
    shard.end(again, 1)
    await _apply(engine, shard)
    assert (await engine.queue.depth(LAYOUT.topic)).messages == 0
    assert read_document(engine.store.states["crawl/job/shard/00003"][1])["progress"] == {}
    assert shard.has_applied(_loose("m1"))


async def test_a_message_given_back_untouched_leaves_no_record() -> None:
    engine = MemoryEngine()
    shard = await _load(engine)
    held = await _held(engine, 3)
    shard.hold(held)
    shard.give_back(held, 30.0)
    await _apply(engine, shard)
    assert progress_of(read_document(engine.store.states["crawl/job/shard/00003"][1])) == {}
    assert (await engine.queue.depth(LAYOUT.topic)).delayed == 1


async def test_the_last_request_of_a_message_acknowledges_it_in_the_same_commit() -> None:
    engine = MemoryEngine()
    shard = await _load(engine)
    held = await _held(engine, 2)
    shard.hold(held)
    shard.end(held, 1)
    assert shard.write().settle == []
    shard.end(held, 0)
    (settlement,) = shard.write().settle
    assert not settlement.again
    assert settlement.delivery.id == "m1"
    assert shard.held_messages == []


async def test_progress_of_more_than_64_requests_survives() -> None:
    engine = MemoryEngine()
    shard = await _load(engine)
    held = _loose("big", 200)
    shard.hold(held)
    for position in range(0, 200, 3):
        shard.end(held, position)
    await _apply(engine, shard)
    shard = await _load(engine)
    again = _loose("big", 200)
    shard.hold(again)
    assert [p for p in range(200) if again.done >> p & 1] == list(range(0, 200, 3))


async def test_a_request_that_ends_twice_is_found_out() -> None:
    shard = await _load(MemoryEngine())
    held = _loose("m", 3)
    shard.hold(held)
    shard.end(held, 1)
    with pytest.raises(AssertionError, match="ended twice"):
        shard.end(held, 1)


async def test_progress_of_another_message_is_not_taken_for_this_one() -> None:
    shard = await _load(MemoryEngine())
    held = _loose("m", 3)
    shard.hold(held)
    shard.end(held, 1)
    shard.give_back(held)
    with pytest.raises(EngineError, match="holds 4 requests where 3"):
        shard.hold(_loose("m", 4))


async def test_a_message_that_ended_is_recognised_when_it_is_delivered_again() -> None:
    engine = MemoryEngine()
    shard = await _load(engine)
    for n in range(100):
        shard.end_message(_loose(f"m{n}"))
    assert all(shard.has_applied(_loose(f"m{n}")) for n in range(50, 100))
    assert not shard.has_applied(_loose("m100"))


async def test_a_delivery_that_comes_again_before_the_commit_is_the_one_that_is_settled() -> None:
    shard = await _load(MemoryEngine())
    shard.end_message(_loose("m"))
    late = Held(Delivery(LAYOUT.topic, b"", "m", "newer"), "m", 3, 3)
    shard.end_message(late)
    assert [settlement.delivery.receipt for settlement in shard.write().settle] == ["newer"]


async def test_a_message_taken_up_again_before_it_was_given_back_stays() -> None:
    shard = await _load(MemoryEngine())
    held = _loose("m")
    shard.hold(held)
    shard.end(held, 0)
    shard.give_back(held)
    again = Held(Delivery(LAYOUT.topic, b"", "m", "newer"), "m", 3, 3)
    shard.hold(again)
    assert again.remaining == 2
    assert shard.write().settle == []


async def test_two_owners_can_not_both_commit() -> None:
    engine = MemoryEngine()
    one, other = await _load(engine), await _load(engine)
    one.see(1)
    other.see(2)
    await _apply(engine, one)
    with pytest.raises(Conflict):
        await _apply(engine, other)
    other = await _load(engine)
    other.see(2)
    await _apply(engine, other)
    with pytest.raises(Conflict):
        await _apply(engine, one)
    assert _marks(await _load(engine)) == [1, 2]


async def test_nothing_is_dirty_after_a_write_and_everything_makes_it_so() -> None:
    shard = await _load(MemoryEngine())
    held = _loose("m")
    shard.hold(held)
    assert not shard.dirty
    changes: list[Any] = [
        lambda: shard.see(1),
        lambda: shard.send_new(3, Request("https://example.com/")),
        lambda: shard.skip_seen(pack_fingerprints([4]), "offsite"),
        lambda: shard.send(Request("https://example.com/")),
        lambda: shard.send_later(Request("https://example.com/"), 1.0),
        lambda: shard.send_foreign(1, Request("https://example.com/")),
        lambda: shard.end(held, 0, [b"{}\n"]),
        lambda: shard.give_back(held),
        lambda: shard.end_message(_loose("other")),
    ]
    for change in changes:
        change()
        assert shard.dirty
        shard.write()
        assert not shard.dirty
    assert not shard.see(1)
    assert not shard.dirty


async def test_fingerprints_move_to_segments_which_are_merged_tier_by_tier(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_DELTA_LIMIT", 10)
    monkeypatch.setattr(module, "_MERGE_AT", 3)
    engine = MemoryEngine()
    rng = random.Random(3)
    everything: list[int] = []
    shard = await _load(engine)
    most = 0
    for number in range(120):
        marks = [rng.getrandbits(64) for _ in range(10)]
        everything += marks
        assert all(map(shard.see, marks))
        await shard.merge(engine)
        await _apply(engine, shard)
        most = max(most, len(_segments(engine)))
        if number % 13 == 0:
            shard = await _load(engine)
            assert _marks(shard) == sorted(everything)
    assert most <= 14
    shard = await _load(engine)
    assert _marks(shard) == sorted(everything)
    assert not any(map(shard.see, everything))
    document = read_document(engine.store.states["crawl/job/shard/00003"][1])
    assert sorted(name for name, _ in document["segments"]) == _segments(engine)
    assert max(level for _, level in document["segments"]) >= 3


async def test_a_merge_that_was_not_committed_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_DELTA_LIMIT", 2)
    monkeypatch.setattr(module, "_MERGE_AT", 2)
    engine = MemoryEngine()
    shard = await _load(engine)
    for number in range(2):
        shard.see(2 * number)
        shard.see(2 * number + 1)
        await _apply(engine, shard)
    await shard.merge(engine)
    await shard.merge(engine)
    assert shard.dirty
    shard.write()  # and the owner dies
    again = await _load(engine)
    assert _marks(again) == [0, 1, 2, 3]


@pytest.mark.parametrize("damage", [None, b"123"], ids=["missing", "cut off"])
async def test_a_damaged_segment_is_an_error_and_not_a_second_crawl(
    monkeypatch: pytest.MonkeyPatch, damage: bytes | None
) -> None:
    monkeypatch.setattr(module, "_DELTA_LIMIT", 2)
    monkeypatch.setattr(module, "_MERGE_AT", 1)
    engine = MemoryEngine()
    shard = await _load(engine)
    shard.see(1)
    shard.see(2)
    await _apply(engine, shard)
    (name,) = _segments(engine)
    if damage is None:
        del engine.store.blobs[name]
    else:
        engine.store.blobs[name] = damage
    with pytest.raises(EngineError, match="of seen URLs"):
        await _load(engine)
    with pytest.raises(EngineError, match="of seen URLs"):
        await shard.merge(engine)


@pytest.mark.parametrize(
    "change",
    [
        b"junk",
        b"[]",
        b"{}",
        {"counts": None},
        {"delta": "A"},
        {"delta": 7},
        {"segments": [1]},
        {"progress": {"m": [1]}},
        {"progress": {"m": [1, "xyz"]}},
        {"recent": None},
        {"seq": ...},
    ],
    ids=str,
)
async def test_a_state_that_can_not_be_read_says_so(change: bytes | dict[str, Any]) -> None:
    engine = MemoryEngine()
    shard = await _load(engine)
    await _apply(engine, shard)
    version, data = engine.store.states["crawl/job/shard/00003"]
    if isinstance(change, dict):
        doc = {name: value for name, value in {**orjson.loads(data), **change}.items() if value is not ...}
        change = orjson.dumps(doc)
    engine.store.states["crawl/job/shard/00003"] = (version, change)
    with pytest.raises(EngineError, match="--restart"):
        await _load(engine)


def test_a_host_belongs_to_one_shard_or_to_as_many_as_it_is_spread_over() -> None:
    assert len({LAYOUT.shard_of("example.com", mark) for mark in range(100)}) == 1
    spread = Layout("job", 8, spread=3)
    assert len({spread.shard_of("example.com", mark) for mark in range(100)}) == 3
    assert len({LAYOUT.shard_of(f"h{n}.example", 0) for n in range(200)}) == 8


def test_the_names_of_a_job_begin_with_what_they_are() -> None:
    assert LAYOUT.topic == "frontier/job"
    assert LAYOUT.run_key == "crawl/job/run"
    assert LAYOUT.delivery_key == "crawl/job/delivery"
    assert LAYOUT.shard_key(3) == "crawl/job/shard/00003"
    assert LAYOUT.shard_key(3).startswith(LAYOUT.shard_prefix)


def _stepped(memory: MemoryEngine) -> SteppedEngine:
    return SteppedEngine(memory.queue, memory.state, memory.objects, close=memory.aclose)


async def test_who_loses_a_commit_in_steps_has_written_over_nothing() -> None:
    memory = MemoryEngine()
    loser, winner = [await Shard.load(_stepped(memory), LAYOUT, 3) for _ in range(2)]
    held = await _held(memory, 1)
    for number, shard in enumerate((loser, winner)):
        shard.end(Held(held.delivery, held.id, 3, 1), 0, [b'{"by":%d}\n' % number])
        for fingerprint in range(module._DELTA_LIMIT):
            shard.see(fingerprint + number * 10_000)
    await _apply(_stepped(memory), winner)
    before = dict(memory.store.blobs)
    with pytest.raises(Conflict):
        await _apply(_stepped(memory), loser)
    assert {name: memory.store.blobs[name] for name in before} == before
    document = read_document(unwrap(memory.store.states["crawl/job/shard/00003"][1], "")[0])
    assert [memory.store.blobs[name] for name in document["items"]] == [b'{"by":1}\n']
    assert _marks(await Shard.load(_stepped(memory), LAYOUT, 3)) == _marks(winner)


async def test_a_shard_counts_its_messages() -> None:
    engine = MemoryEngine()
    shard = await _load(engine)
    for request in _requests(3):
        shard.send(request)
    shard.send_foreign(5, Request("https://other.example/"))
    held = await _held(engine, 1)
    shard.end(held, 0)
    shard.end_message(held)
    await _apply(engine, shard)
    assert read_document(engine.store.states["crawl/job/shard/00003"][1])["messages"] == [2, 1]
    again = await _load(engine)
    again.end(await _receive(engine, 3), 0)
    again.end_message(await _receive(engine, 1))
    await _apply(engine, again)
    assert read_document(engine.store.states["crawl/job/shard/00003"][1])["messages"] == [2, 2]


async def test_a_double_is_known_however_late_it_comes() -> None:
    engine = _stepped(MemoryEngine())
    sender, owner = await Shard.load(engine, LAYOUT, 2), await Shard.load(engine, LAYOUT, 3)
    for request in _requests(100):
        sender.send_foreign(3, request)
        owner.send(request)
        await _apply(engine, sender)
        await _apply(engine, owner)
    assert owner.dirty is False
    got = await engine.queue.receive(LAYOUT.topic, limit=300, lease_s=60)
    messages = [decode(each.topic, each.body, id=each.id) for each in got]
    held = [
        Held(each, message.id, 3, 1, origin=origin_of(message.data))
        for each, message in zip(got, messages, strict=True)
    ]
    assert len({each.origin for each in held}) == 200
    for each in held:
        assert not owner.has_applied(each)
        owner.end_message(each)
    await _apply(engine, owner)
    again = await Shard.load(engine, LAYOUT, 3)
    assert all(again.has_applied(each) for each in held)
    before = again.counts.to_dict(), again._ended
    again.end_double(held[0])
    assert (again.counts.to_dict(), again._ended) == before
    assert [s.again for s in again.write().settle] == [False]
