"""A note with what the models said of its candidates: what the decision is made of, and what an observer sees."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from streamproc.events.position import Source
from streamproc.events.tagged import ModelVersions
from streamproc.graph.recall import Recalled
from streamproc.inference.protocols import Float32, TaggingRequest
from streamproc.pipeline.policy import Scored

__all__ = ["CONFIDENCE_DIGITS", "JudgedNote", "Observer", "scored"]

CONFIDENCE_DIGITS = 6
"""Digits that are published: enough for any threshold, few enough to read."""


@dataclass(frozen=True, slots=True)
class JudgedNote:
    """A note on its way from the models to the decision.

    Attributes:
        note_id: the note.
        source: the record that it came in.
        request: what the models were asked.
        recalled: its candidates.
        confidences: float32[candidates], what they answered.
        models: which models they were.
    """

    note_id: str
    source: Source
    request: TaggingRequest
    recalled: Recalled
    confidences: Float32
    models: ModelVersions


class Observer(Protocol):
    """Looks at what was judged; the pipeline neither waits for it nor depends on it."""

    def offer(self, judged: Sequence[JudgedNote], seconds_a_note: float) -> None:
        """Take a batch, or leave it. Returns at once and never raises.

        Args:
            judged: the batch.
            seconds_a_note: time that tagger and calibrator took, divided by the notes.
        """
        ...


def scored(recalled: Recalled, confidences: Float32) -> list[Scored]:
    """The candidates with their confidences, as the policy takes them."""
    return [
        Scored(index, tag, round(float(confidence), CONFIDENCE_DIGITS), judged)
        for index, (tag, confidence, judged) in enumerate(
            zip(recalled.tags, confidences, recalled.judged, strict=True)
        )
    ]
