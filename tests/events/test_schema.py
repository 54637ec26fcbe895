"""schemas/ is what the events say."""

from pathlib import Path

import jsonschema
import msgspec
import orjson
import pytest

from streamproc.events.codec import encode
from streamproc.events.note import Note
from streamproc.events.schema import EVENTS, drift, generate
from streamproc.events.topics import TOPICS

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


def test_the_asyncapi_document_has_every_topic():
    document = orjson.loads((SCHEMAS / "asyncapi.json").read_bytes())
    assert document["asyncapi"].startswith("3.")
    assert set(document["channels"]) == {topic.name for topic in TOPICS}
