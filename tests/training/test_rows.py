from dataclasses import replace

import numpy as np
import pytest

from streamproc.evaluation.dataset import Split, read_dataset
from streamproc.evaluation.prepared import prepare, with_history, without_tags
from streamproc.evaluation.vectors import VectorCache
from streamproc.graph.evidence import COLUMN
from streamproc.graph.thresholds import FITTED
from streamproc.training.fusion import fit_recall, recall_fit
from streamproc.training.rows import (
    history_rows,
    join,
    rows_of,
    valid_rows,
    varied_rows,
    with_rejections,
    without_votes,
)
from streamproc.training.soft_labels import softened
from streamproc.training.teacher_labels import TaughtNote, TeacherLabel, TeacherLabels
from tests.evaluation.worlds import WordEncoder, write_dataset, write_hobbies


@pytest.fixture
def prepared(tmp_path):
    dataset = read_dataset(write_dataset(tmp_path / "drinks"))
    return prepare(dataset, VectorCache(WordEncoder(), "words", tmp_path / "vectors"))


@pytest.fixture
def hobbies(tmp_path):
    dataset = read_dataset(write_hobbies(tmp_path / "hobbies"))
    return prepare(dataset, VectorCache(WordEncoder(), "words", tmp_path / "vectors"))


def random():
    return np.random.default_rng(0)


def test_a_note_of_the_history_does_not_vote_for_itself(prepared):
    place = next(i for i, each in enumerate(prepared.dataset.train) if "rare" in each.gold)
    notes, vectors = [prepared.dataset.train[place]], prepared.vectors[Split.TRAIN][[place]]
    rows = rows_of(prepared, notes, vectors, FITTED)
    assert rows.right.sum() >= 1
    rare = rows.evidence[rows.evidence[:, COLUMN["best_neighbour"]] == 0]
    assert len(rare) >= 1


def test_rows_of_several_sets_keep_their_notes_apart(prepared):
    part = history_rows(prepared, FITTED, random(), 4)
    joined = join([part, part])
    assert joined.note.max() == 2 * part.note.max() + 1
    assert len(joined.right) == 2 * len(part.right)


def test_the_same_seed_gives_the_same_rows(prepared):
    first, second = (varied_rows(prepared, FITTED, random(), 4) for _ in range(2))
    np.testing.assert_array_equal(first.evidence, second.evidence)
    np.testing.assert_array_equal(first.right, second.right)


def test_a_new_tag_has_no_votes_and_keeps_its_cosine(prepared):
    rows = valid_rows(prepared, FITTED, random())
    new = without_votes(rows, random(), share=1.0)
    assert not new.evidence[:, COLUMN["vote_10"]].any()
    np.testing.assert_array_equal(new.evidence[:, COLUMN["cosine"]], rows.evidence[:, COLUMN["cosine"]])


def test_models_learn_nothing_from_what_models_wrote_back(prepared):
    rows = varied_rows(prepared, FITTED, random(), 4)
    assert not rows.evidence[:, COLUMN["vote_model"]].any()


def test_some_rows_are_of_a_repository_that_nobody_has_used(hobbies):
    rows = varied_rows(hobbies, FITTED, random(), 100)
    tags = np.bincount(rows.note)
    heard = np.maximum.reduceat(
        rows.evidence[:, COLUMN["outlying"]], np.flatnonzero(np.diff(rows.note, prepend=-1))
    )
    of_all = (tags == len(hobbies.dataset.tags)) & (heard == 0)  # every tag is near, and no note was labelled
    assert of_all.any()
    assert rows.right[np.isin(rows.note, np.flatnonzero(of_all))].any()


def test_some_rows_are_of_repositories_of_a_few_tags_and_of_notes_that_have_none_of_them(hobbies):
    rows = varied_rows(hobbies, FITTED, random(), 100)
    tags = np.array([each.tag_id for each in rows.tags])
    few = [number for number in np.unique(rows.note) if len(set(tags[rows.note == number])) <= 4]
    right = np.array([rows.right[rows.note == number].any() for number in few])
    assert right.any()
    assert not right.all()


def test_rejections_near_by_fall_three_times_as_often_on_wrong_tags_as_on_right_ones(prepared):
    rows = join([valid_rows(prepared, FITTED, random())] * 400)
    rejected = with_rejections(rows, random())
    fell = rejected.evidence[:, COLUMN["judged_against"]] != rows.evidence[:, COLUMN["judged_against"]]
    assert fell[rows.right == 0].mean() == pytest.approx(0.3, abs=0.03)
    assert fell[rows.right == 1].mean() == pytest.approx(0.1, abs=0.03)
    others = [column for name, column in COLUMN.items() if name != "judged_against"]
    np.testing.assert_array_equal(rejected.evidence[:, others], rows.evidence[:, others])


def test_the_weight_of_models_edges_stays_when_recall_is_fitted(prepared):
    fitted = fit_recall([prepared], replace(FITTED, fusion={"vote_model": 7.0}))
    assert fitted.fusion["vote_model"] == 7.0
    assert fitted.fusion["vote_soft"] > 0


def test_recall_is_fitted_to_what_ranks_right_tags_first(prepared):
    fitted = fit_recall([prepared], FITTED)
    assert fitted.fusion["vote_soft"] > 0
    assert recall_fit(fitted, ["drinks"]).fusion == dict(fitted.fusion)
    assert fit_recall([prepared], FITTED) == fitted


def test_some_notes_are_recalled_as_if_tags_were_new_or_missing(prepared):
    gone = frozenset({"tea"}) & {tag.tag_id for tag in prepared.dataset.tags} or frozenset(
        {prepared.dataset.tags[0].tag_id}
    )
    notes = [each for each in prepared.dataset.train if each.gold & gone]
    places = [prepared.dataset.train.index(each) for each in notes]
    vectors = prepared.vectors[Split.TRAIN][places]
    missing = rows_of(without_tags(prepared, gone), notes, vectors, FITTED)
    assert not any(each.tag_id in gone for each in missing.tags)
    unused = with_history(prepared, [replace(each, gold=each.gold - gone) for each in prepared.dataset.train])
    new = rows_of(unused, notes, vectors, FITTED)
    of_new = np.array([each.tag_id in gone for each in new.tags])
    assert of_new.any()
    assert (new.evidence[of_new][:, COLUMN["vote_50"]] == 0).all()
    assert new.right[of_new].all()


def test_rows_of_chosen_notes_keep_their_texts_and_numbers(prepared):
    rows = history_rows(prepared, FITTED, random(), 5)
    chosen = np.arange(len(rows.texts)) % 2 == 0
    some = rows.of_notes(chosen)
    assert set(some.note) <= set(np.flatnonzero(chosen))
    assert len(some.tags) == len(some.right) == len(some.evidence)
    for row, note in enumerate(some.note):
        source = np.flatnonzero(rows.note == note)[list(some.note[: row + 1]).count(note) - 1]
        assert some.tags[row] == rows.tags[source]


def test_a_teachers_belief_is_mixed_into_the_labels(prepared):
    rows = history_rows(prepared, FITTED, random(), 3)
    note, tag = rows.note_ids[rows.note[0]], rows.tags[0]
    teacher = TeacherLabels([TaughtNote(note, "teacher", (TeacherLabel(tag.tag_id, 0.6),))])
    soft = softened(rows, teacher, share=0.25)
    assert soft.right[0] == pytest.approx(0.75 * rows.right[0] + 0.15)
    np.testing.assert_array_equal(soft.right[1:], rows.right[1:])
