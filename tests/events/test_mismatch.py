"""A value that does not fit is named with its field, and with what to write instead where that helps."""

import msgspec
import pytest

from streamproc.errors import DecodeError
from streamproc.events.codec import decode_note
from streamproc.events.files import note_from_row
from streamproc.events.mismatch import explained


def refused(value):
    with pytest.raises(DecodeError) as error:
        decode_note(value, None)
    return str(error.value)


@pytest.mark.parametrize(
    ("record", "sentence"),
    [
        (b'{"note_id": "a", "title": 3}', "title is 3: Expected `str`, got `int`"),
        (b'{"note_id": "a", "tags": ["x", 3]}', "tags[1] is 3: Expected `str`, got `int`"),
        (
            b'{"note_id": "a", "images": [{"url": 1}]}',
            "images[0].url is 1: Expected `str`, got `int`",
        ),
        (b'["note_id"]', "Expected `object`, got `array`"),
        (b'{"title": "x"}', "Object missing required field `note_id`"),
        (b'{"note_id": "a", "title": 3, broken', "title: Expected `str`, got `int`"),
    ],
)
def test_the_field_and_what_stands_there_are_named(record, sentence):
    assert refused(record).endswith(sentence)


def test_a_date_comes_with_an_example_of_one():
    said = refused(b'{"note_id": "a", "text": "x", "created_at": "2020-01-01"}')
    assert 'created_at is "2020-01-01": ' in said
    assert said.endswith("; write it as 2026-01-31T12:00:00Z")


def test_rows_of_files_are_explained_likewise():
    with pytest.raises(DecodeError, match="title is 3: Expected `str`, got `int`"):
        note_from_row({"id": "a", "title": 3})


def test_a_long_value_is_cut():
    said = explained(msgspec.ValidationError("Expected `int`, got `str` - at `$.n`"), {"n": "x" * 1000})
    assert len(said) < 150
    assert "…" in said
