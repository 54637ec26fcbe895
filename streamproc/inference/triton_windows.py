"""Token windows as Triton takes them: of equal length within a request, padded to a bucket.

Triton batches only requests whose other dimensions are equal, and TensorRT is warmed up shape by shape:
a few lengths instead of every length. The CPU profile takes the padding off again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["WindowBatch", "buckets", "pack"]

# Close enough that a window grows by less than a third on average, few enough to warm up each of them.
_LENGTHS = (16, 32, 64, 96, 128, 192, 256, 384, 512)

_PADDING = 0  # any id does: the mask hides it


@dataclass(frozen=True, slots=True)
class WindowBatch:
    """Windows of one request.

    Attributes:
        positions: where its rows stand in the sequence that was packed.
        input_ids: int64[rows, bucket].
        attention_mask: int64[rows, bucket]; 1 for tokens, 0 for padding.
    """

    positions: tuple[int, ...]
    input_ids: npt.NDArray[np.int64]
    attention_mask: npt.NDArray[np.int64]


def buckets(window_tokens: int) -> tuple[int, ...]:
    """Lengths that windows are padded to, ascending; the last is the longest window.

    Args:
        window_tokens: tokens of the longest window.
    """
    return (*(length for length in _LENGTHS if length < window_tokens), window_tokens)


def pack(windows: Sequence[npt.NDArray[np.int64]], *, window_tokens: int, max_rows: int) -> list[WindowBatch]:
    """Gather windows of similar length into requests; every window is in exactly one.

    Args:
        windows: int64[1, tokens] each.
        window_tokens: tokens of the longest window.
        max_rows: windows a request may hold.
    """
    lengths: npt.NDArray[np.int64] = np.array([window.shape[1] for window in windows], dtype=np.int64)
    bucket_of = np.searchsorted(buckets(window_tokens), lengths)
    batches = []
    for number, bucket in enumerate(buckets(window_tokens)):
        members = np.flatnonzero(bucket_of == number)
        for start in range(0, len(members), max_rows):
            chosen = [int(position) for position in members[start : start + max_rows]]
            batches.append(_batch(windows, chosen, bucket))
    return batches


def _batch(windows: Sequence[npt.NDArray[Any]], positions: list[int], bucket: int) -> WindowBatch:
    ids = np.full((len(positions), bucket), _PADDING, dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, position in enumerate(positions):
        tokens = windows[position].shape[1]
        ids[row, :tokens] = windows[position]
        mask[row, :tokens] = 1
    return WindowBatch(tuple(positions), ids, mask)
