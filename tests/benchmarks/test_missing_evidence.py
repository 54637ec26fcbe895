"""Columns that are added to evidence: what they know of a note of the history, and what they must not."""

import json
from copy import copy
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("scipy", reason="the extra 'baselines' is not installed")
pytest.importorskip("sklearn", reason="the extra 'baselines' is not installed")
pytest.importorskip("omikuji", reason="the extra 'baselines' is not installed")

from benchmarks import missing_evidence
from benchmarks.missing_evidence import COLUMNS, Study, heads, main, priors, sparse_votes, trees
from streamproc.evaluation.dataset import Split, read_dataset
from streamproc.evaluation.prepared import prepare, with_history
from streamproc.evaluation.vectors import VectorCache
from streamproc.graph.thresholds import FITTED
from streamproc.inference.bundle import Bundle, default_bundle_path
from tests.evaluation.worlds import HOBBIES, BagEncoder, write_hobbies

OF_TRAIN = {
    "votes by words": sparse_votes,
    "heads over the vector": lambda study: heads(study, with_words=False),
    "heads over vector and words": lambda study: heads(study, with_words=True),
    "tag and category": priors,
}


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """Hobbies, each with a category that it shares with one other."""
    made = write_hobbies(tmp_path_factory.mktemp("data") / "hobbies")
    (made / "rules.json").write_text('{"category": true}')
    categories = {tag: f"part {number // 2}" for number, tag in enumerate(HOBBIES)}
    for split in Split:
        file = made / f"{split}.jsonl"
        notes = [json.loads(line) for line in file.read_text().splitlines()]
        file.write_text(
            "".join(json.dumps({**note, "category": categories[note["tags"][0]]}) + "\n" for note in notes)
        )
    return made


@pytest.fixture(scope="module")
def prepared(directory, tmp_path_factory):
    return prepare(read_dataset(directory), VectorCache(BagEncoder(), "bag", tmp_path_factory.mktemp("bag")))


@pytest.fixture(scope="module")
def study(prepared):
    return Study(prepared, FITTED)


def relabelled(prepared, place, tag):
    """The same study, but for the label of one note of the history."""
    train = list(prepared.dataset.train)
    train[place] = replace(train[place], gold=frozenset({tag}))
    return Study(with_history(prepared, train), FITTED)


def with_parts(study, parts):
    """The same study of other candidates."""
    changed = copy(study)
    changed.parts = parts
    return changed


def cells(study, columns, split, note_id):
    """Tag → what the columns say of it for a note."""
    part, found = study.parts[split], columns[split]
    (note,) = (place for place, each in enumerate(part.notes) if each.note.note_id == note_id)
    return {
        study.prepared.dataset.tags[part.tags[row]].tag_id: found[row]
        for row in np.flatnonzero(part.rows.note == note)
    }


@pytest.mark.parametrize("name", OF_TRAIN)
def test_what_is_said_of_a_note_of_the_history_does_not_depend_on_its_own_label(study, prepared, name):
    place = 3
    note_id = prepared.dataset.train[place].note.note_id
    other = relabelled(prepared, place, "chess")
    assert study.train[place].gold == {"baking"}
    before = cells(study, OF_TRAIN[name](study), Split.TRAIN, note_id)
    after = cells(other, OF_TRAIN[name](other), Split.TRAIN, note_id)
    common = before.keys() & after.keys()
    assert {"baking"} <= common
    for tag in common:
        assert after[tag] == pytest.approx(before[tag], abs=1e-8), tag


@pytest.mark.parametrize("name", OF_TRAIN)
def test_a_label_of_the_history_changes_what_is_said_of_notes_of_valid(study, prepared, name):
    other = relabelled(prepared, 3, "chess")
    before = cells(study, OF_TRAIN[name](study), Split.VALID, "baking-8")["baking"]
    after = cells(other, OF_TRAIN[name](other), Split.VALID, "baking-8")["baking"]
    assert np.abs(after - before).max() > 1e-4


@pytest.mark.parametrize("name", OF_TRAIN)
def test_columns_have_a_row_a_candidate_and_are_finite(study, name):
    columns = OF_TRAIN[name](study)
    for split, part in study.parts.items():
        assert len(columns[split]) == len(part.rows.right) == len(part.tags)
        assert np.isfinite(columns[split]).all()


@pytest.mark.parametrize("name", ["votes by words", "heads over the vector", "heads over vector and words"])
def test_the_right_tag_of_a_note_of_valid_is_told_from_the_others(study, name):
    columns = OF_TRAIN[name](study)
    for each in study.parts[Split.VALID].notes:
        said = {tag: row[-1] for tag, row in cells(study, columns, Split.VALID, each.note.note_id).items()}
        assert {max(said, key=said.__getitem__)} == each.gold


def test_a_head_without_a_note_is_the_head_that_is_fitted_to_the_others(study, prepared):
    """The closed form is what leaving the note out and asking anew gives."""
    place = 3
    note = prepared.dataset.train[place]
    train = [replace(each, gold=frozenset()) if at == place else each for at, each in enumerate(study.train)]
    without = with_history(prepared, train)
    valid = (note, *without.dataset.valid)
    vectors = np.concatenate([prepared.vectors[Split.TRAIN][[place]], without.vectors[Split.VALID]])
    asked = Study(
        replace(
            without,
            dataset=replace(without.dataset, valid=valid),
            vectors={**without.vectors, Split.VALID: vectors},
        ),
        FITTED,
    )
    in_closed_form = cells(study, heads(study, with_words=False), Split.TRAIN, note.note.note_id)
    left_out = cells(asked, heads(asked, with_words=False), Split.VALID, note.note.note_id)
    assert in_closed_form.keys() == left_out.keys()
    for tag, value in left_out.items():
        assert in_closed_form[tag] == pytest.approx(value, abs=1e-8), tag


def test_a_category_that_nobody_has_seen_says_what_the_tag_alone_says(study):
    valid = study.parts[Split.VALID]
    strange = tuple(
        replace(each, note=type(each.note)(note_id=each.note.note_id, text=each.note.text, category="else"))
        for each in valid.notes
    )
    elsewhere = with_parts(study, {**study.parts, Split.VALID: replace(valid, notes=strange)})
    said = priors(elsewhere)[Split.VALID]
    assert said[:, 1] == pytest.approx(said[:, 2])


def test_trees_are_never_asked_about_a_note_that_they_were_trained_on(study, monkeypatch):
    asked = []

    def told(dataset, notes, kind):
        known = {each.note.note_id for each in dataset.train}
        asked.extend((each.note.note_id, each.note.note_id in known) for each in notes)
        return real(dataset, notes, kind)

    real = missing_evidence.omikuji
    monkeypatch.setattr(missing_evidence, "omikuji", told)
    columns = trees(study)
    assert sorted(asked) == sorted(
        (each.note.note_id, False) for part in study.parts.values() for each in part.notes
    )
    for split, part in study.parts.items():
        assert columns[split].shape == (len(part.tags), 1)
        assert 0 <= columns[split].min() <= columns[split].max() == 1


def test_a_column_that_tells_the_truth_is_used(study, monkeypatch):
    pytest.importorskip("torch", reason="the extra 'train' is not installed")
    monkeypatch.setattr(missing_evidence, "EPOCHS", 100)
    blind = with_parts(
        study,
        {
            split: replace(part, rows=replace(part.rows, evidence=np.zeros_like(part.rows.evidence)))
            for split, part in study.parts.items()
        },
    )
    truth = {split: part.rows.right[:, None].astype(np.float64) for split, part in blind.parts.items()}
    random = np.random.default_rng(0)
    chance = {split: random.random(column.shape) for split, column in truth.items()}
    assert np.mean(missing_evidence._trained(blind, [truth])) == pytest.approx(1)
    assert np.mean(missing_evidence._trained(blind, [chance])) < 0.9


def test_the_command_prints_a_line_for_every_set_of_columns(directory, tmp_path, monkeypatch, capsys):
    pytest.importorskip("torch", reason="the extra 'train' is not installed")
    monkeypatch.setenv("HOME", str(tmp_path))  # vectors are kept below it
    main(directory, Bundle.load(default_bundle_path()))
    lines = capsys.readouterr().out.splitlines()
    figures = {line[:28].strip(): [float(word) for word in line[28:].split()[1::2]] for line in lines}
    assert list(figures) == ["oracle among the candidates", "nothing", *COLUMNS, "all of them"]
    best = figures["oracle among the candidates"]
    assert all(0 <= each <= most for row in figures.values() for each, most in zip(row, best, strict=True))
