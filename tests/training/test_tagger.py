"""What the models of a bundle are trained on; needs the ``train`` extra."""

import shutil
from dataclasses import replace

import pytest

pytest.importorskip("torch", reason="the extra 'train' is not installed")
pytest.importorskip("onnx", reason="the extra 'train' is not installed")

from tokenizers import Tokenizer

from streamproc.errors import UserError
from streamproc.evaluation.dataset import read_dataset
from streamproc.evaluation.prepared import prepare
from streamproc.evaluation.vectors import VectorCache
from streamproc.graph.thresholds import FITTED
from streamproc.inference.bundle import Bundle, default_bundle_path
from streamproc.inference.manifest import Fold
from streamproc.training import marker_fit, tagger
from streamproc.training.marker_training import MarkerTraining
from streamproc.training.tagger import Plan, train_models
from streamproc.training.teacher_labels import TaughtNote, TeacherLabel, TeacherLabels
from tests.evaluation.worlds import BagEncoder, write_hobbies

HALF = Fold(1, 2)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    directory = tmp_path_factory.mktemp("hobbies")
    dataset = read_dataset(write_hobbies(directory / "hobbies"))
    return prepare(dataset, VectorCache(BagEncoder(), "bag", directory / "vectors"))


@pytest.fixture
def bundle(tmp_path):
    return shutil.copytree(default_bundle_path(), tmp_path / "bundle")


@pytest.fixture
def base(bundle):
    """It is trained in place."""
    return Bundle.load(bundle)


def learnt_from(monkeypatch, name):
    """Ids of the notes whose rows a function of the module is given, which runs all the same."""
    seen, function = set(), getattr(tagger, name)

    def watched(rows, *others, **options):
        seen.update(rows.note_ids[note] for note in rows.note)
        return function(rows, *others, **options)

    monkeypatch.setattr(tagger, name, watched)
    return seen


def test_neither_model_learns_from_notes_that_are_held_out(prepared, base, bundle, monkeypatch):
    of_tagger, of_calibrator = (learnt_from(monkeypatch, name) for name in ("fit_tagger", "fit_calibrator"))
    train_models([prepared], base, bundle, FITTED, Plan("1", held_out=HALF))
    all_ids = {each.note.note_id for each in prepared.dataset.train}
    left = {note_id for note_id in all_ids if not HALF.holds(note_id)}
    assert of_tagger | of_calibrator == left < all_ids
    assert Bundle.load(bundle).manifest.tagger.held_out == HALF


def test_a_bundle_that_learns_from_all_notes_does_not_say_that_it_held_some_out(prepared, base, bundle):
    train_models([prepared], base, bundle, FITTED, Plan("1"))
    assert Bundle.load(bundle).manifest.tagger.held_out is None


def test_the_bundle_says_how_its_models_were_trained(prepared, base, bundle, monkeypatch):
    asked = []
    for name in ("fit_tagger", "fit_calibrator"):
        function = getattr(tagger, name)
        monkeypatch.setattr(
            tagger, name, lambda *rows, f=function, **how: asked.append(how) or f(*rows, **how)
        )
    train_models([prepared], base, bundle, FITTED, Plan("1", networks=2, passes=9, seed=3))
    assert asked == [{"networks": 2, "epochs": 9, "seed": 3}, {"networks": 2, "epochs": 6, "seed": 3}]
    training = Bundle.load(bundle).manifest.training
    assert (training.networks, training.passes, training.seed) == (2, 9, 3)


def test_a_teacher_of_other_notes_is_a_users_mistake_and_one_of_these_is_counted(prepared, base, bundle):
    foreign = TeacherLabels([TaughtNote("nobody", "big", (TeacherLabel("chess", 0.9),))], "foreign.jsonl")
    with pytest.raises(UserError, match=r"foreign\.jsonl: no note is among what the tagger learns from"):
        train_models([prepared], base, bundle, FITTED, Plan("1", teacher=foreign))
    own = TeacherLabels(
        TaughtNote(each.note.note_id, "big", (TeacherLabel("chess", 0.5),)) for each in prepared.dataset.train
    )
    said = []
    train_models([prepared], base, bundle, FITTED, Plan("1", teacher=own, passes=1), said.append)
    assert any("notes are learnt from, of the 48 notes in it" in line for line in said)


def test_holding_out_every_note_is_a_users_mistake(prepared, base, bundle):
    train = prepared.dataset.train
    held_out = [each for each in train if HALF.holds(each.note.note_id)]
    kept = [replace(each, gold=each.gold if each in held_out else frozenset()) for each in train]
    nothing_else = replace(prepared, dataset=replace(prepared.dataset, train=tuple(kept)))
    with pytest.raises(UserError, match="part 1 of 2 leaves no note"):
        train_models([nothing_else], base, bundle, FITTED, Plan("1", held_out=HALF))


def test_words_that_a_reading_tagger_does_not_know_are_a_users_mistake(prepared, base, bundle):
    file = base.file(base.manifest.encoder.tokenizer)
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.add_tokens(["streamproc"])
    tokenizer.save(str(file))
    with pytest.raises(UserError, match=r"other word pieces than all-MiniLM-L6-v2.*without --read-text"):
        train_models([prepared], base, bundle, FITTED, Plan("1", marker=MarkerTraining()))
    train_models([prepared], base, bundle, FITTED, Plan("1"))


def contents(directory):
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


def test_until_training_ends_the_bundle_is_the_one_it_was(prepared, base, bundle, monkeypatch):
    before = contents(bundle.parent)

    def failing(*_rows, **_how):
        assert contents(bundle) == {name.removeprefix("bundle/"): content for name, content in before.items()}
        raise OSError("the disk is full")

    monkeypatch.setattr(tagger, "fit_map", failing)
    with pytest.raises(OSError, match="the disk is full"):
        train_models([prepared], base, bundle, FITTED, Plan("1"))
    assert contents(bundle.parent) == before


def test_training_in_place_takes_the_card_away_and_leaves_what_a_person_keeps_there(prepared, base, bundle):
    assert (bundle / "MODEL_CARD.md").is_file()
    (bundle / "NOTES.md").write_text("mine")
    train_models([prepared], base, bundle, FITTED, Plan("2"))
    assert Bundle.load(bundle).manifest.tagger.version == "2"
    assert set(contents(bundle)) == {"manifest.json", "NOTES.md", *base.manifest.files}
    assert [each.name for each in bundle.parent.iterdir()] == ["bundle"]


def test_a_base_is_left_as_it_is_where_the_bundle_is_another(prepared, base, bundle, tmp_path):
    before = contents(bundle)
    train_models([prepared], base, tmp_path / "new" / "bundle", FITTED, Plan("2"))
    assert Bundle.load(tmp_path / "new" / "bundle").manifest.calibrator.version == "2"
    assert contents(bundle) == before


def test_no_note_with_candidates_is_one_sentence_before_anything_is_written(prepared, base, tmp_path):
    with pytest.raises(UserError, match="candidates for too few labelled notes of hobbies"):
        train_models([prepared], base, tmp_path / "new", replace(FITTED, candidates=0), Plan("1"))
    without = replace(prepared, dataset=replace(prepared.dataset, valid=()))
    with pytest.raises(UserError, match=r"valid\.jsonl of hobbies"):
        train_models([without], base, tmp_path / "new", FITTED, Plan("1"))
    assert [each.name for each in tmp_path.iterdir()] == ["bundle"]


def test_the_state_of_a_tagger_that_reads_outlives_an_interrupted_run(prepared, base, tmp_path, monkeypatch):
    def interrupted(*_given, state_file, **_how):
        state_file.write_bytes(b"state")
        raise KeyboardInterrupt

    monkeypatch.setattr(marker_fit, "fit_marker", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_models([prepared], base, tmp_path / "new", FITTED, Plan("1", marker=MarkerTraining()))
    assert {each.name for each in tmp_path.iterdir()} == {"bundle", "new.training.pt"}
