import shutil
from dataclasses import replace

import msgspec
import pytest

from streamproc.errors import BundleError, UserError
from streamproc.evaluation.dataset import Split, read_dataset
from streamproc.evaluation.prepared import prepare, with_history
from streamproc.evaluation.vectors import VectorCache
from streamproc.graph.thresholds import FITTED
from streamproc.inference.bundle import Bundle, default_bundle_path
from streamproc.inference.manifest import Fold, ReadText, TaggerSpec, Training, TrainingSet
from streamproc.training.local_teacher import label_notes, teaching_tagger, unseen_places
from tests.evaluation.worlds import MODELS, BagEncoder, write_hobbies
from tests.inference.marker_model import with_marker_tagger

HALF = Fold(2, 2)
READER = TaggerSpec("tagger.onnx", "7", ("cosine",), ("hobbies",), text=ReadText(64, 16), held_out=HALF)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    directory = tmp_path_factory.mktemp("hobbies")
    dataset = read_dataset(write_hobbies(directory / "hobbies"))
    return prepare(dataset, VectorCache(BagEncoder(), "bag", directory / "vectors"))


def labelled(prepared, split=Split.TRAIN, places=range(10), **options):
    return label_notes(prepared, FITTED, MODELS, split, places, teacher="reader", **options)


def test_a_tagger_that_reads_the_text_may_teach(tmp_path):
    bundle = with_marker_tagger(shutil.copytree(default_bundle_path(), tmp_path / "bundle"))
    assert teaching_tagger(bundle) == bundle.manifest.tagger


def test_a_tagger_that_reads_what_every_student_reads_has_nothing_to_teach():
    with pytest.raises(UserError, match=r"no more than who would learn from it.*--read-text.*--base"):
        teaching_tagger(Bundle.load(default_bundle_path()))


def test_a_tagger_on_another_encoder_may_teach():
    shipped = Bundle.load(default_bundle_path())
    encoder = msgspec.structs.replace(shipped.manifest.encoder, float_sha256="0" * 64)
    larger = Bundle(shipped.path, msgspec.structs.replace(shipped.manifest, encoder=encoder))
    assert teaching_tagger(larger) == shipped.manifest.tagger


def test_a_bundle_without_a_tagger_cannot_teach():
    shipped = Bundle.load(default_bundle_path())
    with pytest.raises(UserError, match="has no tagger: train one"):
        teaching_tagger(Bundle(shipped.path, msgspec.structs.replace(shipped.manifest, tagger=None)))


def test_a_teacher_that_was_trained_on_other_evidence_is_refused(tmp_path):
    bundle = with_marker_tagger(shutil.copytree(default_bundle_path(), tmp_path / "bundle"))
    tagger = msgspec.structs.replace(bundle.manifest.tagger, features=("tea leaves",))
    foreign = Bundle(bundle.path, msgspec.structs.replace(bundle.manifest, tagger=tagger))
    with pytest.raises(BundleError, match="trained on other evidence"):
        teaching_tagger(foreign)


def test_of_its_own_training_data_a_teacher_labels_what_was_held_out(prepared):
    train = prepared.dataset.train
    places = unseen_places(prepared.dataset, READER, None, Split.TRAIN)
    assert places == [place for place, each in enumerate(train) if HALF.holds(each.note.note_id)]
    assert 0 < len(places) < len(train)


def test_a_teacher_that_has_seen_all_notes_labels_none_of_them(prepared):
    reader = msgspec.structs.replace(READER, held_out=None)
    with pytest.raises(UserError, match=r"7 was trained on all of hobbies's train.*--hold-out 1/2"):
        unseen_places(prepared.dataset, reader, None, Split.TRAIN)


@pytest.mark.parametrize(
    ("data", "split"), [(("recipes",), Split.TRAIN), (("hobbies",), Split.VALID), (("hobbies",), Split.TEST)]
)
def test_what_it_was_never_trained_on_is_labelled_as_a_whole(prepared, data, split):
    reader = msgspec.structs.replace(READER, training_data=data, held_out=None)
    places = unseen_places(prepared.dataset, reader, None, split)
    assert places == list(range(len(prepared.dataset.split(split))))


@pytest.mark.parametrize("split", [Split.TRAIN, Split.VALID])
def test_what_it_was_trained_on_is_known_by_its_bytes_whatever_it_is_called_now(prepared, split):
    reader = msgspec.structs.replace(READER, training_data=("recipes",))
    learnt = TrainingSet("recipes", "", "", {"train.jsonl": prepared.dataset.digests[split]})
    places = unseen_places(prepared.dataset, reader, Training((learnt,), 10, 0), split)
    notes = prepared.dataset.split(split)
    assert places == [place for place, each in enumerate(notes) if HALF.holds(each.note.note_id)]


def test_notes_without_labels_teach_nobody(prepared):
    train = [
        replace(each, gold=each.gold if place % 3 else frozenset())
        for place, each in enumerate(prepared.dataset.train)
    ]
    dataset = replace(prepared.dataset, train=tuple(train))
    reader = msgspec.structs.replace(READER, training_data=())
    assert {place % 3 for place in unseen_places(dataset, reader, None, Split.TRAIN)} == {1, 2}


def test_every_candidate_gets_the_confidence_that_would_be_served(prepared):
    taught = labelled(prepared, Split.VALID, [3])
    (note,) = taught.notes
    assert (note.note_id, note.teacher) == (prepared.dataset.valid[3].note.note_id, "reader")
    assert (note.prompt, note.reasoning, note.missing) == ("", "", ())
    beliefs = {label.tag_id: label.probability for label in note.labels}
    (right,) = prepared.dataset.valid[3].gold
    assert max(beliefs, key=beliefs.get) == right
    assert beliefs[right] > 0.9
    assert all(0 <= belief < 0.5 for tag_id, belief in beliefs.items() if tag_id != right)
    assert taught.skipped == {}


def test_a_note_is_labelled_as_if_it_were_new(prepared):
    """What a note's own labels say changes nothing: it is not its own neighbour."""
    before = labelled(prepared, places=[5]).notes
    train = list(prepared.dataset.train)
    train[5] = replace(train[5], gold=frozenset({"sailing"}))
    after = labelled(with_history(prepared, train), places=[5]).notes
    assert before == after


def test_at_most_so_many_candidates_are_labelled(prepared):
    few = replace(FITTED, candidates=2)
    taught = label_notes(prepared, few, MODELS, Split.TRAIN, range(10), teacher="reader")
    assert {len(note.labels) for note in taught.notes} == {2}


def test_the_same_seed_draws_the_same_notes_in_the_order_of_the_file(prepared):
    first, second = (labelled(prepared, most=4, seed=3).notes for _ in range(2))
    other = labelled(prepared, most=4, seed=4).notes
    assert first == second
    ids = [each.note.note_id for each in prepared.dataset.train]
    places = [ids.index(note.note_id) for note in first]
    assert len(places) == 4
    assert places == sorted(places)
    assert places != [ids.index(note.note_id) for note in other]


def test_notes_for_which_recall_finds_nothing_are_counted(prepared):
    nothing = replace(FITTED, candidates=0)
    taught = label_notes(prepared, nothing, MODELS, Split.TEST, [0, 1], teacher="reader")
    assert taught.notes == ()
    assert taught.skipped == {"without candidates": 2}


def test_it_tells_how_far_it_has_come(prepared):
    told = []
    labelled(prepared, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (10, 10)
