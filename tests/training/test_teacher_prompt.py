import json

import pytest

from streamproc.errors import UnreadableAnswerError
from streamproc.events.files import tag_from_row
from streamproc.events.note import Image, Note
from streamproc.llm.wording import Sample
from streamproc.training.handbook import Guidance
from streamproc.training.teacher_labels import TeacherLabel
from streamproc.training.teacher_prompt import PROMPT_VERSION, Lesson, teacher_question

LESSON = Lesson(
    Note(
        note_id="n1",
        title="Six bunks",
        category="travel",
        images=tuple(Image(url=f"https://pictures.example/{n}.jpg") for n in range(6)),
    ),
    (tag_from_row({"tag": "night trains", "synonyms": ["sleepers"]}), tag_from_row({"tag": "tea"})),
    Guidance(("Readers compare berths.",), ("A seat is no berth.",)),
    (Sample(Note(note_id="n0", title="Couchette"), ("night trains",)),),
)


def ask(images=False):
    return teacher_question(LESSON, images=images, max_tokens=500)


def answer(**fields):
    judged = [{"tag": 1, "why": "bunks", "probability": 0.9}, {"tag": 2, "why": "none", "probability": 0.02}]
    return json.dumps({"reasoning": "It is about bunks.", "candidates": judged, "missing": [], **fields})


def test_the_question_holds_all_that_guides_the_teacher_in_order():
    user = ask().prompt.user
    parts = ["Readers compare berths.", "A seat is no berth.", "Couchette", "Six bunks", "1. night trains"]
    places = [user.index(part) for part in parts]
    assert places == sorted(places)


def test_what_there_is_none_of_has_no_heading():
    bare = teacher_question(Lesson(LESSON.note, LESSON.candidates, Guidance()), images=False, max_tokens=500)
    assert "Handbook" not in bare.prompt.user
    assert "Similar notes" not in bare.prompt.user


def test_the_first_images_are_shown_where_that_is_wanted():
    assert ask().prompt.images == ()
    assert ask(images=True).prompt.images == tuple(f"https://pictures.example/{n}.jpg" for n in range(4))


def test_the_answer_becomes_soft_labels_with_reasons():
    teaching = ask().read(answer())
    assert teaching.reasoning == "It is about bunks."
    assert teaching.labels == (TeacherLabel("night trains", 0.9, "bunks"), TeacherLabel("tea", 0.02, "none"))


def test_missing_tags_are_those_that_were_no_candidates():
    teaching = ask().read(answer(missing=["Sleepers", " bunk  beds ", "bunk beds", ""]))
    assert teaching.missing == ("bunk beds",)


def test_a_candidate_that_was_not_judged_has_no_label():
    teaching = ask().read(answer(candidates=[{"tag": 2, "why": "", "probability": 0.1}]))
    assert [label.tag_id for label in teaching.labels] == ["tea"]


def test_numbers_that_stand_for_no_candidate_or_come_twice_are_passed_over():
    judged = [{"tag": tag, "why": "", "probability": p} for tag, p in [(1, 0.9), (1, 0.1), (0, 1), (3, 1)]]
    teaching = ask().read(answer(candidates=judged))
    assert [(label.tag_id, label.probability) for label in teaching.labels] == [("night trains", 0.9)]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"candidates": []}, "only 0 of 2"),
        ({"candidates": [{"tag": 1, "why": "", "probability": 90}]}, "<= 1"),
        ({"candidates": [{"tag": 1, "why": ""}]}, "probability"),
        ({"candidates": "all"}, "array"),
    ],
)
def test_an_answer_that_cannot_be_used_says_why(fields, said):
    with pytest.raises(UnreadableAnswerError, match=said):
        ask().read(answer(**fields))


def test_reasoning_comes_before_the_verdicts_it_leads_to():
    assert list(ask().prompt.form.schema["properties"]) == ["reasoning", "candidates", "missing"]


def test_the_form_keeps_to_what_strict_structured_output_knows():
    def check(schema):
        assert not schema.keys() & {"minimum", "maximum", "maxItems", "$ref", "default"}
        if schema["type"] == "object":
            assert schema["required"] == list(schema["properties"])
            assert schema["additionalProperties"] is False
            for each in schema["properties"].values():
                check(each)
        if schema["type"] == "array":
            check(schema["items"])

    check(ask().prompt.form.schema)


def test_the_version_names_what_all_questions_share():
    assert ask().prompt.version == PROMPT_VERSION
    assert PROMPT_VERSION.startswith("teacher-1-")
