"""What judges are compared on, and that the one that reads the text learns from it."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.text_judge import BEST, best_of, best_rows, brier_of_notes, judge_all, right_first
from streamproc.evaluation.dataset import Split
from streamproc.graph.evidence import FEATURES
from streamproc.inference.bundle import Bundle, default_bundle_path
from streamproc.inference.protocols import CandidateTag
from streamproc.training.rows import Rows
from tests.evaluation.conftest import bag_cache, hobbies  # noqa: F401 - fixtures

BUNDLE = Bundle.load(default_bundle_path())


def rows(notes):
    """Rows of notes with so many candidates each; every third is right."""
    note = np.repeat(np.arange(len(notes)), notes)
    return Rows(
        evidence=np.arange(len(note) * len(FEATURES), dtype=np.float32).reshape(len(note), -1),
        right=(np.arange(len(note)) % 3 == 0).astype(np.float32),
        note=note,
        tags=tuple(CandidateTag(str(row), str(row), "") for row in range(len(note))),
        texts=("text",) * len(notes),
        note_ids=tuple(map(str, range(len(notes)))),
    )


def test_the_best_of_each_note_are_kept_in_their_order_with_the_logit_behind_their_evidence():
    made = rows([12, 3])
    logits = np.array([*np.random.default_rng(0).permutation(12), 7, 9, 8], dtype=np.float32)
    best = best_rows(made, logits)
    expected = [*np.flatnonzero(logits[:12] >= 12 - BEST), 12, 13, 14]
    assert [int(tag.tag_id) for tag in best.tags] == expected
    assert (best.evidence[:, :-1] == made.evidence[expected]).all()
    assert (best.evidence[:, -1] == logits[expected]).all()
    assert best.note.tolist() == [0] * BEST + [1] * 3


def test_scores_are_summed_by_note_and_the_surest_tag_is_the_first():
    best = best_rows(rows([3, 3]), np.zeros(6, dtype=np.float32))
    confidences = np.array([0.5, 0.5, 0.0, 0.0, 1.0, 0.0])
    assert brier_of_notes(best, confidences).tolist() == [0.5, 2.0]
    assert right_first(best, confidences) == 0.5


def test_what_only_the_text_tells_is_learnt_by_the_judge_that_reads_it(hobbies):  # noqa: F811
    pytest.importorskip("torch", reason="the extra 'train' is not installed")
    learnt, judged = best_of(hobbies, BUNDLE, Split.TEST, 200, np.random.default_rng(0))

    def said_by_the_text(best):
        """Right is what the note's text names, and the evidence says nothing."""
        named = [tag.name in best.texts[note] for tag, note in zip(best.tags, best.note, strict=True)]
        return replace(best, evidence=np.zeros_like(best.evidence), right=np.array(named, dtype=np.float32))

    judges = judge_all(
        said_by_the_text(learnt), said_by_the_text(judged), BUNDLE, layers=1, epochs=20, seed=0
    )
    assert [each.name for each in judges] == [
        "the tagger alone",
        "a judge of the evidence",
        "a judge of evidence and text",
    ]
    truth = said_by_the_text(judged)
    _, evidence, text = (brier_of_notes(truth, each.confidences).mean() for each in judges)
    assert text < 0.8 * evidence
