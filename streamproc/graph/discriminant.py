"""What all labelled notes together say of a tag: a linear discriminant that learns with every label.

Votes hear the fifty notes nearest to a note. A discriminant hears every note that people labelled: a tag is a Gaussian
around the mean of its notes, and one covariance serves all tags (linear discriminant analysis; Hastie, Tibshirani and
Friedman, *The Elements of Statistical Learning*, 4.3). What a note has in common with most others counts little then, and
what tells tags apart counts much. Nothing is trained: it is made of sums of vectors, so that a label counts from the moment
it is written, and a note can be left out of what it taught, all but the sphere's radius, by a formula (Sherman and Morrison).

The covariance is that of all labelled notes, shrunk towards that of a sphere while they are few. Scatter within the tags in its
place would need each note to be split among its tags, and told tags apart no better.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from streamproc.graph.standing import Standing, places_of

__all__ = ["LIKENESS", "Discriminant", "Likeness", "TagSums"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

LIKENESS = ("likeness", "likeness_gap", "likeness_soft", "likeness_sharp", "likeness_cosine", "outlying")
"""Names of the columns of evidence that a discriminant fills, in order; see :meth:`Likeness.columns`."""

_SPHERE = 100.0  # notes that the spherical covariance counts as, at least
_FULL = 2  # notes and sphere together for each component: among fewer, directions in which only rounding varies would count
_MEAN = 1.0  # notes that the mean of all counts as, in the mean of a tag

_GROWTH = 1024  # rows by which the table of tags grows at least


class TagSums:
    """Sums over labelled notes, to which notes are added and from which they are taken away.

    Memory: one vector of float32 a tag, and one square matrix.

    Args:
        dimension: of the notes' vectors.
    """

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension
        self.notes = 0
        self._total = np.zeros(dimension)
        self._scatter = np.zeros((dimension, dimension))
        self._rows: dict[str, int] = {}
        self._sums = np.zeros((0, dimension), dtype=np.float32)
        self._counts = np.zeros(0, dtype=np.int64)

    def add(self, tags: Sequence[Collection[str]], vectors: Float32, times: int = 1) -> None:
        """Count labelled notes once more, or, ``times`` being −1, no longer.

        Args:
            tags: ids of each note's tags; at least one.
            vectors: float32[notes, dimension].
            times: 1 or −1.
        """
        if not len(tags):
            return
        wide = vectors.astype(np.float64)
        self.notes += times * len(tags)
        self._total += times * wide.sum(axis=0)
        self._scatter += times * (wide.T @ wide)
        # In order: a set of strings has another in every process, and sums would differ in their last bits.
        rows = np.array([self._row(tag_id) for each in tags for tag_id in sorted(each)], dtype=np.int64)
        notes = np.repeat(np.arange(len(tags)), [len(each) for each in tags])
        order = np.argsort(rows, kind="stable")
        changed, starts, counts = np.unique(rows[order], return_index=True, return_counts=True)
        self._sums[changed] += times * np.add.reduceat(vectors[notes[order]], starts, axis=0)
        self._counts[changed] += times * counts

    def discriminant(self) -> "Discriminant | None":
        """What the notes say; later changes do not reach it. None: there are no notes."""
        if self.notes < 1:
            return None
        mean = self._total / self.notes
        scatter = self._scatter - self.notes * np.outer(mean, mean)
        sphere = _sphere(self.notes, self.dimension)
        variance = max(float(np.trace(scatter)) / (self.notes * self.dimension), 1e-6)
        scatter[np.diag_indices(self.dimension)] += sphere * variance
        inverse = np.asarray(np.linalg.inv(scatter / (self.notes + sphere)), dtype=np.float64)
        used = np.flatnonzero(self._counts > 0)
        rows = {tag_id: row for tag_id, row in self._rows.items() if self._counts[row] > 0}
        places = dict(zip(used.tolist(), range(len(used)), strict=True))
        counts = self._counts[used].astype(np.float32)
        sums = self._sums[used] - counts[:, None] * mean.astype(np.float32)
        squares = np.einsum("ij,ij->i", sums @ inverse.astype(np.float32), sums)
        return Discriminant(
            {tag_id: places[row] for tag_id, row in rows.items()},
            mean,
            inverse,
            self.notes,
            sums,
            counts,
            squares,
        )

    def _row(self, tag_id: str) -> int:
        row = self._rows.setdefault(tag_id, len(self._rows))
        if row == len(self._sums):
            more = max(_GROWTH, row // 2)
            self._sums = np.concatenate([self._sums, np.zeros((more, self.dimension), dtype=np.float32)])
            self._counts = np.concatenate([self._counts, np.zeros(more, dtype=np.int64)])
        return row


@dataclass(frozen=True)
class Discriminant:
    """What labelled notes say of the tags, as of one moment.

    Attributes:
        rows: tag id → its row.
        mean: float64[dimension], of all notes.
        inverse: float64[dimension, dimension], of the shrunk covariance.
        notes: how many there are.
        sums: float32[tags, dimension]: of each tag's notes, each less the mean of all.
        counts: float32[tags]: its notes.
        squares: float32[tags]: the squared length of each sum by the inverse covariance.
    """

    rows: Mapping[str, int]
    mean: Float64
    inverse: Float64
    notes: int
    sums: Float32
    counts: Float32
    squares: Float32

    def likenesses(self, vectors: Float32) -> list["Likeness"]:
        """How much each note is like the notes of each tag.

        Args:
            vectors: float32[notes, dimension].
        """
        centred = vectors.astype(np.float64) - self.mean
        turned = centred @ self.inverse
        lengths = np.einsum("ij,ij->i", turned, centred)
        products = turned.astype(np.float32) @ self.sums.T
        return [
            Likeness(self, of_note, length)
            for of_note, length in zip(products, lengths.tolist(), strict=True)
        ]

    @property
    def weight(self) -> float:
        """How many notes the covariance is the mean of, those of the sphere among them."""
        return self.notes + _sphere(self.notes, len(self.mean))

    @cached_property
    def unseen(self) -> float:
        """How probable it is that the next label is of a tag that nobody has used yet.

        By the share of labels that are the only one of their tag (Good and Turing; Good, *The Population Frequencies of Species*,
        1953).
        """
        return float(np.count_nonzero(self.counts == 1) / self.counts.sum())

    @cached_property
    def ids(self) -> list[str]:
        """The tags in order of their rows."""
        return list(self.rows)

    def __post_init__(self) -> None:
        """Hold the rows to their order, which ``ids`` relies on."""
        assert list(self.rows.values()) == list(range(len(self.rows)))  # noqa: S101 - of this module's own making


@dataclass(frozen=True)
class Likeness:
    """How much one note is like the notes of each tag, as far as a discriminant tells.

    Attributes:
        discriminant: that was asked.
        products: float32[tags]: of the note and each tag's sum, by the inverse covariance.
        length: of the note, squared, by the inverse covariance: how far it lies from the mean of all.
        own: rows of the note's own tags, if it is among the notes that taught the discriminant.
        left_out: whether what the note itself taught is to be left out.
        gone: rows of tags that are to be as if nobody had used them.
    """

    discriminant: Discriminant
    products: Float32
    length: float
    own: tuple[int, ...] = ()
    left_out: bool = False
    gone: frozenset[int] = field(default_factory=frozenset)

    def leaving_out(self, own: Collection[str]) -> "Likeness":
        """The same had the note itself not been labelled.

        Args:
            own: the tags that it counts for; none: it was not labelled, and nothing changes.
        """
        if not own or self.left_out:
            return self
        rows = self.discriminant.rows
        return replace(self, own=tuple(rows[each] for each in own if each in rows), left_out=True)

    def without(self, gone: Collection[str]) -> "Likeness":
        """The same as if nobody had ever used these tags."""
        rows = self.discriminant.rows
        return replace(self, gone=self.gone | {rows[each] for each in gone if each in rows})

    def best(self, count: int) -> list[str]:
        """Ids of the tags that the note is most probably about, at most so many, likeliest first."""
        return self._standing.best(count)

    def columns(self, names: Sequence[Sequence[str]]) -> Float64:
        """The evidence for some tags.

        ``likeness`` is the logarithm of how much likelier the note is among the tag's notes than among all, over 10; 0 for a
        tag that nobody has used. ``likeness_gap`` is the same less that of the likeliest of all tags, used or proposed
        or not. ``likeness_soft`` and ``likeness_sharp`` are the tag's share of all tags' posterior probability, of
        likelihoods raised to the power .3 and as they are. ``likeness_cosine`` is the cosine of note and tag by the inverse
        covariance. ``outlying`` is how far the note lies from the mean of all, 1 on average.

        Args:
            names: the ids that stand for each tag: its own, then those merged into it.

        Returns:
            float64[tags, columns of ``LIKENESS``].
        """
        table = np.zeros((len(names), len(LIKENESS)))
        table[:, 5] = self._length / self.discriminant.inverse.shape[0]
        if self._standing.empty:
            return table
        likeness, count, product, square = self._of(names)
        table[:, :4] = self._standing.columns(likeness, count)
        table[:, 4] = np.where(count > 0, product / np.sqrt(np.maximum(square * self._length, 1e-12)), 0.0)
        return table

    def _of(self, names: Sequence[Sequence[str]]) -> tuple[Float64, Float64, Float64, Float64]:
        """Likeness, notes, product and squared length of each tag."""
        values = np.zeros((4, len(names)))
        alone, rows, merged = places_of(names, self.discriminant.rows, self._absent)
        likeness, counts, products, squares = self._tags
        values[:, alone] = (likeness[rows], counts[rows], products[rows], squares[rows])
        for place, each in merged:
            values[:, place] = self._together(each)
        return values[0], values[1], values[2], values[3]

    def _together(self, rows: Sequence[int]) -> tuple[float, float, float, float]:
        """What ``_tags`` has, of several tags that were merged."""
        of = self.discriminant
        summed = of.sums[list(rows)].astype(np.float64).sum(axis=0)
        product, square = float(self.products[list(rows)].sum()), float(summed @ of.inverse @ summed)
        count = float(of.counts[list(rows)].sum())
        if self.left_out:
            product, square = self._otherwise(product, square, count)
            times = sum(row in rows for row in self.own)
            square += times * (times * self._length - 2 * product)
            product -= times * self._length
            count -= times
        return _likeness(product, square, count), count, product, square

    def _otherwise(self, product: Any, square: Any, count: Any) -> tuple[Any, Any]:
        """Product and squared length of a tag's sum had this note not moved the mean and the covariance of all.

        Without it the mean lies 1/(notes − 1) of the note further off, and the scatter is less by what the note adds to it.
        """
        notes, weight = self.discriminant.notes, self.discriminant.weight
        shift = count / max(notes - 1, 1)
        square = square + shift * (2 * product + shift * self.length)
        product = product + shift * self.length
        square = (square + product**2 * (self._further * self._factor / weight)) * (1 - 1 / weight)
        return product * (self._further * self._factor * (1 - 1 / weight)), square

    @property
    def _further(self) -> float:
        """By how much further a labelled note lies from the mean of the others than from that of all."""
        notes = self.discriminant.notes
        return notes / (notes - 1) if notes > 1 else 1.0

    @cached_property
    def _factor(self) -> float:
        """By how much products with this note grow when it leaves the scatter."""
        return 1 / max(1 - self._further * self.length / self.discriminant.weight, 1e-3)

    @cached_property
    def _length(self) -> float:
        if not self.left_out:
            return self.length
        return self.length * self._further**2 * self._factor * (1 - 1 / self.discriminant.weight)

    @cached_property
    def _tags(self) -> tuple[Float32, Float32, Float32, Float32]:
        """Likeness, notes, product and squared length of every tag, each float32[tags]."""
        counts, products, squares = self.discriminant.counts, self.products, self.discriminant.squares
        if self.left_out:
            products, squares = self._otherwise(products, squares, counts)
            if self.own:
                own = list(self.own)
                counts = counts.copy()
                squares[own] += np.float32(self._length) - 2 * products[own]
                products[own] -= np.float32(self._length)
                counts[own] -= 1
        if self.gone:
            counts = counts.copy()
            counts[list(self.gone)] = 0
        return _likeness(products, squares, counts), counts, products, squares

    @cached_property
    def _absent(self) -> frozenset[int]:
        """Rows that count as if nobody had used the tag."""
        counts = self._tags[1]
        return self.gone | {row for row in self.own if counts[row] <= 0}

    @cached_property
    def _standing(self) -> Standing:
        likeness, counts, _, _ = self._tags
        return Standing(self.discriminant.ids, likeness, counts, self._absent)


def _sphere(notes: int, dimension: int) -> float:
    return max(_SPHERE, float(_FULL * dimension - notes))


def _likeness(product: Any, square: Any, count: Any) -> Any:
    """The logarithm of the likelihood ratio, of a tag whose sum has this product with the note and this squared length."""
    inverse = 1 / (count + _MEAN)
    return product * inverse - 0.5 * square * inverse**2
