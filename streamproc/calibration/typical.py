"""What a tag's own notes usually bring: notes of one tag are all alike, those of another are not."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streamproc.calibration.sample import Sample
from streamproc.calibration.shapes import Shape, column_inputs, column_shape

__all__ = ["Typical"]

Float64 = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]
Bool = npt.NDArray[np.bool_]

_TYPICAL = ("cosine", "best_neighbour", "mean_neighbour", "vote_soft")
"""Columns that are compared with what is usual for the tag."""

_PRIOR = 5.0  # right candidates that a tag needs before its own mean counts as much as that of all
_LEAST_NOTES = 3  # of a tag, to be named in the file


@dataclass(frozen=True, slots=True)
class Typical:
    """What right candidates usually bring, by tag.

    Attributes:
        shapes: the columns that are compared.
        mean: float64[columns], of the inputs of all right candidates.
        sums: tag id → float64[columns], of its own.
        counts: tag id → how many they are.
    """

    shapes: Sequence[Shape]
    mean: Float64
    sums: dict[str, Float64]
    counts: dict[str, int]

    @classmethod
    def of(cls, sample: Sample, right: Bool) -> "Typical":
        """What these candidates bring.

        Args:
            sample: labelled notes.
            right: bool[rows], its candidates that count.
        """
        evidence = sample.evidence[right]
        shapes = [
            each for name in _TYPICAL if (each := column_shape(name, evidence, curved=False)) is not None
        ]
        table = _straight(shapes, evidence)
        names, places, counts = np.unique(sample.tag[right], return_inverse=True, return_counts=True)
        sums = np.zeros((len(names), len(shapes)))
        np.add.at(sums, places, table)
        tags = names.tolist()
        return cls(
            shapes,
            table.mean(axis=0),
            dict(zip(tags, sums, strict=True)),
            dict(zip(tags, counts.tolist(), strict=True)),
        )

    def straight(self, evidence: Float32) -> Float64:
        """The inputs that are compared, float64[rows, columns]."""
        return _straight(self.shapes, evidence)

    def usual(self, tags: npt.NDArray[np.str_], evidence: Float32, own: int) -> Float64:
        """How far from the mean what is usual for each row's tag is, float64[rows, columns].

        Args:
            tags: of the rows.
            evidence: float32[rows, features].
            own: the first so many rows are those that the means are of; each is left out of its own.
        """
        inputs = self.straight(evidence)
        nothing = np.zeros(len(self.shapes))
        usual = np.zeros_like(inputs)
        for row, tag in enumerate(tags.tolist()):
            mine = int(row < own)
            total = self.sums.get(tag, nothing) - mine * inputs[row]
            usual[row] = self._shrunk(total, self.counts.get(tag, 0) - mine)
        return usual

    def deviations(self) -> dict[str, Float64]:
        """Tag id → how far from the mean it is, for those with enough right candidates, in order of id."""
        return {
            tag: self._shrunk(self.sums[tag], count)
            for tag, count in sorted(self.counts.items())
            if count >= _LEAST_NOTES
        }

    def _shrunk(self, total: Float64, count: int) -> Float64:
        shrunk: Float64 = (total - count * self.mean) / (count + _PRIOR)
        return shrunk


def _straight(shapes: Sequence[Shape], evidence: Float32) -> Float64:
    columns = [column_inputs(each, evidence) for each in shapes]
    return np.concatenate([np.zeros((len(evidence), 0)), *columns], axis=1)
