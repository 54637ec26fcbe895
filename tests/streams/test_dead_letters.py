"""Dead letters found and made whole again."""

from streamproc.config import Settings
from streamproc.errors import DecodeError
from streamproc.events.position import Source, SourcePosition
from streamproc.events.record import InputRecord
from streamproc.streams.dead_letter import Cause, dead_letter, read_dead_letter
from streamproc.streams.dead_letters import REPLAYED_FROM, Found, Wanted, find, replayed, why_not_replayable
from streamproc.streams.embedded import EmbeddedBroker
from streamproc.streams.publisher import Publisher

RECORD = InputRecord(
    Source(SourcePosition("notes.new", 2, 7), 1_700_000_000_000),
    b"n1",
    b"\xff{",
    (("ce_specversion", b"1.0"),),
)


def found(record: InputRecord = RECORD, max_bytes: int = 10_000_000, stage: str = "decode") -> Found:
    out = dead_letter("notes.dead", record, Cause(DecodeError("not JSON"), stage), max_bytes)
    letter = read_dead_letter(out.key, out.value, out.headers)
    return Found(SourcePosition("notes.dead", 1, 3), 1_700_000_001_000, letter)


def test_a_replayed_record_is_the_original_with_one_header_more():
    again = replayed(found())
    assert (again.topic, again.key, again.value) == ("notes.new", b"n1", b"\xff{")
    assert again.headers == (("ce_specversion", b"1.0"), (REPLAYED_FROM, b"notes.dead/1/3"))


def test_a_second_replay_names_the_last_death_only():
    first = replayed(found())
    died_again = found(InputRecord(RECORD.source, first.key, first.value, first.headers))
    assert [name for name, _ in replayed(died_again).headers].count(REPLAYED_FROM) == 1


def test_a_tombstone_stays_one():
    again = replayed(found(InputRecord(RECORD.source, b"n1", None, ())))
    assert again.value is None
    assert why_not_replayable(found()) is None


def test_a_truncated_letter_is_not_replayable_and_says_why():
    long = InputRecord(RECORD.source, b"n1", b"x" * 1_000_000, ())
    assert "only its first 262144 bytes were kept" in why_not_replayable(found(long, max_bytes=600_000))


def test_filters_are_all_to_be_met():
    one = found()
    assert Wanted().takes(one)
    assert Wanted(exception="DecodeError", stage="decode", since_ms=1_700_000_001_000).takes(one)
    assert not Wanted(exception="DecodeError", stage="tag").takes(one)
    assert not Wanted(since_ms=1_700_000_001_001).takes(one)
    assert not Wanted(positions=frozenset({SourcePosition("notes.dead", 1, 4)})).takes(one)


async def test_letters_are_found_on_the_topic_and_strangers_reported():
    foreign = []
    with EmbeddedBroker({"p.notes.dead": 2}) as broker:
        settings = Settings(kafka_bootstrap=broker.bootstrap, topic_prefix="p.")
        async with Publisher(settings, ["p.notes.dead"]) as publisher:
            for stage in ("decode", "tag"):
                cause = Cause(DecodeError("bad"), stage)
                await publisher.send(dead_letter("p.notes.dead", RECORD, cause, 1_000_000), 0)
            stranger = dead_letter("p.notes.dead", RECORD, Cause(DecodeError("bad"), "x"), 1_000_000)
            await publisher.send(type(stranger)(stranger.topic, b"s", b"hello", ()), 1)
        letters = [
            one
            async for one in find(
                settings, Wanted(stage="tag"), foreign=lambda position, _: foreign.append(str(position))
            )
        ]
    assert [(one.letter.stage, one.position.offset) for one in letters] == [("tag", 1)]
    assert foreign == ["p.notes.dead/1/0"]
