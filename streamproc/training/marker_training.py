"""How a label-marker encoder is trained: numbers only, so that a command line can name them without torch."""

from dataclasses import dataclass

from streamproc.inference.manifest import ReadText

__all__ = ["READ_TEXT", "MarkerTraining"]

READ_TEXT = ReadText(note_tokens=192, candidate_tokens=16)
"""How much such models read of a note and of each candidate."""


@dataclass(frozen=True, slots=True)
class MarkerTraining:
    """How a model is trained.

    Attributes:
        layers: of the encoder, the first of the checkpoint's: two read a full note and 24 tags within 40 ms of two cores.
        epochs: times that every note is seen.
        batch_notes: notes of a step.
        candidates: candidates of a note that a step sees.
        others: how many of them are drawn from those that are neither right nor likely.
        text_rate: learning rate of the encoder's layers.
        head_rate: of all that begins untrained.
        listwise: how much the order within a note counts beside each candidate's probability.
        names_only: share of notes whose candidates are read without their definitions.
        without_votes: share of candidates that are shown as if nobody had used their tag yet.
        seed: of every draw.
    """

    layers: int = 2
    epochs: int = 1
    batch_notes: int = 16
    candidates: int = 12
    others: int = 3
    text_rate: float = 1e-4
    head_rate: float = 1e-3
    listwise: float = 0.5
    names_only: float = 0.3
    without_votes: float = 0.1
    seed: int = 0
