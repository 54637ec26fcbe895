"""Files in the shape of the events and in the shape of datasets."""

import codecs

import pytest

from streamproc.errors import DecodeError, InputFileError
from streamproc.events.files import (
    note_from_line,
    note_from_row,
    parse_object,
    read_events,
    segment_from_row,
    tag_from_row,
)


def test_a_dataset_row_becomes_a_note():
    note = note_from_row({"id": "7", "title": "t", "text": "x", "tags": ["A"], "date": "2017-01-01 15:03:38"})
    assert (note.note_id, note.tags) == ("7", ("A",))
    assert note.created_at.isoformat() == "2017-01-01T15:03:38+00:00"


def test_a_vague_date_of_a_dataset_is_left_out():
    assert note_from_row({"id": "7", "title": "t", "date": "2017-05"}).created_at is None


def test_a_line_obeys_the_rules_of_the_topic():
    with pytest.raises(DecodeError, match="say nothing"):
        note_from_line(b'{"id": "a", "title": ""}')


def test_a_tag_without_an_id_goes_by_its_name():
    tag = tag_from_row({"tag": " Cafe\u0301", "count": 3, "type": "place"})
    assert (tag.tag_id, tag.kind) == ("Caf\u00e9", "place")


def test_a_tag_without_a_name_is_refused():
    with pytest.raises(DecodeError, match="name"):
        tag_from_row({"description": "x"})


def test_a_segment_may_call_its_id_id():
    assert segment_from_row({"id": "s", "kind": "rule", "text": "x"}).segment_id == "s"


def test_a_broken_line_is_named_with_its_file_and_number(tmp_path):
    path = tmp_path / "tags.jsonl"
    path.write_text('{"tag": "A"}\n\n{"tag": \n')
    with pytest.raises(InputFileError, match=r"tags\.jsonl, line 3"):
        list(read_events(path, tag_from_row))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (b'{"id": "a", "text', "not JSON: unexpected end of data (at character 18)"),
        (b"[]", "not an array"),
        (b"null", "not null"),
        (b'"a"', "not a string"),
        (b"1.5", "not a number"),
        (b"true", "not a truth value"),
        (b'{"text": "x"}', 'in the field "id"'),
        (b'{"id": "", "text": "x"}', 'in the field "id"'),
        (b'{"id": 7, "text": "x"}', "a string"),
    ],
)
def test_what_is_wrong_with_a_line_is_said_in_words_of_the_file(value, said):
    with pytest.raises(DecodeError) as caught:
        note_from_line(value)
    assert said in str(caught.value)
    with pytest.raises(DecodeError) as caught:
        note_from_row(parse_object(value))
    assert said in str(caught.value)


def test_a_file_of_another_editor_is_read(tmp_path):
    path = tmp_path / "tags.jsonl"
    path.write_bytes(codecs.BOM_UTF8 + b'{"tag": "A"}\r\n\r\n{"tag": "B"}')
    assert [tag.name for tag in read_events(path, tag_from_row)] == ["A", "B"]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputFileError, match=r"none\.jsonl cannot be read: No such file"):
        list(read_events(tmp_path / "none.jsonl", tag_from_row))
