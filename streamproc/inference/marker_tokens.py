"""A note and its candidate tags as the label-marker models read them.

::

    note       [CLS] title, category, text [SEP]     int64[1, tokens]
    candidate  [MASK] name: definition               int64[1, candidates, tokens], 0 where a text is shorter

Both have a fixed budget: what a note or a definition says beyond it is not read.
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from streamproc.inference.protocols import CandidateTag
from streamproc.inference.tokenization import leading_ids, open_tokenizer, special_id

__all__ = ["PADDING", "Ids", "MarkerTokenizer", "candidate_text"]

Ids = npt.NDArray[np.int64]

PADDING = 0
"""The id that stands for no token; the graphs mask it."""

# Tags recur from note to note; a repository of this size is tokenized once.
_KEPT_CANDIDATES = 65_536


def candidate_text(candidate: CandidateTag) -> str:
    """``name: definition``, or the name alone where nobody wrote a definition."""
    return f"{candidate.name}: {candidate.definition}" if candidate.definition else candidate.name


class MarkerTokenizer:
    """Cuts notes and candidates to the budgets of a model. Safe to use from several threads.

    Args:
        file: the bundle's ``tokenizer.json``.
        note_tokens: most tokens of a note, [CLS] and [SEP] included.
        candidate_tokens: most tokens of a candidate, its marker included.

    Raises:
        BundleError: the file is no tokenizer or lacks one of the special tokens.
    """

    def __init__(self, file: Path, *, note_tokens: int, candidate_tokens: int) -> None:
        self._tokenizer = open_tokenizer(file)
        self._cls = special_id(self._tokenizer, "[CLS]", file)
        self._sep = special_id(self._tokenizer, "[SEP]", file)
        self._marker = special_id(self._tokenizer, "[MASK]", file)
        self._note_content = note_tokens - 2
        self._candidate_content = candidate_tokens - 1
        self._candidate = lru_cache(_KEPT_CANDIDATES)(self._tokenized)

    def note(self, text: str) -> Ids:
        """int64[1, tokens]."""
        ids = leading_ids(self._tokenizer, text, self._note_content)
        return np.array([[self._cls, *ids, self._sep]], dtype=np.int64)

    def candidates(self, candidates: Sequence[CandidateTag]) -> Ids:
        """int64[1, candidates, tokens], as wide as the longest of them.

        Args:
            candidates: at least one.
        """
        rows = [self._candidate(candidate_text(each)) for each in candidates]
        table = np.full((1, len(rows), max(map(len, rows))), PADDING, dtype=np.int64)
        for place, ids in enumerate(rows):
            table[0, place, : len(ids)] = ids
        return table

    def _tokenized(self, text: str) -> tuple[int, ...]:
        return (self._marker, *leading_ids(self._tokenizer, text, self._candidate_content))
