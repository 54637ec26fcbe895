"""The label-marker tagger in process: one note and its candidates a run, on the CPU."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from streamproc.inference.marker_tokens import MarkerTokenizer
from streamproc.inference.pool import WorkPool
from streamproc.inference.protocols import Float32, TaggingRequest

__all__ = ["OnnxMarkerTagger"]


class OnnxMarkerTagger:
    """Logits from the text of note and tags and from the evidence of each candidate.

    A run sees one note, so that dynamic int8, which scales over the whole input, cannot carry anything from one note
    to another.

    Args:
        session: ``note_ids, candidate_ids, evidence -> logit``, as :class:`~streamproc.inference.manifest.TaggerSpec`
            describes them.
        version: of the model.
        features: how many columns of the evidence it reads: the first ones.
        tokenizer: with the budgets of the model.
        pool: runs the notes.
    """

    def __init__(
        self, session: Any, version: str, features: int, tokenizer: MarkerTokenizer, pool: WorkPool
    ) -> None:
        self._session = session
        self._features = features
        self._tokenizer = tokenizer
        self._pool = pool
        self.version = version

    async def score(self, requests: Sequence[TaggingRequest]) -> list[Float32]:
        """One array a request: logit float32[candidates]."""
        logits = [np.empty(0, dtype=np.float32) for _ in requests]

        def work(position: int) -> None:
            request = requests[position]
            if not request.candidates:
                return
            inputs = {
                "note_ids": self._tokenizer.note(request.note_text),
                "candidate_ids": self._tokenizer.candidates(request.candidates),
                "evidence": request.evidence[None, :, : self._features].astype(np.float32, copy=False),
            }
            logits[position] = self._session.run(["logit"], inputs)[0][0]

        await self._pool.run(
            work, costs=[len(each.note_text) + 60 * len(each.candidates) for each in requests]
        )
        return logits
