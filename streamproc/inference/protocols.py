"""What the rest of the program knows of the models: three Protocols and the values they exchange.

The first tagger and calibrator read the evidence only; the requests already carry the texts that
models which read them need.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

__all__ = [
    "Calibrator",
    "CandidateTag",
    "Encoded",
    "Encoder",
    "Float32",
    "Models",
    "Tagger",
    "TaggingRequest",
]

Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Encoded:
    """Vectors of some texts, in their order.

    Attributes:
        vectors: float32[texts, dimension], each of length 1.
        truncated: bool[texts]; whether the end of a text was left unread.
    """

    vectors: Float32
    truncated: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class CandidateTag:
    """A tag that may apply to a note.

    Attributes:
        tag_id: its identity.
        name: how people call it.
        definition: what it means; empty where nobody wrote it down.
    """

    tag_id: str
    name: str
    definition: str


@dataclass(frozen=True, slots=True)
class TaggingRequest:
    """One note and the tags that were recalled for it.

    Attributes:
        note_text: title, category and text.
        candidates: the recalled tags.
        evidence: float32[candidates, features]; its first columns are those the bundle's tagger names. What was gathered
            beyond them is for newer bundles.
    """

    note_text: str
    candidates: tuple[CandidateTag, ...]
    evidence: Float32


class Encoder(Protocol):
    """Turns texts into vectors whose dot product is their cosine."""

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        ...

    @property
    def weights_hash(self) -> str:
        """SHA-256 of the float weights; vectors of two hashes are never compared."""
        ...

    async def encode(self, texts: Sequence[str]) -> Encoded:
        """Vectors of the texts; a text's vector does not depend on the others."""
        ...


class Tagger(Protocol):
    """Scores each candidate of a note on its own."""

    @property
    def version(self) -> str:
        """Version of the model, recorded in every output."""
        ...

    async def score(self, requests: Sequence[TaggingRequest]) -> list[Float32]:
        """One array a request: logit float32[candidates]."""
        ...


class Calibrator(Protocol):
    """Judges whether a tag applies, as a confidence that can be relied on."""

    @property
    def version(self) -> str:
        """Version of the model, recorded in every output."""
        ...

    async def judge(self, requests: Sequence[TaggingRequest], logits: Sequence[Float32]) -> list[Float32]:
        """One array a request: confidence float32[candidates] within (0, 1).

        The softmax of a Yes and a No logit (LLM4Tag equation 10), then the bundle's calibration map.

        Args:
            requests: notes with the candidates to judge.
            logits: the tagger's logits of the same candidates, float32[candidates] a request.
        """
        ...


@dataclass(frozen=True, slots=True)
class Models:
    """The three models of one bundle on one backend.

    Attributes:
        encoder: texts to vectors.
        tagger: candidates to logits.
        calibrator: candidates and logits to confidences.
        release: gives back what the backend holds (threads, connections).
    """

    encoder: Encoder
    tagger: Tagger
    calibrator: Calibrator
    release: Callable[[], Awaitable[None]]

    async def close(self) -> None:
        """Give back the backend's threads or connections; the models cannot be used afterwards."""
        await self.release()
