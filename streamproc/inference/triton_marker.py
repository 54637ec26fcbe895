"""The label-marker tagger behind Triton: notes of similar length in one request, padded to fixed shapes.

TensorRT is warmed up shape by shape, so a request has a length of the buckets, the candidates of a note and their
tokens fill fixed places, and id 0 stands for what is missing. The CPU profile takes the padding off again.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from streamproc.inference.marker_tokens import PADDING, Ids, MarkerTokenizer
from streamproc.inference.model_repository import MAX_NOTE_CANDIDATES, MAX_NOTES, TAGGER
from streamproc.inference.pool import WorkPool
from streamproc.inference.protocols import Float32, TaggingRequest
from streamproc.inference.triton_connection import TritonConnection
from streamproc.inference.triton_together import together
from streamproc.inference.triton_windows import buckets

__all__ = ["TritonMarkerTagger"]


@dataclass(frozen=True, slots=True)
class _Piece:
    """Some candidates of one note as they travel.

    Attributes:
        request: which note.
        first: place of its first candidate.
        note_ids: int64[tokens].
        candidate_ids: int64[candidates, tokens].
        evidence: float32[candidates, features].
    """

    request: int
    first: int
    note_ids: Ids
    candidate_ids: Ids
    evidence: Float32


class TritonMarkerTagger:
    """Logits from the text of note and tags and from the evidence of each candidate.

    Args:
        connection: to the server.
        version: of the model, as the bundle names it.
        features: how many columns of the evidence it reads: the first ones.
        tokenizer: with the budgets of the model.
        note_tokens: most tokens of a note.
        candidate_tokens: most tokens of a candidate.
        pool: runs the tokenizer off the event loop.
    """

    def __init__(
        self,
        connection: TritonConnection,
        version: str,
        features: int,
        tokenizer: MarkerTokenizer,
        *,
        note_tokens: int,
        candidate_tokens: int,
        pool: WorkPool,
    ) -> None:
        self._connection = connection
        self._features = features
        self._tokenizer = tokenizer
        self._buckets = np.array(buckets(note_tokens))
        self._candidate_tokens = candidate_tokens
        self._pool = pool
        self.version = version

    async def score(self, requests: Sequence[TaggingRequest]) -> list[Float32]:
        """One array a request: logit float32[candidates]."""
        logits = [np.empty(len(each.candidates), dtype=np.float32) for each in requests]
        pieces = await self._pieces(requests)

        async def fill(some: Sequence[_Piece], bucket: int) -> None:
            answer = await self._connection.infer(TAGGER, self._inputs(some, bucket))
            for piece, row in zip(some, answer, strict=True):
                count = len(piece.evidence)
                logits[piece.request][piece.first : piece.first + count] = row[:count]

        bucket_of = np.searchsorted(self._buckets, [len(piece.note_ids) for piece in pieces])
        work = []
        for number, bucket in enumerate(self._buckets.tolist()):
            members = [pieces[place] for place in np.flatnonzero(bucket_of == number)]
            work += [
                fill(members[start : start + MAX_NOTES], bucket)
                for start in range(0, len(members), MAX_NOTES)
            ]
        await together(work)
        return logits

    async def _pieces(self, requests: Sequence[TaggingRequest]) -> list[_Piece]:
        found: dict[int, list[_Piece]] = {}

        def work(position: int) -> None:
            request = requests[position]
            note_ids = self._tokenizer.note(request.note_text)[0]
            found[position] = [
                _Piece(
                    position,
                    first,
                    note_ids,
                    self._tokenizer.candidates(request.candidates[first : first + MAX_NOTE_CANDIDATES])[0],
                    request.evidence[first : first + MAX_NOTE_CANDIDATES, : self._features],
                )
                for first in range(0, len(request.candidates), MAX_NOTE_CANDIDATES)
            ]

        await self._pool.run(work, costs=[len(each.note_text) for each in requests])
        return [piece for position in range(len(requests)) for piece in found[position]]

    def _inputs(self, pieces: Sequence[_Piece], bucket: int) -> dict[str, np.ndarray]:
        rows = len(pieces)
        features = pieces[0].evidence.shape[1]
        note_ids = np.full((rows, bucket), PADDING, dtype=np.int64)
        shape = (rows, MAX_NOTE_CANDIDATES, self._candidate_tokens)
        candidate_ids = np.full(shape, PADDING, dtype=np.int64)
        evidence = np.zeros((rows, MAX_NOTE_CANDIDATES, features), dtype=np.float32)
        for row, piece in enumerate(pieces):
            count, tokens = piece.candidate_ids.shape
            note_ids[row, : len(piece.note_ids)] = piece.note_ids
            candidate_ids[row, :count, :tokens] = piece.candidate_ids
            evidence[row, :count] = piece.evidence
        return {"note_ids": note_ids, "candidate_ids": candidate_ids, "evidence": evidence}
