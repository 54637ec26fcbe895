"""The gate: lowers the confidences of notes that seem to belong to none of the tags.

A map that is fitted to labelled notes alone has never seen a note without a right tag and learns to trust. The
gate has: it compares a candidate's evidence with that of right tags and with what such notes bring. What is near is
a matter of the tag (notes of one are all alike, those of another are not), so each tag may ask for more or less.
"""

import msgspec
import numpy as np
import numpy.typing as npt

from streamproc.inference.terms import Evidence, Term, terms_logit

__all__ = ["TOLL", "Gate"]

Float64 = npt.NDArray[np.float64]

TOLL = 1.1
"""What a closed gate adds to the reciprocal of a confidence: one of 1 becomes .476 and one of .2 still .164, so a note
that was wrongly held back keeps the order of its tags nearly always."""


class Gate(msgspec.Struct, frozen=True):
    """How far a candidate's confidence counts.

    Attributes:
        shift: of the score.
        terms: what the evidence adds to the score.
        tags: tag id → what is added for its candidates; none for a tag that is not named.
        closes: up to this score the gate is closed: no confidence is above a half any more.
        opens: from this score on it is open and confidences stay; between the two it moves steadily.
    """

    shift: float
    terms: tuple[Term, ...]
    tags: dict[str, float]
    closes: float
    opens: float

    def __post_init__(self) -> None:
        if not np.isfinite([self.shift, self.closes, self.opens, *self.tags.values()]).all():
            raise ValueError("all numbers of a gate must be finite")
        if not self.closes < self.opens:
            raise ValueError(f"a gate must close below where it opens, not at {self.closes} and {self.opens}")

    def score(self, evidence: Evidence) -> Float64:
        """How much each candidate looks like a right tag rather than like those of a note that has none, float64[rows].

        Raises:
            ValueError: the gate asks for a column, or for the tags, and the evidence lacks them.
        """
        score = self.shift + terms_logit(self.terms, evidence)
        if self.tags:
            if len(evidence.tags) != len(evidence.rows):
                raise ValueError("this gate must be told the tag of each candidate")
            score += np.array([self.tags.get(tag, 0.0) for tag in evidence.tags])
        return score

    def apply(self, probabilities: Float64, evidence: Evidence) -> Float64:
        """Confidences behind the gate: strictly increasing in those before it, and continuous in the evidence.

        Args:
            probabilities: float64[rows] within (0, 1).
            evidence: of the same rows.
        """
        return self.lowered(probabilities, self.score(evidence))

    def lowered(self, probabilities: Float64, score: Float64) -> Float64:
        """Confidences behind the gate at these scores, float64[rows]."""
        closed = np.interp(score, (self.closes, self.opens), (1.0, 0.0))
        lowered: Float64 = probabilities / (1 + TOLL * closed * probabilities)
        return lowered
