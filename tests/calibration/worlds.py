"""Samples whose truth is known."""

import numpy as np

from streamproc.calibration.sample import Sample
from streamproc.graph.evidence import COLUMN, FEATURES
from streamproc.inference.calibration import Evidence, apply_map

ROWS_A_NOTE = 20


def sample_of(truth, notes, seed=0, kinds=("topic",)):
    """Candidates whose labels are drawn so that the map ``truth`` is right."""
    random = np.random.default_rng(seed)
    rows = notes * ROWS_A_NOTE
    evidence = np.zeros((rows, len(FEATURES)), dtype=np.float32)
    evidence[:, COLUMN["cosine"]] = random.random(rows)
    evidence[:, COLUMN["vote_10"]] = np.maximum(random.normal(0, 0.3, rows), 0)
    probability = random.beta(0.4, 1.6, rows).astype(np.float32)
    right = random.random(rows) < apply_map(truth, probability, Evidence(FEATURES, evidence))
    return Sample(
        evidence,
        probability,
        right,
        np.repeat(np.arange(notes), ROWS_A_NOTE),
        np.full(rows, "tag"),
        random.choice(np.array(kinds), rows),
        [frozenset({"tag"})] * notes,
    )


TIGHT, WIDE = "tight", "wide"
NEAR = {TIGHT: 0.9, WIDE: 0.5}
"""How near to each other the notes of two tags are."""


def twins_of(notes, *, apart, seed=0):
    """Notes of one tag, as likely as their probability says, and the same as if it had never been: each brings the other.

    Args:
        notes: how many.
        apart: by how much nearer a note is to those of its own tag than notes of no tag are to them.
        seed: of the draws.
    """
    random = np.random.default_rng(seed)
    own = random.choice(np.array([TIGHT, WIDE]), notes)
    other = np.where(own == TIGHT, WIDE, TIGHT)

    def sample(tags, lower, *, right):
        evidence = np.zeros((notes, len(FEATURES)), dtype=np.float32)
        nearest = np.array([NEAR[tag] for tag in tags]) - lower + random.normal(0, 0.04, notes)
        for column in ("cosine", "best_neighbour", "mean_neighbour", "nearest_note"):
            evidence[:, COLUMN[column]] = nearest
        probability = random.uniform(0.6, 0.95, notes).astype(np.float32)
        return Sample(
            evidence,
            probability,
            (random.random(notes) < probability) & right,
            np.arange(notes),
            tags,
            np.full(notes, "topic"),
            [frozenset({tag}) for tag in own.tolist()],
        )

    return sample(own, 0.0, right=True), sample(other, apart, right=False)
