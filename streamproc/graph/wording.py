"""What the words of all labelled notes say of a tag: naive Bayes that learns with every label.

Vectors of two notes are near when they are about alike things, whatever the words. Words tell what vectors blur: names, versions,
jargon, the turn of phrase of a community. A tag is a bag of the words of its notes, smoothed by the words of all
(multinomial naive Bayes; Manning, Raghavan and Schütze, *Introduction to Information Retrieval*, 13.2), and a note's words count
by how rare they are, as a vector of unit length, so that long notes are no surer than short ones (Rennie and others,
*Tackling the Poor Assumptions of Naive Bayes Text Classifiers*, 2003, 4).

As with the discriminant nothing is trained: there are sums, to which a label counts from the moment it is written, and
from which a note is taken out when it is asked what it is about itself. A graph remembers the words of a labelled note by
number, not as text.
"""

import base64
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import NamedTuple
from zlib import crc32

import numpy as np
import numpy.typing as npt

from streamproc.events.note import Note
from streamproc.graph.standing import Standing, places_of
from streamproc.inference.text import note_text
from streamproc.knowledge.lexical import tokenize

__all__ = [
    "NO_WORDS",
    "WORDING",
    "WordCounts",
    "WordModel",
    "Wording",
    "Words",
    "pack_words",
    "unpack_words",
    "words_of",
]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

WORDING = ("wording", "wording_gap", "wording_soft", "wording_sharp")
"""Names of the columns of evidence that a word model fills, in order; see :meth:`Wording.columns`."""

_BITS = 18
"""Words go by this many bits of a hash. Two that share a number are one word; few of those that tell tags apart do."""

_WORDS = 1 << _BITS

_LONGEST = 1024  # words from the beginning of a note that are looked at
_MOST = 255  # occurrences of a word that are counted

_SMOOTH = 5.0  # notes of everybody's words that each tag has beside its own
_COMMON = 0.05  # a word of more than this share of the notes tells no tags apart, and most of the time would go to it
_FEW = 100  # unless that is no more notes than these

_ROW_BITS = 32  # of a key, which numbers a word and a tag
_ROW_MASK = (1 << _ROW_BITS) - 1
_PENDING = 1 << 20  # pairs of word and tag that are held before they are put in order
_NOTHING = 1e-4  # of a word is left of a tag when rounding is all that is left


class Words(NamedTuple):
    """The words of one note.

    Attributes:
        numbers: uint32[words], ascending, each once.
        counts: uint8[words]: how often each occurs.
    """

    numbers: npt.NDArray[np.uint32]
    counts: npt.NDArray[np.uint8]


NO_WORDS = Words(np.zeros(0, dtype=np.uint32), np.zeros(0, dtype=np.uint8))
"""Of a note without text, or of one that was stored before words were."""


def words_of(note: Note) -> Words:
    """The words of a note's title, category, text and images, as far as its first thousand go."""
    words = tokenize(note_text(note))[:_LONGEST]
    numbers = np.fromiter(map(_number, words), dtype=np.uint32, count=len(words))
    numbers, counts = np.unique(numbers, return_counts=True)
    return Words(numbers, np.minimum(counts, _MOST).astype(np.uint8))


@lru_cache(maxsize=1 << 16)
def _number(word: str) -> int:
    return crc32(word.encode()) & (_WORDS - 1)


def pack_words(words: Words) -> str:
    """Base64 of the counts, then of the numbers, little-endian: five bytes a word."""
    return base64.b64encode(words.counts.tobytes() + words.numbers.astype("<u4").tobytes()).decode("ascii")


def unpack_words(packed: str) -> Words:
    """Read what :func:`pack_words` wrote."""
    if not packed:
        return NO_WORDS
    stored = base64.b64decode(packed)
    size = len(stored) // 5
    return Words(
        np.frombuffer(stored, dtype="<u4", offset=size).astype(np.uint32, copy=False),
        np.frombuffer(stored, dtype=np.uint8, count=size),
    )


class WordCounts:
    """Sums over the words of labelled notes, to which notes are added and from which they are taken away.

    Memory: twelve bytes for each word of each tag that its notes have, and 4 MB; 6 MB more
    with the model that was made last.
    """

    def __init__(self) -> None:
        self.notes = 0
        self._spread = np.zeros(_WORDS, dtype=np.int64)
        self._masses = np.zeros(_WORDS)
        self._rows: dict[str, int] = {}
        self._counts: list[int] = []
        self._table = _Table(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32))
        self._pending: list[tuple[Int64, Float32]] = []
        self._held = 0

    def add(self, tags: Sequence[Collection[str]], words: Sequence[Words], times: int = 1) -> None:
        """Count labelled notes once more, or, ``times`` being −1, no longer.

        Args:
            tags: ids of each note's tags; at least one.
            words: of each note.
            times: 1 or −1.
        """
        if not len(tags):
            return
        self.notes += times * len(tags)
        numbers = np.concatenate([each.numbers for each in words]).astype(np.int64)
        masses = np.concatenate([_masses(each) for each in words]) * np.float32(times)
        np.add.at(self._spread, numbers, times)
        np.add.at(self._masses, numbers, masses)
        ends = np.cumsum([len(each.numbers) for each in words])
        # In order: a set of strings has another in every process, and sums would differ in their last bits.
        pairs = [(note, self._row(tag_id)) for note, each in enumerate(tags) for tag_id in sorted(each)]
        for _, row in pairs:
            self._counts[row] += times
        notes, rows = np.array(pairs, dtype=np.int64).T
        sizes = np.diff(ends, prepend=0)[notes]
        places = _ranges((ends[notes] - sizes), sizes)
        keys = (numbers[places] << _ROW_BITS) | np.repeat(rows, sizes)
        self._pending.append((keys, masses[places]))
        self._held += len(keys)
        if self._held > _PENDING:
            self._settle()

    def model(self) -> "WordModel | None":
        """What the notes say; later changes do not reach it. None: there are no notes."""
        self._settle()
        if self.notes < 1:
            return None
        spread = np.maximum(self._spread, 0)
        # Never below 0: where other words were taken away than had been counted, a word may be on more notes than there are.
        rarity = np.maximum(np.log((self.notes + 1) / (spread + 1)), 0)
        rarity[(spread == 0) | (spread > max(_COMMON * self.notes, _FEW))] = 0
        masses = np.maximum(self._masses, _NOTHING)
        table = self._table
        counts = np.array(self._counts, dtype=np.float32)
        return WordModel(
            {tag_id: row for tag_id, row in self._rows.items() if counts[row] > 0},
            list(self._rows),
            table,
            np.searchsorted(table.keys, np.arange(_WORDS + 1, dtype=np.int64) << _ROW_BITS),
            rarity,
            masses,
            float(rarity @ masses),
            np.bincount(
                table.keys & _ROW_MASK,
                weights=table.masses * rarity[table.keys >> _ROW_BITS],
                minlength=len(counts),
            ).astype(np.float32),
            counts,
            self.notes,
        )

    def _row(self, tag_id: str) -> int:
        row = self._rows.setdefault(tag_id, len(self._rows))
        if row == len(self._counts):
            self._counts.append(0)
        return row

    def _settle(self) -> None:
        """Put what is pending into the table; models that were made keep the one they have."""
        if self._pending:
            self._table = self._table.plus(
                np.concatenate([keys for keys, _ in self._pending]),
                np.concatenate([masses for _, masses in self._pending]),
            )
            self._pending, self._held = [], 0


@dataclass(frozen=True)
class _Table:
    """How much of each word each tag has. A value.

    Attributes:
        keys: int64[pairs], ascending, each once: the word's number, then the tag's row.
        masses: float32[pairs].
    """

    keys: Int64
    masses: Float32

    def plus(self, keys: Int64, masses: Float32) -> "_Table":
        """The same with these masses added; a key may stand there several times."""
        changed, which = np.unique(keys, return_inverse=True)
        by = np.bincount(which, weights=masses, minlength=len(changed)).astype(np.float32)
        places, known = self._find(changed)
        summed = self.masses.copy()
        summed[places[known]] += by[known]
        new = ~known
        keys = np.insert(self.keys, places[new], changed[new])
        summed = np.insert(summed, places[new], by[new])
        if (masses < 0).any():
            left = summed > _NOTHING
            keys, summed = keys[left], summed[left]
        return _Table(keys, summed)

    def of(self, numbers: Int64, rows: Sequence[int]) -> Float32:
        """float32[rows, words]: how much of some words some tags have."""
        wanted = (numbers << _ROW_BITS) | np.array(rows, dtype=np.int64)[:, None]
        found = np.zeros(wanted.shape, dtype=np.float32)
        places, known = self._find(wanted)
        found[known] = self.masses[places[known]]
        return found

    def _find(self, wanted: Int64) -> tuple[Int64, npt.NDArray[np.bool_]]:
        """Where each key stands or would stand, and whether it is there."""
        places = np.searchsorted(self.keys, wanted)
        known = places < len(self.keys)
        known[known] = self.keys[places[known]] == wanted[known]
        return places, known


@dataclass(frozen=True)
class WordModel:
    """What the words of labelled notes say of the tags, as of one moment.

    Attributes:
        rows: tag id → its row, of the tags in use.
        ids: of all rows.
        table: how much of each word each tag has.
        starts: int64[words + 1]: where each word begins in the table.
        rarity: float64[words]: how much a word tells; 0: it is not looked at.
        masses: float64[words]: how much of each word all notes have.
        whole: of all words that are looked at, each by its rarity.
        totals: float32[tags]: the same of each tag.
        counts: float32[tags]: its notes.
        notes: how many there are.
    """

    rows: Mapping[str, int]
    ids: Sequence[str]
    table: _Table
    starts: Int64
    rarity: Float64
    masses: Float64
    whole: float
    totals: Float32
    counts: Float32
    notes: int

    def wording(self, words: Words) -> "Wording":
        """How much a note's words are like those of the notes of each tag."""
        return Wording(self, words)

    def without(self, gone: Collection[str]) -> "WordModel":
        """The same as if nobody had ever used these tags, but for what their notes gave everybody's words."""
        counts = self.counts.copy()
        counts[[self.rows[each] for each in gone if each in self.rows]] = 0
        return replace(self, counts=counts)

    @property
    def smoothing(self) -> float:
        """How much of everybody's words each tag has beside its own."""
        return max(_SMOOTH * self.whole / self.notes, _NOTHING)

    @cached_property
    def lengths(self) -> Float32:
        """float32[tags]: the logarithm of how many times more words a tag has than it is smoothed with."""
        lengths: Float32 = np.log1p(self.totals / self.smoothing)
        return lengths


class _Terms(NamedTuple):
    """Words of a note that a model knows.

    Attributes:
        numbers: int64[words].
        weights: float32[words]: how much each counts, of unit length.
        masses: float32[words]: how much of each a tag gets from the note.
        ratios: float32[words]: what a tag's mass of each is multiplied with, to compare it with everybody's.
    """

    numbers: Int64
    weights: Float32
    masses: Float32
    ratios: Float32


@dataclass(frozen=True)
class Wording:
    """How much the words of one note are like those of the notes of each tag.

    Attributes:
        model: that was asked.
        words: of the note.
        own: rows of the note's own tags, if it is among the notes that taught the model.
        left_out: whether what the note itself taught is to be left out.
    """

    model: WordModel
    words: Words
    own: tuple[int, ...] = ()
    left_out: bool = False

    def leaving_out(self, own: Collection[str]) -> "Wording":
        """The same had the note itself not been labelled.

        Args:
            own: the tags that it counts for; none: it was not labelled, and nothing changes.
        """
        if not own or self.left_out:
            return self
        rows = self.model.rows
        return replace(self, own=tuple(sorted(rows[each] for each in own if each in rows)), left_out=True)

    def best(self, count: int) -> list[str]:
        """Ids of the tags that the note is most probably about by its words, at most so many, likeliest first.

        None where no word of it tells anything.
        """
        return self._standing.best(count) if len(self._terms.numbers) else []

    def columns(self, names: Sequence[Sequence[str]]) -> Float64:
        """The evidence for some tags.

        ``wording`` is the logarithm of how much likelier the note's words are among those of the tag than among all, over 10;
        0 for a tag that nobody has used. The others are as ``likeness_gap``, ``likeness_soft`` and ``likeness_sharp``
        are; see :meth:`~streamproc.graph.discriminant.Likeness.columns`.

        Args:
            names: the ids that stand for each tag: its own, then those merged into it.

        Returns:
            float64[tags, columns of ``WORDING``].
        """
        standing = self._standing
        if standing.empty or not len(self._terms.numbers):
            return np.zeros((len(names), len(WORDING)))
        likeness, counts = np.zeros(len(names)), np.zeros(len(names))
        alone, rows, merged = places_of(names, self.model.rows, standing.absent)
        likeness[alone], counts[alone] = standing.likeness[rows], standing.counts[rows]
        for place, each in merged:
            likeness[place], counts[place] = self._together(each)
        return standing.columns(likeness, counts)

    def _together(self, rows: Sequence[int]) -> tuple[float, float]:
        """Likeness and notes of several tags that were merged."""
        times = sum(row in rows for row in self.own)
        masses = self.model.table.of(self._terms.numbers, rows).sum(axis=0) - times * self._terms.masses
        total = self.model.totals[list(rows)].sum() - times * self._taught
        return float(self._likeness(masses[None], total)[0]), float(
            self.model.counts[list(rows)].sum() - times
        )

    @cached_property
    def _terms(self) -> "_Terms":
        """Those of its words that tell anything."""
        of = self.model
        numbers, masses = self.words.numbers.astype(np.int64), _masses(self.words)
        rarity, everybody = of.rarity[numbers], of.masses[numbers]
        if self.left_out:
            everybody = everybody - masses
            rarity = np.where(everybody > _NOTHING, rarity, 0)  # a word that nobody else has used is unknown
        told = rarity > 0
        weights = (masses * rarity)[told]
        length = np.sqrt(weights @ weights)
        return _Terms(
            numbers[told],
            (weights / length if length else weights).astype(np.float32),
            masses[told],
            (of.whole / (of.smoothing * everybody[told])).astype(np.float32),
        )

    @cached_property
    def _taught(self) -> float:
        """What each of its tags got from the note, of all words, each by its rarity."""
        return float(_masses(self.words) @ self.model.rarity[self.words.numbers])

    def _likeness(self, masses: Float32, totals: Float32 | float) -> Float32:
        """float32[tags], of tags that have so much of the note's words, float32[tags, words], and of all words."""
        weights = self._terms.weights
        likeness = np.log1p(self._terms.ratios * np.maximum(masses, 0)) @ weights
        shorter = np.log1p(np.maximum(totals, 0) / self.model.smoothing) * weights.sum()
        return np.asarray(likeness - shorter, dtype=np.float32)

    @cached_property
    def _standing(self) -> Standing:
        of, terms = self.model, self._terms
        starts = of.starts[terms.numbers]
        sizes = of.starts[terms.numbers + 1] - starts
        places = _ranges(starts, sizes)
        gains = np.log1p(of.table.masses[places] * np.repeat(terms.ratios, sizes))
        gains *= np.repeat(terms.weights, sizes)
        summed = np.bincount(of.table.keys[places] & _ROW_MASK, weights=gains, minlength=len(of.ids))
        likeness = np.asarray(summed - of.lengths * terms.weights.sum(), dtype=np.float32)
        counts = of.counts
        if self.own:
            own = list(self.own)
            counts = counts.copy()
            counts[own] -= 1
            masses = of.table.of(terms.numbers, own) - terms.masses
            likeness[own] = self._likeness(masses, of.totals[own] - np.float32(self._taught))
        return Standing(of.ids, likeness, counts, frozenset(np.flatnonzero(counts <= 0).tolist()))


def _masses(words: Words) -> Float32:
    """float32[words]: what a note gives of each word, of unit length, so that long notes teach no more than short ones."""
    masses = 1 + np.log(words.counts.astype(np.float32))
    length = np.sqrt(masses @ masses)
    return masses / length if length else masses


def _ranges(starts: Int64, sizes: Int64) -> Int64:
    """The numbers from each start on, as many as its size, one range after the other."""
    ends = np.cumsum(sizes)
    return np.repeat(starts - (ends - sizes), sizes) + np.arange(ends[-1] if len(ends) else 0)
