"""Distillation: what a teacher believes, mixed into what people said (TagLLM)."""

from dataclasses import replace

import numpy as np

from streamproc.training.rows import Rows
from streamproc.training.teacher_labels import TeacherLabels

__all__ = ["softened"]

TEACHER_SHARE = 0.5
"""How much a teacher's belief counts beside the label."""


def softened(rows: Rows, teacher: TeacherLabels, share: float = TEACHER_SHARE) -> Rows:
    """The rows with ``right`` between the label and the teacher's belief, where it has one.

    Binary cross-entropy against the mixture is the mixture of both cross-entropies, and so it is with the ranking
    loss of :func:`~streamproc.training.perceptron.fit_tagger`: the student learns all three.

    Args:
        rows: with labels of 0 and 1.
        teacher: probabilities of candidates, by note.
        share: of the teacher, within [0, 1].
    """
    right = rows.right.copy()
    for row, (note, tag) in enumerate(zip(rows.note, rows.tags, strict=True)):
        belief = teacher.of(rows.note_ids[note]).get(tag.tag_id)
        if belief is not None:
            right[row] = (1 - share) * right[row] + share * belief
    return replace(rows, right=right.astype(np.float32))
