"""Distillation: what a teacher believes, mixed into what people said (TagLLM)."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from streamproc.errors import UserError
from streamproc.training.rows import Rows
from streamproc.training.teacher_labels import TeacherLabels

__all__ = ["softened"]

TEACHER_SHARE = 0.5
"""How much a teacher's belief counts beside the label."""


def softened(
    rows: Rows,
    teacher: TeacherLabels,
    share: float = TEACHER_SHARE,
    *,
    say: Callable[[str], None] = lambda _line: None,
) -> Rows:
    """The rows with ``right`` between the label and the teacher's belief, where it has one.

    Binary cross-entropy against the mixture is the mixture of both cross-entropies, and so it is with the ranking
    loss of :func:`~streamproc.training.perceptron.fit_tagger`: the student learns all three.

    Args:
        rows: with labels of 0 and 1.
        teacher: probabilities of candidates, by note.
        share: of the teacher, within [0, 1].
        say: told how many labels of how many notes are learnt from.

    Raises:
        UserError: the teacher has no belief in any of the rows.
    """
    right = rows.right.copy()
    taught: set[tuple[str, str]] = set()
    for row, (note, tag) in enumerate(zip(rows.note, rows.tags, strict=True)):
        note_id = rows.note_ids[note]
        belief = teacher.of(note_id).get(tag.tag_id)
        if belief is not None:
            taught.add((note_id, tag.tag_id))
            right[row] = (1 - share) * right[row] + share * belief
    notes = {note_id for note_id in rows.note_ids if note_id in teacher}
    if not taught:
        missed = f"candidate of its {len(notes):,} notes" if notes else "note"
        raise UserError(
            f"{teacher.source}: no {missed} is among what the tagger learns from: label notes of the same train, with the "
            "same tags (streamproc distill)"
        )
    say(
        f"{teacher.source}: {len(taught):,} labels of {len({note_id for note_id, _ in taught}):,} notes are learnt from, "
        f"of the {len(teacher):,} notes in it"
    )
    return replace(rows, right=right.astype(np.float32))
