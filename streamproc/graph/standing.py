"""How all tags stand to one note by the likelihoods of a model, the discriminant or the word model."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Places", "Standing", "places_of"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

_SELDOM = 0.1  # notes added to those of a tag, in how often it is used
_SOFT = (
    0.3  # the power to which likelihoods are raised in the soft share: what makes up a note hangs together
)
_SCALE = 0.1  # likelihoods reach some tens; columns of evidence are about one


class Places(NamedTuple):
    """Where a model has the tags that are asked for; those that it does not have are left out.

    Attributes:
        alone: places of the tags that have one row.
        rows: the row of each of them.
        merged: place and rows of those that have several.
    """

    alone: list[int]
    rows: list[int]
    merged: list[tuple[int, list[int]]]


def places_of(names: Sequence[Sequence[str]], known: Mapping[str, int], absent: Collection[int]) -> Places:
    """Look up the rows of some tags.

    Args:
        names: the ids that stand for each tag: its own, then those merged into it.
        known: tag id → its row.
        absent: rows that are to be as if they were not.
    """
    rows = [known.get(of_tag[0], -1) for of_tag in names]
    merged = []
    for place, of_tag in enumerate(names):
        if len(of_tag) > 1:
            found = [row for each in of_tag if (row := known.get(each, -1)) >= 0 and row not in absent]
            rows[place] = found[0] if len(found) == 1 else -1
            if len(found) > 1:
                merged.append((place, found))
    alone = [place for place, row in enumerate(rows) if row >= 0 and row not in absent]
    return Places(alone, [rows[place] for place in alone], merged)


@dataclass(frozen=True)
class Standing:
    """Likelihoods of a note among the notes of each tag.

    Attributes:
        ids: of the tags.
        likeness: float32[tags]: the logarithm of how much likelier the note is among the tag's notes than among all.
        counts: float32[tags]: notes of the tag.
        absent: rows of tags that are to be as if nobody had used them.
    """

    ids: Sequence[str]
    likeness: Float32
    counts: Float32
    absent: frozenset[int]

    @property
    def empty(self) -> bool:
        """Whether no tag is used at all."""
        return len(self.ids) <= len(self.absent)

    def best(self, count: int) -> list[str]:
        """Ids of the tags that the note is most probably about, at most so many, likeliest first."""
        posterior = self._posterior
        if count < len(posterior):
            rows = np.argpartition(posterior, -count)[-count:] if count > 0 else np.zeros(0, dtype=np.int64)
        else:
            rows = np.arange(len(posterior))
        rows = rows[np.isfinite(posterior[rows])]
        rounded = np.round(-posterior[rows].astype(np.float64), 3).tolist()
        return [tag_id for _, tag_id in sorted(zip(rounded, [self.ids[row] for row in rows], strict=True))]

    def columns(self, likeness: Float64, counts: Float64) -> Float64:
        """How some tags stand among all.

        The likeness over 10; the same less that of the likeliest of all tags, used or proposed or not; the tag's share of all
        tags' posterior probability, of likelihoods raised to the power .3 and as they are.

        Args:
            likeness: float64[some], of each.
            counts: float64[some], notes of each; 0: nobody has used it.

        Returns:
            float64[some, 4].
        """
        table = np.zeros((len(likeness), 4))
        table[:, 0] = _SCALE * likeness
        table[:, 1] = _SCALE * (likeness - self._highest)
        with np.errstate(divide="ignore"):
            posterior = np.where(counts > 0, likeness + np.log(counts + _SELDOM), -np.inf)
        apart = posterior - self._likeliest
        soft, sharp = self._normalisers
        table[:, 2] = np.minimum(np.exp(_SOFT * apart) / soft, 1.0)
        table[:, 3] = np.minimum(np.exp(apart) / sharp, 1.0)
        return table

    @cached_property
    def _posterior(self) -> Float32:
        """float32[tags]: likeness and how often the tag is used; −∞ where nobody has."""
        posterior = self.likeness + np.log(np.maximum(self.counts, 0) + np.float32(_SELDOM))
        if self.absent:
            posterior[list(self.absent)] = -np.inf
        return posterior

    @cached_property
    def _likeliest(self) -> float:
        return float(self._posterior.max())

    @cached_property
    def _highest(self) -> float:
        return float(self.likeness[np.isfinite(self._posterior)].max())

    @cached_property
    def _normalisers(self) -> tuple[float, float]:
        apart = self._posterior - np.float32(self._likeliest)
        return float(np.exp(np.float32(_SOFT) * apart).sum()), float(np.exp(apart).sum())
