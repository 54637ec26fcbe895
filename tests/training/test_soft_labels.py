"""What a student learns from a teacher; the parts that train need the ``train`` extra."""

import numpy as np
import pytest

from streamproc.errors import UserError
from streamproc.inference.protocols import CandidateTag
from streamproc.training.rows import Rows
from streamproc.training.soft_labels import TEACHER_SHARE, softened
from streamproc.training.teacher_labels import TaughtNote, TeacherLabel, TeacherLabels, write_taught_notes

NOTES, CANDIDATES = 200, 10
TAGS = tuple(CandidateTag(f"t{number}", f"tag {number}", "") for number in range(CANDIDATES))


@pytest.fixture(scope="module")
def rows():
    """The first candidate of each note is right, whatever its evidence."""
    random = np.random.default_rng(0)
    return Rows(
        evidence=random.normal(size=(NOTES * CANDIDATES, 3)).astype(np.float32),
        right=np.tile(np.eye(CANDIDATES, dtype=np.float32)[0], NOTES),
        note=np.repeat(np.arange(NOTES), CANDIDATES),
        tags=TAGS * NOTES,
        texts=tuple(f"note {number}" for number in range(NOTES)),
        note_ids=tuple(f"n{number}" for number in range(NOTES)),
    )


def taught(beliefs):
    """Labels of a teacher; note → tag → probability."""
    return TeacherLabels(
        TaughtNote(note_id, "big", tuple(TeacherLabel(*each) for each in of_note.items()))
        for note_id, of_note in beliefs.items()
    )


def believes_in_the_evidence(rows):
    """A teacher that holds a tag the likelier, the higher the second column of its evidence."""
    probability = 1 / (1 + np.exp(-4 * rows.evidence[:, 1].astype(np.float64)))
    beliefs = {note_id: {} for note_id in rows.note_ids}
    for note, tag, belief in zip(rows.note, rows.tags, probability, strict=True):
        beliefs[rows.note_ids[note]][tag.tag_id] = float(belief)
    return taught(beliefs)


def cross_entropy(logits, right):
    return float(np.mean(np.logaddexp(0, logits) - right * logits))


def test_label_and_belief_are_mixed_where_the_teacher_has_one(rows):
    mixed = softened(rows, taught({"n1": {"t0": 0.6, "t3": 0.8}, "elsewhere": {"t0": 1.0}}), share=0.25)
    changed = np.flatnonzero(mixed.right != rows.right)
    assert changed.tolist() == [10, 13]
    assert mixed.right[changed] == pytest.approx([0.75 + 0.25 * 0.6, 0.25 * 0.8])


def test_it_is_said_how_many_labels_of_how_many_notes_are_learnt_from(rows):
    said = []
    beliefs = {
        "n1": {"t0": 0.6, "t3": 0.8},
        "n2": {"t9": 0.1},
        "n3": {"other": 0.2},
        "elsewhere": {"t0": 1.0},
    }
    softened(rows, taught(beliefs), say=said.append)
    assert said == ["the teacher's labels: 3 labels of 2 notes are learnt from, of the 4 notes in it"]


@pytest.mark.parametrize(
    ("beliefs", "missed"),
    [
        ({}, "no note is among"),
        ({"elsewhere": {"t0": 1.0}}, "no note is among"),
        ({"n1": {"other": 1.0}, "elsewhere": {"t0": 1.0}}, "no candidate of its 1 notes is among"),
    ],
)
def test_a_teacher_that_knows_nothing_of_what_is_learnt_is_a_users_mistake(rows, tmp_path, beliefs, missed):
    file = tmp_path / "labels.jsonl"
    write_taught_notes(
        file,
        [
            TaughtNote(note_id, "big", tuple(TeacherLabel(*each) for each in of_note.items()))
            for note_id, of_note in beliefs.items()
        ],
    )
    with pytest.raises(UserError, match=rf"labels\.jsonl: {missed} .*streamproc distill"):
        softened(rows, TeacherLabels.read(file))


def test_cross_entropy_is_mixed_from_the_labels_and_the_teachers(rows):
    logits = np.random.default_rng(1).normal(size=len(rows.right))
    teacher = believes_in_the_evidence(rows)
    belief = softened(rows, teacher, share=1.0).right
    assert cross_entropy(logits, softened(rows, teacher).right) == pytest.approx(
        (1 - TEACHER_SHARE) * cross_entropy(logits, rows.right)
        + TEACHER_SHARE * cross_entropy(logits, belief),
        rel=1e-5,
    )


def test_the_ranking_loss_is_mixed_likewise(rows):
    perceptron = trainable()
    torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")
    logits = torch.from_numpy(np.random.default_rng(1).normal(size=len(rows.right)).astype(np.float32))
    note = torch.from_numpy(rows.note)
    teacher = believes_in_the_evidence(rows)
    by_label, by_teacher, by_both = (
        float(
            perceptron.listwise_loss(
                logits, torch.from_numpy(softened(rows, teacher, share).right), note, NOTES
            )
        )
        for share in (0.0, 1.0, TEACHER_SHARE)
    )
    assert by_both == pytest.approx((1 - TEACHER_SHARE) * by_label + TEACHER_SHARE * by_teacher, rel=1e-4)


def test_the_ranking_loss_is_lowest_in_the_teachers_order_and_hears_only_the_order_within_a_note():
    perceptron = trainable()
    torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")
    belief = torch.tensor([0.6, 0.3, 0.1, 0.2, 0.8])
    note = torch.tensor([0, 0, 0, 1, 1])

    def loss(*logits):
        return float(perceptron.listwise_loss(torch.tensor(logits), belief, note, 2))

    in_order = loss(2.0, 1.0, 0.0, 0.0, 2.0)
    assert in_order < loss(1.0, 2.0, 0.0, 0.0, 2.0) < loss(0.0, 2.0, 1.0, 0.0, 2.0)
    assert in_order == pytest.approx(loss(7.0, 6.0, 5.0, -3.0, -1.0), rel=1e-5)


def test_a_student_ranks_as_its_teacher_does_where_labels_say_nothing(rows):
    perceptron = trainable()
    teacher = believes_in_the_evidence(rows)
    unlabelled = np.flatnonzero(rows.right == 0)
    agreement = {}
    for name, learnt in {"alone": rows, "taught": softened(rows, teacher)}.items():
        logits = perceptron.logits(perceptron.fit_tagger(learnt, epochs=15), rows.evidence)[:, 0]
        agreement[name] = np.corrcoef(logits[unlabelled], rows.evidence[unlabelled, 1])[0, 1]
    assert agreement["taught"] > 0.8
    assert abs(agreement["alone"]) < 0.5


def test_a_teacher_whose_word_counts_for_nothing_teaches_nothing(rows):
    deaf = softened(rows, believes_in_the_evidence(rows), share=0.0)
    np.testing.assert_array_equal(deaf.right, rows.right)


def trainable():
    """The module that trains, or a reason to skip."""
    return pytest.importorskip("streamproc.training.perceptron", reason="the extra 'train' is not installed")
