import pytest

from streamproc.errors import BusyError, RefusalError, RejectedQuestionError, UnreadableAnswerError
from streamproc.evaluation.dataset import Split, read_dataset
from streamproc.evaluation.prepared import prepare
from streamproc.evaluation.vectors import VectorCache
from streamproc.events.files import segment_from_row
from streamproc.graph.thresholds import FITTED
from streamproc.llm.asking import Outcome
from streamproc.training.distill import agreement, guessed_answer_tokens, lessons, taught_set
from streamproc.training.handbook import Handbook
from streamproc.training.teacher_labels import TeacherLabel
from streamproc.training.teacher_prompt import PROMPT_VERSION, Teaching, teacher_question
from tests.evaluation.worlds import WordEncoder, write_dataset


@pytest.fixture
def prepared(tmp_path):
    dataset = read_dataset(write_dataset(tmp_path / "drinks"))
    return prepare(dataset, VectorCache(WordEncoder(), "words", tmp_path / "vectors"))


def test_every_note_of_the_file_gets_its_candidates(prepared):
    found = lessons(prepared, FITTED, Handbook(), candidates=2)
    assert [each.note.note_id for each in found.lessons] == ["t1", "t2", "t3", "t4"]
    assert all(1 <= len(each.candidates) <= 2 for each in found.lessons)


def test_no_note_is_a_sample_for_itself_and_its_own_tags_are_not_told(prepared):
    for each in lessons(prepared, FITTED, Handbook()).lessons:
        assert each.note.note_id not in {sample.note.note_id for sample in each.samples}
        assert each.note.tags == ()


def test_samples_are_the_nearest_labelled_notes(prepared):
    (lesson, *_) = lessons(prepared, FITTED, Handbook(), samples=1).lessons
    (sample,) = lesson.samples
    assert (lesson.note.note_id, sample.note.note_id, sample.tags) == ("t1", "t3", ("tea",))


def test_the_handbook_guides_each_note(prepared):
    book = Handbook([segment_from_row({"id": "k", "kind": "rule", "text": "Hot only.", "tag_ids": ["tea"]})])
    assert all(each.guidance.rules == ("Hot only.",) for each in lessons(prepared, FITTED, book).lessons)


def test_the_same_seed_draws_the_same_notes(prepared):
    first, second = (lessons(prepared, FITTED, Handbook(), most=2, seed=3).lessons for _ in range(2))
    assert first == second
    assert len(first) == 2


def test_other_files_may_be_taught(prepared):
    found = lessons(prepared, FITTED, Handbook(), split=Split.VALID)
    assert [each.note.note_id for each in found.lessons] == ["v1", "v2"]


def test_answers_become_labels_and_failures_are_counted_by_reason(prepared):
    taught = lessons(prepared, FITTED, Handbook()).lessons
    label = TeacherLabel("tea", 0.9, "leaves")
    outcomes = [
        Outcome(Teaching("Leaves.", (label,), ("pots",))),
        Outcome(None, RefusalError("no")),
        Outcome(None, UnreadableAnswerError("what?")),
        Outcome(None, BusyError("later")),
    ]
    found = taught_set(taught, outcomes, "tiny")
    (note,) = found.notes
    assert (note.note_id, note.teacher, note.prompt) == ("t1", "tiny", PROMPT_VERSION)
    assert (note.reasoning, note.labels, note.missing) == ("Leaves.", (label,), ("pots",))
    assert found.skipped == {"refused": 1, "answered unreadably": 1, "failed for the moment": 1}
    rejected = taught_set(taught[:1], [Outcome(None, RejectedQuestionError("long"))], "tiny")
    assert rejected.skipped == {"not taken by the endpoint": 1}


def test_what_the_teacher_says_is_held_against_peoples_labels(prepared):
    taught = lessons(prepared, FITTED, Handbook()).lessons[:1]
    labels = (TeacherLabel("tea", 0.8), TeacherLabel("coffee", 0.1), TeacherLabel("rare", 0.3))
    found = taught_set(taught, [Outcome(Teaching("", labels, ()))], "tiny")
    agreed = agreement(found, prepared.dataset.train)
    assert (agreed.chosen, agreed.others) == (pytest.approx(0.8), pytest.approx(0.2))
    all_right = taught_set(taught, [Outcome(Teaching("", labels[:1], ()))], "tiny")
    assert agreement(all_right, prepared.dataset.train) is None


def test_the_guess_of_an_answers_length_grows_with_the_candidates(prepared):
    few, many = (lessons(prepared, FITTED, Handbook(), candidates=n).lessons for n in (1, 3))
    assert guessed_answer_tokens(few) < guessed_answer_tokens(many)


def test_every_lesson_makes_a_question_of_its_own(prepared):
    taught = lessons(prepared, FITTED, Handbook()).lessons
    asked = {teacher_question(each, images=False, max_tokens=500).prompt.user for each in taught}
    assert len(asked) == len(taught)
