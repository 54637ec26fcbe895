import json

from hypothesis import given
from hypothesis import strategies as st

from streamproc.events.files import tag_from_row
from streamproc.events.note import Image, Note
from streamproc.llm.wording import (
    NOTE_CHARACTERS,
    Sample,
    candidate_list,
    note_json,
    sample_list,
    shortened,
)


@given(st.text(max_size=200))
def test_no_text_can_leave_the_quotes_of_its_note(text):
    words = note_json(Note(note_id="n", title="T", text=text))
    assert "\n" not in words
    assert json.loads(words).get("text", "") == text.strip()


def test_what_images_say_is_told_and_what_is_empty_left_out():
    note = Note(
        note_id="n", title="Menu", images=(Image(url="u", caption="A board", ocr="Soup 5"), Image(url="v"))
    )
    assert json.loads(note_json(note)) == {
        "title": "Menu",
        "images": [{"caption": "A board", "text": "Soup 5"}],
    }


def test_candidates_are_numbered_lines_with_definition_and_synonyms():
    tags = [
        tag_from_row({"tag": "tea", "description": "A hot\ndrink.", "synonyms": ["chai", "cha"]}),
        tag_from_row({"tag": "coffee"}),
    ]
    assert candidate_list(tags) == "1. tea: A hot drink. (also: chai, cha)\n2. coffee"


def test_samples_tell_their_tags():
    words = sample_list([Sample(Note(note_id="n", title="Brewing"), ("tea", "kitchen"))])
    assert json.loads(words) == {"title": "Brewing", "tags": ["tea", "kitchen"]}


def test_a_long_text_keeps_its_beginning_and_its_end():
    words = shortened("a" * NOTE_CHARACTERS + "end", NOTE_CHARACTERS)
    assert words.startswith("aaa")
    assert words.endswith("aend")
    assert len(words) <= NOTE_CHARACTERS + 5
