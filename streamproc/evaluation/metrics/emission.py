"""What is emitted: the tags that pass the threshold, and how many of the right ones they are."""

from collections import Counter
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Tally", "accuracy_at", "coverage_at", "macro_f1", "tally"]

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Tally:
    """Tags emitted, those of them that are right, and all right tags, summed over notes."""

    emitted: int
    right: int
    gold: int

    @property
    def precision(self) -> float:
        """Share of the emitted tags that are right; 0 where nothing was emitted."""
        return self.right / self.emitted if self.emitted else 0.0

    @property
    def recall(self) -> float:
        """Share of the right tags that were emitted; 0 where there are none."""
        return self.right / self.gold if self.gold else 0.0

    @property
    def f1(self) -> float:
        """The harmonic mean of both: over all tags together it is micro F1."""
        return 2 * self.right / (self.emitted + self.gold) if self.emitted + self.gold else 0.0


def tally(emitted: Sequence[Sequence[str]], gold: Sequence[AbstractSet[str]]) -> Tally:
    """Count over all notes."""
    return Tally(
        emitted=sum(map(len, emitted)),
        right=sum(tag in g for tags, g in zip(emitted, gold, strict=True) for tag in tags),
        gold=sum(map(len, gold)),
    )


def macro_f1(emitted: Sequence[Sequence[str]], gold: Sequence[AbstractSet[str]]) -> float:
    """The mean over tags of each tag's F1; tags that are neither emitted nor right anywhere are left out."""
    given = Counter(tag for tags in emitted for tag in tags)
    wanted = Counter(tag for g in gold for tag in g)
    right = Counter(tag for tags, g in zip(emitted, gold, strict=True) for tag in tags if tag in g)
    # Sorted: a sum's last digit depends on its order, and a set's order on the run.
    scores = [2 * right[tag] / (given[tag] + wanted[tag]) for tag in sorted(given.keys() | wanted.keys())]
    return float(np.mean(scores)) if scores else 0.0


def accuracy_at(emitted: Sequence[Sequence[str]], gold: Sequence[AbstractSet[str]], k: int) -> Float64:
    """Acc@k a note (LLM4Tag, eq. 12): right tags among the first k' = min(k, emitted), over k'.

    Notes for which nothing was emitted are left out, so the result may be shorter: print Coverage beside it.
    """
    return np.array(
        [
            sum(tag in g for tag in tags[:k]) / min(k, len(tags))
            for tags, g in zip(emitted, gold, strict=True)
            if tags
        ],
        dtype=float,
    )


def coverage_at(emitted: Sequence[Sequence[str]], k: int) -> float:
    """Coverage@k (LLM4Tag, eq. 13): share of notes with at least k emitted tags."""
    return float(np.mean([len(tags) >= k for tags in emitted]))
