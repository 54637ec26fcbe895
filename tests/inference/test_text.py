from datetime import UTC, datetime

from streamproc.events.note import Image, Note
from streamproc.events.segment import SegmentChange, SegmentKind
from streamproc.events.tag import TagChange
from streamproc.inference.text import note_text, segment_text, tag_text


def tag(**fields):
    return TagChange(tag_id="t", name="Tea", changed_at=datetime(2026, 1, 1, tzinfo=UTC), **fields)


def test_a_note_is_its_title_category_text_and_images_a_line_each():
    note = Note(
        note_id="n",
        title="Title",
        category="food",
        text=" Text ",
        images=(Image(url="u", caption="a cup", ocr="GREEN"), Image(url="v")),
    )
    assert note_text(note) == "Title\nfood\nText\na cup\nGREEN"
    assert note_text(Note(note_id="n", text="only")) == "only"


def test_a_tag_is_its_name_description_and_synonyms_where_there_are_any():
    assert tag_text(tag()) == "Tea"
    assert tag_text(tag(description="A drink. ")) == "Tea: A drink."
    assert tag_text(tag(synonyms=("chai", "cha"))) == "Tea (chai, cha)"
    assert tag_text(tag(description="A drink.", synonyms=("chai",))) == "Tea: A drink. (chai)"


def test_a_passage_follows_its_category():
    passage = SegmentChange(segment_id="s", kind=SegmentKind.RULE, text="Be exact.")
    assert segment_text(passage) == "Be exact."
    assert segment_text(
        SegmentChange(segment_id="s", kind=SegmentKind.RULE, text="Be exact.", category="rules")
    ) == ("rules: Be exact.")
