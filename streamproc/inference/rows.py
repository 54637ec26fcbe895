"""Requests as rows: the candidates of many notes in one array, and back; a text's windows as one vector.

Tagger and calibrator treat every row on its own, so the candidates of a whole batch go through one run.
"""

from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from streamproc.inference.protocols import Float32, TaggingRequest

__all__ = ["evidence_rows", "judge_rows", "per_request", "pooled"]


def evidence_rows(requests: Sequence[TaggingRequest], features: int) -> Float32:
    """The tagger's input: float32[rows, features], the candidates of all requests in order.

    Args:
        requests: at least one.
        features: how many columns of the evidence the models read: the first ones.
    """
    rows = np.concatenate([request.evidence[:, :features] for request in requests])
    return rows.astype(np.float32, copy=False)


def judge_rows(requests: Sequence[TaggingRequest], logits: Sequence[Float32], features: int) -> Float32:
    """The calibrator's input: float32[rows, features + 1], the evidence followed by the tagger's logit.

    Args:
        requests: at least one.
        logits: float32[candidates] a request, of the same candidates.
        features: as for ``evidence_rows``.
    """
    rows = np.column_stack([evidence_rows(requests, features), np.concatenate(logits)])
    return rows.astype(np.float32, copy=False)


def per_request(rows: Float32, requests: Sequence[TaggingRequest]) -> list[Float32]:
    """Results of rows, float32[rows], as one array float32[candidates] a request."""
    ends = list(accumulate(len(request.candidates) for request in requests))
    return np.split(rows, ends[:-1])


def pooled(windows: Sequence[Float32] | Float32) -> Float32:
    """The vector of a text from those of its windows, float32[dimension], of unit length: their mean.

    Args:
        windows: at least one, each of unit length.
    """
    if len(windows) == 1:
        return windows[0]
    mean: Float32 = np.mean(windows, axis=0)
    return mean / np.float32(np.linalg.norm(mean))
