"""schemas/ is what the events say."""

from pathlib import Path

import jsonschema
import msgspec
import orjson
import pytest

from streamproc.errors import DecodeError
from streamproc.events.codec import encode
from streamproc.events.note import Note
from streamproc.events.position import Source, SourcePosition
from streamproc.events.record import InputRecord
from streamproc.events.schema import EVENTS, drift, generate
from streamproc.events.topics import TOPICS
from streamproc.streams.dead_letter import Cause, dead_letter

SCHEMAS = Path(__file__).parents[2] / "schemas"


def test_the_committed_schemas_are_those_of_the_code():
    assert drift(SCHEMAS) == []


def test_a_changed_a_missing_and_a_foreign_file_are_drift(tmp_path):
    for name, content in generate().items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "notes.new.schema.json").write_bytes(b"{}")
    (tmp_path / "notes.tagged.schema.json").unlink()
    (tmp_path / "else.json").write_bytes(b"{}")
    assert len(drift(tmp_path)) == 3


@pytest.mark.parametrize("topic", sorted(EVENTS))
def test_each_schema_is_valid_json_schema_2020_12(topic):
    schema = orjson.loads((SCHEMAS / f"{topic}.schema.json").read_bytes())
    jsonschema.Draft202012Validator.check_schema(schema)


def test_the_schema_and_the_decoder_agree_on_a_note():
    validator = jsonschema.Draft202012Validator(
        orjson.loads((SCHEMAS / "notes.new.schema.json").read_bytes())
    )
    validator.validate(orjson.loads(encode(Note(note_id="a", title="x", tags=("Bread",)))))
    for wrong in ({"title": "x"}, {"note_id": ""}, {"note_id": "a", "tags": 3}):
        assert list(validator.iter_errors(wrong))
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(wrong, Note)


@pytest.mark.parametrize("value", [b"x" * 300_000, None])
def test_every_header_that_a_dead_letter_carries_is_described(value):
    source = Source(SourcePosition("notes.new", 0, 1), 0)
    record = InputRecord(source, b"k" if value else None, value)
    letter = dead_letter("notes.dead", record, Cause(DecodeError("no"), "decode"), 300_000)
    document = orjson.loads((SCHEMAS / "asyncapi.json").read_bytes())
    described = document["channels"]["notes.dead"]["messages"]["notes.dead"]["headers"]["properties"]
    assert {name for name, _ in letter.headers} <= described.keys()
    assert ("truncated" in dict(letter.headers)) == (value is not None)


def test_the_asyncapi_document_has_every_topic():
    document = orjson.loads((SCHEMAS / "asyncapi.json").read_bytes())
    assert document["asyncapi"].startswith("3.")
    assert set(document["channels"]) == {topic.name for topic in TOPICS}
