"""What the exported tagger of a bundle makes of rows: calibrators learn from the file that is served."""

import asyncio

import numpy as np

from streamproc.inference.bundle import Bundle
from streamproc.inference.onnx import load_tagger
from streamproc.inference.protocols import Float32, TaggingRequest
from streamproc.training.rows import Rows

__all__ = ["served_logits"]


def served_logits(bundle: Bundle, rows: Rows) -> Float32:
    """The tagger's logit of each row, float32[rows].

    Args:
        bundle: with an encoder and a tagger.
        rows: a note's stand together, as in service.

    Raises:
        BundleError: the bundle has no tagger, or its file is not what the manifest says.
    """
    places = np.split(np.arange(len(rows.note)), np.flatnonzero(np.diff(rows.note)) + 1)
    requests = [
        TaggingRequest(
            rows.texts[rows.note[some[0]]], tuple(rows.tags[row] for row in some), rows.evidence[some]
        )
        for some in places
        if len(some)
    ]
    tagger, pool = load_tagger(bundle)
    try:
        logits = asyncio.run(tagger.score(requests))
    finally:
        pool.close()
    return np.concatenate([np.empty(0, dtype=np.float32), *logits])
