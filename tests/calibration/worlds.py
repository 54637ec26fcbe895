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
