"""Every kind of broken record on ``notes.new``: its dead letter, and its neighbours unharmed.

One worker with fixed models meets all of it, each time between two good notes of the same micro-batch; it is still the
same worker at the end.
"""

import asyncio
import itertools
import json

import pytest
import pytest_asyncio

from streamproc.streams.dead_letter import read_dead_letter
from streamproc.streams.embedded import EmbeddedBroker
from streamproc.streams.worker import EmbeddedWorker
from tests.streams.fixed import Client, fixed_parts, settings_for, source_of, topic_counts

pytestmark = pytest.mark.asyncio(loop_scope="module")

MIB = 1024 * 1024
numbers = itertools.count()


def good(note_id, **more):
    return json.dumps({"note_id": note_id, "title": "Title", "text": "a text", **more}).encode()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def system(tmp_path_factory):
    path = tmp_path_factory.mktemp("bad-input")
    with EmbeddedBroker() as broker:
        # A long linger: the bad record and its neighbours share a batch.
        settings = settings_for(broker.bootstrap, path, linger_seconds=0.2, topic_partitions=1)
        for name, partitions in topic_counts(settings).items():
            broker.create_topic(name, partitions)
        parts = await fixed_parts(path)
        worker = EmbeddedWorker(settings, parts)
        await worker.start()
        await worker.wait_ready()
        async with Client(settings) as client:
            yield worker, client, parts
        crash = worker.crash
        await worker.stop()
        assert crash is None


async def outcomes(client, *positions):
    """The outcome of each source position: the record on notes.tagged, or the dead letter."""

    def found(records):
        return {source_of(record): record for record in records}.keys() >= set(positions)

    records = await client.wait_for(found, "notes.tagged", "notes.dead")
    by_source = {}
    for record in records:
        by_source.setdefault(source_of(record), []).append(record)
    return [by_source[position] for position in positions]


async def between_neighbours(system, value, key=None, headers=()):
    worker, client, _ = system
    before, after = f"before-{next(numbers)}", f"after-{next(numbers)}"
    positions = await asyncio.gather(
        client.publish("notes.new", good(before), before),
        client.publish("notes.new", value, key, headers),
        client.publish("notes.new", good(after), after),
    )
    first, middle, last = await outcomes(client, *positions)
    for neighbour in (first, last):
        assert [record.topic for record in neighbour] == ["notes.tagged"]
        assert json.loads(neighbour[0].value)["tags"][0]["tag_id"] == "Title"
    assert worker.crash is None
    return middle, positions[1]


async def dead(system, value, error, message, *, key=None, headers=()):
    (record,), position = await between_neighbours(system, value, key, headers)
    assert record.topic == "notes.dead"
    letter = read_dead_letter(record.key, record.value, record.headers)
    assert letter.exception == error
    assert message in letter.message
    assert letter.stage == "decode"
    assert letter.key == key
    place = letter.source.position
    assert (place.topic, place.partition, place.offset) == position
    assert letter.headers == tuple(headers)
    if not letter.truncated:
        assert letter.value == value
    return letter


@pytest.mark.parametrize(
    ("value", "message"),
    [
        pytest.param(b'{"note_id": "x", "title": ', "not JSON", id="invalid JSON"),
        pytest.param(b"", "not JSON", id="nothing"),
        pytest.param(b'{"note_id": "x", "title": "\xff\xfe"}', "UTF-8", id="invalid UTF-8"),
        pytest.param(b'{"note_id": 7, "title": "t"}', "note_id", id="wrong type"),
        pytest.param(b'["not", "an", "object"]', "schema", id="not an object"),
        pytest.param(b'{"title": "t", "text": "no id"}', "note_id", id="missing id"),
        pytest.param(b'{"note_id": "x", "title": " ", "text": ""}', "say nothing", id="empty text"),
        pytest.param(b'{"note_id": "x", "title": "t", "text": NaN}', "not JSON", id="NaN"),
        pytest.param(b'{"note_id": "x", "title": "a\\u0000b"}', "NUL", id="NUL"),
        pytest.param(b'{"note_id": "x\\u0000", "title": "t"}', "note_id", id="NUL in the id"),
        pytest.param(
            b'{"note_id": "x", "title": "t", "extra": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
            "deep",
            id="deep nesting",
        ),
        pytest.param(
            b'{"note_id": "x", "title": "t", "created_at": "yesterday"}', "created_at", id="no date"
        ),
    ],
)
async def test_a_broken_value_is_a_dead_letter_with_its_bytes(system, value, message):
    await dead(system, value, "DecodeError", message)


async def test_a_record_far_beyond_the_limit_keeps_its_beginning_and_its_hash(system):
    # The embedded broker keeps 5 MB; ten megabytes are for Apache Kafka, in test_kafka.py.
    value = good("huge", text="a word " * (3 * MIB // 7))
    letter = await dead(system, value, "DecodeError", "at most 1048576", key=b"huge")
    assert letter.truncated
    assert value.startswith(letter.value)
    assert len(letter.value) == 256 * 1024


async def test_a_key_that_names_another_note_is_a_dead_letter(system):
    await dead(system, good("n-1"), "KeyMismatchError", "'n-1'", key=b"n-2")


@pytest.mark.parametrize(
    "header",
    [("ce_time", b"yesterday"), ("ce_specversion", b"9"), ("ce_id", b"\xff"), ("content-type", b"text/xml")],
)
async def test_a_broken_header_is_a_dead_letter(system, header):
    await dead(system, good("h"), "HeaderError", header[0], key=b"h", headers=(("kept", b"1"), header))


async def test_a_tombstone_whose_key_is_no_id_is_a_dead_letter(system):
    await dead(system, None, "DecodeError", "UTF-8", key=b"\xff\xfe")


async def test_unknown_fields_are_ignored(system):
    (record,), _ = await between_neighbours(system, good("known", unknown={"a": [1]}), b"known")
    assert record.topic == "notes.tagged"


async def test_duplicate_ids_in_one_batch_are_both_tagged_and_the_last_stands(system):
    _, client, parts = system
    positions = await asyncio.gather(
        *(client.publish("notes.new", good("twin", title=title), "twin") for title in ("First", "Second"))
    )
    outputs = await outcomes(client, *positions)
    assert [json.loads(each.value)["tags"][0]["tag_id"] for (each,) in outputs] == ["First", "Second"]
    assert outputs[0][0].offset < outputs[1][0].offset
    rows = {}
    for _ in range(100):
        rows = await parts.graph.graph.notes(["stream:twin"])
        if rows and rows["stream:twin"].tags[0].tag_id == "Second":
            break
        await asyncio.sleep(0.05)
    assert rows["stream:twin"].tags[0].tag_id == "Second"


async def test_a_null_value_deletes_the_note_everywhere(system):
    _, client, parts = system
    await client.publish("notes.new", good("doomed"), "doomed")
    await client.wait_for(lambda all_: any(b"doomed" in each.key for each in all_), "graph.edges")
    position = await client.publish("notes.new", None, "doomed")
    (tombstones,) = await outcomes(client, position)
    assert [(each.topic, each.key, each.value) for each in tombstones] == [("notes.tagged", b"doomed", None)]

    def both_origins(records):
        gone = {each.key for each in records if each.value is None and source_of(each) == position}
        return gone == {b'["doomed","stream"]', b'["doomed","import"]'}

    await client.wait_for(both_origins, "graph.notes")
    await client.wait_for(
        lambda all_: any(each.value is None for each in all_ if each.key.startswith(b'["doomed",')),
        "graph.edges",
    )
    assert await parts.graph.graph.notes(["stream:doomed"]) == {}
