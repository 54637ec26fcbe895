"""Notes put through recall, tagger and calibrator, with everything that figures are made of."""

import asyncio
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streamproc.evaluation.dataset import LabelledNote
from streamproc.graph.recall import Recalled
from streamproc.inference.protocols import CandidateTag, Float32, Models, TaggingRequest
from streamproc.inference.text import note_text

__all__ = ["EMIT", "Scored", "confidences_of", "emitted_by", "ranked_by", "requests_for", "score", "sigmoid"]

EMIT = 0.5
"""Tags below this confidence are dropped (LLM4Tag, 3.3)."""

# Notes given to the models at a time: enough to keep all cores busy, few enough for progress to be seen.
_CHUNK = 256

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Scored:
    """Some notes, their candidates and what the models make of them.

    Attributes:
        notes: the notes; each has a right tag.
        recalled: the candidates of each.
        logits: of the tagger, float32[candidates] a note.
        confidences: of the calibrator, float32[candidates] a note.
    """

    notes: Sequence[LabelledNote]
    recalled: Sequence[Recalled]
    logits: Sequence[Float32]
    confidences: Sequence[Float32]

    @property
    def gold(self) -> list[AbstractSet[str]]:
        """The right tags of each note."""
        return [each.gold for each in self.notes]

    @property
    def ranked(self) -> list[list[str]]:
        """Candidates of each note, the surest first."""
        return ranked_by(self.recalled, self.confidences)

    @property
    def emitted(self) -> list[list[str]]:
        """Those of them that pass the threshold."""
        return emitted_by(self.recalled, self.confidences)

    @property
    def right(self) -> npt.NDArray[np.bool_]:
        """Whether each candidate is right, bool[rows]; a row a candidate, in order of notes."""
        return np.array(
            [
                tag.tag_id in each.gold
                for each, found in zip(self.notes, self.recalled, strict=True)
                for tag in found.tags
            ],
            dtype=bool,
        )

    @property
    def note_of(self) -> npt.NDArray[np.int64]:
        """The note of each row, int64[rows]."""
        return np.repeat(np.arange(len(self.notes)), [len(found.tags) for found in self.recalled])


def score(
    notes: Sequence[LabelledNote],
    recalled: Sequence[Recalled],
    models: Models,
    progress: Progress = lambda _done, _all: None,
) -> Scored:
    """Judge the candidates of each note.

    Args:
        notes: to be tagged.
        recalled: their candidates.
        models: tagger and calibrator.
        progress: told how many notes are done, and of how many.
    """
    logits, confidences = judge(requests_for(notes, recalled), models, progress)
    return Scored(notes, recalled, logits, confidences)


def confidences_of(
    notes: Sequence[LabelledNote], recalled: Sequence[Recalled], models: Models
) -> list[Float32]:
    """The confidence of each candidate of each note, float32[candidates] a note."""
    return judge(requests_for(notes, recalled), models)[1]


def requests_for(notes: Sequence[LabelledNote], recalled: Sequence[Recalled]) -> list[TaggingRequest]:
    """What the models are asked, a request a note."""
    return [
        TaggingRequest(
            note_text=note_text(each.note),
            candidates=tuple(
                CandidateTag(tag_id=tag.tag_id, name=tag.name, definition=tag.description)
                for tag in found.tags
            ),
            evidence=found.evidence,
        )
        for each, found in zip(notes, recalled, strict=True)
    ]


def judge(
    requests: Sequence[TaggingRequest], models: Models, progress: Progress = lambda _done, _all: None
) -> tuple[list[Float32], list[Float32]]:
    """Logits and confidences, float32[candidates] a request each; what has no candidates is not asked about."""
    empty = np.zeros(0, dtype=np.float32)
    logits, confidences = [empty] * len(requests), [empty] * len(requests)
    asked = [place for place, request in enumerate(requests) if request.candidates]

    async def run() -> None:
        for start in range(0, len(asked), _CHUNK):
            places = asked[start : start + _CHUNK]
            chunk = [requests[place] for place in places]
            of_tagger = await models.tagger.score(chunk)
            of_calibrator = await models.calibrator.judge(chunk, of_tagger)
            for place, logit, confidence in zip(places, of_tagger, of_calibrator, strict=True):
                logits[place], confidences[place] = logit, confidence
            progress(start + len(places), len(asked))

    asyncio.run(run())
    return logits, confidences


def ranked_by(recalled: Sequence[Recalled], scores: Sequence[Float32]) -> list[list[str]]:
    """Candidates of each note by falling score, ties in order of recall."""
    return [
        [found.tags[place].tag_id for place in np.argsort(-of_note, kind="stable")]
        for found, of_note in zip(recalled, scores, strict=True)
    ]


def emitted_by(recalled: Sequence[Recalled], confidences: Sequence[Float32]) -> list[list[str]]:
    """The tags of each note whose confidence reaches ``EMIT``, the surest first."""
    return [
        tags[: int((of_note >= EMIT).sum())]
        for tags, of_note in zip(ranked_by(recalled, confidences), confidences, strict=True)
    ]


def sigmoid(logits: Float32) -> Float32:
    """The tagger's own confidence, float32 of the same shape."""
    return (1 / (1 + np.exp(-np.clip(logits.astype(np.float64), -30, 30)))).astype(np.float32)
