"""Records of notes.new: what is accepted and how everything else is refused."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.errors import DecodeError, HeaderError, KeyMismatchError, PoisonError
from streamproc.events.codec import (
    Limits,
    content_hash,
    decode_judgement,
    decode_note,
    decode_segment,
    decode_tag,
    encode,
    normalise_name,
)
from streamproc.events.note import Image, Note, NoteDeleted

NOTE = b'{"note_id":"a","title":"Bread","text":"Flour, water, salt."}'


def test_a_minimal_note_is_read():
    assert decode_note(NOTE, b"a") == Note(note_id="a", title="Bread", text="Flour, water, salt.")


def test_a_record_without_a_key_is_read():
    assert decode_note(NOTE, None).note_id == "a"


def test_unknown_fields_are_ignored():
    assert decode_note(b'{"note_id":"a","title":"x","mood":[{"deep":1}]}', None) == Note(
        note_id="a", title="x"
    )


def test_a_null_value_deletes_the_note_its_key_names():
    assert decode_note(None, b"a") == NoteDeleted("a")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (b'{"note_id": "a", ', "not JSON"),
        (b"", "not JSON"),
        (b"\x00\x01", "not JSON"),
        (b'{"note_id":"a","title":"\xff\xfe"}', "not UTF-8"),
        (b'{"note_id":"a","title":7}', "title"),
        (b'{"note_id":"a","title":"x","tags":3}', "tags"),
        (b'{"title":"x"}', "note_id"),
        (b'{"note_id":"","title":"x"}', "note_id"),
        (b'{"note_id":"a","title":"","text":"  \\n "}', "say nothing"),
        (b'{"note_id":"a","title":"x","created_at":NaN}', "not JSON"),
        (b'{"note_id":"a","title":"x\\u0000"}', "NUL"),
        (b'{"note_id":"a\\u0000","title":"x"}', "note_id"),
        (b'{"note_id":"a","title":"x","z":' + b"[" * 100_000, "nested too deeply"),
        (b'["a"]', "schema"),
    ],
)
def test_what_is_not_a_note_is_refused_with_the_reason(value, words):
    with pytest.raises(DecodeError, match=words):
        decode_note(value, None)


def test_a_record_over_the_size_limit_names_the_setting():
    with pytest.raises(DecodeError, match="STREAMPROC_MAX_NOTE_BYTES"):
        decode_note(NOTE, None, limits=Limits(max_note_bytes=20))


def test_a_text_over_the_length_limit_names_the_setting():
    with pytest.raises(DecodeError, match="STREAMPROC_MAX_TEXT_CHARS"):
        decode_note(NOTE, None, limits=Limits(max_text_chars=5))


def test_a_key_that_names_another_note_is_refused():
    with pytest.raises(KeyMismatchError, match="disagrees with note_id"):
        decode_note(NOTE, b"b")


@pytest.mark.parametrize("key", [None, b"", b"\xff", b"a\x00b", b"x" * 300])
def test_a_tombstone_needs_a_key_that_is_an_identifier(key):
    with pytest.raises(DecodeError):
        decode_note(None, key)


@pytest.mark.parametrize(
    "header",
    [
        ("ce_id", b"\xff"),
        ("ce_time", b"yesterday"),
        ("ce_specversion", b"0.3"),
        ("ce_type", b""),
        ("content-type", b"text/plain"),
    ],
)
def test_a_broken_header_is_refused(header):
    with pytest.raises(HeaderError, match=header[0]):
        decode_note(NOTE, None, [header])


def test_headers_of_others_are_left_alone():
    assert decode_note(NOTE, None, [("traceparent", b"\xff\x00")])


def test_an_image_caption_alone_is_enough_to_read():
    note = Note(note_id="a", images=(Image(url="https://example.com/1.jpg", caption="A sleeping cat"),))
    assert decode_note(encode(note), b"a") == note


@given(st.binary(max_size=200), st.one_of(st.none(), st.binary(max_size=20)))
def test_any_bytes_are_read_or_refused_as_poison(value, key):
    with contextlib.suppress(PoisonError):
        decode_note(value, key)


@given(
    st.builds(
        Note,
        note_id=st.text(
            st.characters(min_codepoint=32, exclude_characters="\x7f", codec="utf-8"), min_size=1, max_size=40
        ),
        title=st.text(st.characters(min_codepoint=1, codec="utf-8"), max_size=40).map(
            lambda text: text + "x"
        ),
        text=st.text(st.characters(min_codepoint=1, codec="utf-8"), max_size=80),
    )
)
def test_encoding_and_decoding_a_note_gives_it_back(note):
    assert decode_note(encode(note), note.note_id.encode()) == note


def test_the_content_hash_is_of_what_a_note_says_not_of_its_id():
    assert content_hash(Note(note_id="a", title="x")) == content_hash(Note(note_id="b", title="x"))
    assert content_hash(Note(note_id="a", title="x")) != content_hash(Note(note_id="a", title="y"))


def test_a_null_tag_is_refused_and_the_message_says_what_to_publish():
    with pytest.raises(DecodeError, match="deprecated"):
        decode_tag(None, b"bread")


def test_a_null_judgement_is_refused():
    with pytest.raises(DecodeError, match="null"):
        decode_judgement(None, b"a")


def test_a_null_segment_is_the_removal_of_what_its_key_names():
    assert decode_segment(None, b"s1") == "s1"


def test_names_are_normalised_to_nfc_and_never_to_slugs():
    assert normalise_name(" Cafe\u0301 ") == "Caf\u00e9"
    assert normalise_name("C++") != normalise_name("C")
