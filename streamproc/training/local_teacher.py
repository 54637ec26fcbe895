"""A teacher that runs here: a bundle that knows more labels candidates for one that knows less.

Its tagger reads the text, or its encoder is a larger one. A model is too sure of the notes it was trained on. So a teacher labels notes that it has never seen: those
that its training held out, or another file's, or another dataset's.
"""

from collections.abc import Callable, Sequence

import numpy as np

from streamproc.errors import UserError
from streamproc.evaluation.dataset import Dataset, Split
from streamproc.evaluation.prepared import Prepared, recall_all
from streamproc.evaluation.scoring import score
from streamproc.evaluation.seen import tagger_learned_from
from streamproc.graph.evidence import check_readable
from streamproc.graph.thresholds import Thresholds
from streamproc.inference.bundle import Bundle, default_bundle_path
from streamproc.inference.manifest import TaggerSpec, Training
from streamproc.inference.protocols import Models
from streamproc.training.distill import TaughtSet
from streamproc.training.teacher_labels import TaughtNote, TeacherLabel

__all__ = ["label_notes", "teaching_tagger", "unseen_places"]


def teaching_tagger(bundle: Bundle) -> TaggerSpec:
    """The tagger of a bundle that may teach.

    Raises:
        UserError: it has none, or one that reads the evidence of the very encoder that ships: it knows no more than who
            learns from it.
        BundleError: it was trained on other evidence than this version gathers.
    """
    tagger = bundle.manifest.tagger
    if tagger is None:
        raise UserError(f"{bundle.path} has no tagger: train one with streamproc train tagger")
    shipped = Bundle.load(default_bundle_path()).manifest.encoder
    if tagger.text is None and bundle.manifest.encoder.float_sha256 == shipped.float_sha256:
        raise UserError(
            f"{bundle.path} reads the evidence of the encoder that ships, so it knows no more than who would learn from it: "
            "train a teacher with streamproc train tagger --read-text, or on a larger encoder (streamproc train encoder --base)"
        )
    check_readable(tagger.features)
    return tagger


def unseen_places(dataset: Dataset, tagger: TaggerSpec, training: Training | None, split: Split) -> list[int]:
    """Places of the labelled notes of a file that a tagger was not trained on, whatever the file is called now.

    Raises:
        UserError: it was trained on all of them.
    """
    notes = dataset.split(split)
    labelled = [place for place, each in enumerate(notes) if each.gold]
    if not tagger_learned_from(dataset, split, tagger, training):
        return labelled
    if tagger.held_out is None:
        raise UserError(
            f"tagger {tagger.version} was trained on all of {dataset.name}'s {split} and is too sure of its notes: train the "
            "teacher with --hold-out 1/2, and it labels the part that it has not seen"
        )
    return [place for place in labelled if tagger.held_out.holds(notes[place].note.note_id)]


def label_notes(
    prepared: Prepared,
    thresholds: Thresholds,
    models: Models,
    split: Split,
    places: Sequence[int],
    *,
    teacher: str,
    most: int | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> TaughtSet:
    """Recall notes as if they were new and label every candidate with the confidence that would be served.

    Args:
        prepared: the dataset; its history is train, and a note recalls neither itself nor what people rejected on it.
        thresholds: of the teacher's recall.
        models: the teacher's.
        split: whose notes.
        places: of the notes in that file.
        teacher: what it is called in the labels.
        most: so many of the notes, drawn at random; None: all.
        seed: of the draw.
        progress: told how many notes are done, and of how many.
    """
    chosen = np.asarray(places, dtype=np.int64)
    if most is not None and most < len(chosen):
        chosen = np.sort(np.random.default_rng(seed).permutation(chosen)[:most])
    notes = prepared.dataset.split(split)
    some = [notes[place] for place in chosen]
    hits = prepared.graph.nearest(
        prepared.vectors[split][chosen], tags=thresholds.nearest_tags, notes=thresholds.nearest_notes
    )
    scored = score(some, recall_all(some, hits, prepared.repository, thresholds), models, progress)
    taught = tuple(
        TaughtNote(
            note_id=each.note.note_id,
            teacher=teacher,
            labels=tuple(
                TeacherLabel(tag.tag_id, round(float(confidence), 6))
                for tag, confidence in zip(found.tags, confidences, strict=True)
            ),
        )
        for each, found, confidences in zip(some, scored.recalled, scored.confidences, strict=True)
        if found.tags
    )
    without = len(some) - len(taught)
    return TaughtSet(taught, {"without candidates": without} if without else {})
