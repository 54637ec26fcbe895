"""The lexical index of the repository: names that stand in a text, and BM25 over names and definitions.

An index is a value: ``put`` and ``remove`` return a new one and the old one keeps answering as before.
Versions share one append-only store, so a change costs the size of the tag, never of the repository:
every version of a tag has a slot, and an index sees the slots that were born before it and have not
died before it.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import repeat
from math import log

import numpy as np
import numpy.typing as npt

from streamproc.events.tag import TagChange

__all__ = ["LexicalIndex", "LexicalMatch", "Span", "surface", "tokenize"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

# Robertson and Zaragoza (2009), the usual values.
_K1 = 1.2
_B = 0.75

# Words of a note that are looked up for BM25. A long text's topic is clear from its beginning, and the
# cost of a note stays bounded. Exact names are looked for in the whole text.
_QUERY_TOKENS = 400

# Postings read for a note, rarest words first. Words beyond it occur in so many tags that they tell
# them apart no longer; the bound keeps a note at about a millisecond among 100,000 tags.
_POSTING_BUDGET = 4096

# A word in more than a quarter of all tags says nothing of any; small repositories keep all words.
_COMMON_SHARE = 0.25
_ALWAYS_READ = 32

# A posting packs (slot, occurs in the name, occurrences up to 127) into one integer.
_SLOT_SHIFT = 8
_NAME_BIT = 128
_COUNT_MASK = 127

# Words of the name count this many times in BM25: definitions are longer and mention other things.
_NAME_WEIGHT = 3

_NEVER = np.iinfo(np.int64).max

# Letters and digits, with the signs that belong to names such as C++ and C#.
_TOKEN = re.compile(r"[^\W_]+[+#]*")
_NO_PLURAL = ("ss", "us", "is", "news")
_QUALIFIER = re.compile(r"\s*\([^()]*\)\s*$")


def tokenize(text: str) -> list[str]:
    """The words of a text in lower case, without plural endings, in their order."""
    return [_folded(token) for token in _TOKEN.findall(text)]


@lru_cache(maxsize=1 << 16)
def _folded(token: str) -> str:
    """In lower case, by Harman's S-stemmer: ``Networks`` and ``network`` are one word; ``news`` and ``class`` stay."""
    token = token.lower()
    if len(token) <= 3 or not token.endswith("s") or token.endswith(_NO_PLURAL):
        return token
    if token.endswith("ies") and not token.endswith(("eies", "aies")):
        return token[:-3] + "y"
    return token[:-1]


@dataclass(frozen=True, slots=True)
class Span:
    """Where a name stands: in the title or else the text, from word ``start`` to before word ``end``."""

    in_title: bool
    start: int
    end: int


def surface(title: str, text: str, span: Span) -> str:
    """The characters of a span as they stand in the note."""
    source = title if span.in_title else text
    first = last = None
    for number, token in enumerate(_TOKEN.finditer(source)):
        if number == span.start:
            first = token.start()
        if number == span.end - 1:
            last = token.end()
            break
    return source[first:last]


@dataclass(frozen=True, slots=True)
class LexicalMatch:
    """What the words of one note have in common with the tags of one index.

    Attributes:
        exact: tags whose name or synonym stands in the note, with the first place, title before text.
        in_text: how often it stands in the text, for those that stand there.
        best: up to n tags by BM25, best first, ties in order of id; scores are positive.
    """

    exact: dict[str, Span]
    in_text: dict[str, int]
    best: tuple[tuple[str, float], ...]
    _store: "_Store"
    _before: int
    _slots: Int64
    _measures: Float64

    def columns(self, tag_ids: Sequence[str]) -> Float32:
        """Measures of these tags, float32[tags, 3].

        BM25; the summed rarity (idf) of the name's words that the note has; their share of the name's words.
        """
        columns = np.zeros((len(tag_ids), 3), dtype=np.float32)
        if not len(self._slots):
            return columns
        slot_of = self._store.newest(self._before)
        wanted = np.fromiter(map(slot_of, tag_ids, repeat(-1)), dtype=np.int64, count=len(tag_ids))
        places = np.searchsorted(self._slots, wanted)
        places[places == len(self._slots)] = 0
        found = self._slots[places] == wanted
        columns[found] = self._measures[places[found]]
        return columns


class LexicalIndex:
    """Names, synonyms and definitions of tags, searchable by their words.

    Build one with :meth:`build`. Safe to read from any version at any time; versions are made by one
    writer, each from the newest (an older one branches by building its own store).
    """

    def __init__(self, store: "_Store") -> None:
        self._store = store
        self._slots = store.slots
        self._clock = store.clock
        self._living = store.slots - store.dead
        self._mean_length = store.mean_length

    @classmethod
    def build(cls, tags: Iterable[TagChange] = ()) -> "LexicalIndex":
        """An index over these tags; of several with one id the last counts."""
        store = _Store()
        for tag in tags:
            store.put(tag)
        return cls(store)

    def __len__(self) -> int:
        return self._living

    def put(self, tag: TagChange) -> "LexicalIndex":
        """The index with this tag in it, in place of one with the same id."""
        store = self._writable()
        store.put(tag)
        return LexicalIndex(store)

    def remove(self, tag_id: str) -> "LexicalIndex":
        """The index without this tag; it need not be there."""
        store = self._writable()
        store.remove(tag_id)
        return LexicalIndex(store)

    def _writable(self) -> "_Store":
        if self._clock == self._store.clock and not self._store.mostly_dead:
            return self._store
        fresh = _Store()
        for tag in self._store.living(self._slots, self._clock):
            fresh.put(tag)
        return fresh

    def match(self, title: str, text: str, *, best: int = 20) -> LexicalMatch:
        """Look up the words of a note: linear in the text, whatever the number of tags.

        Args:
            title: may be empty.
            text: may be empty.
            best: how many tags to rank by BM25.
        """
        title_tokens, text_tokens = tokenize(title), tokenize(text)
        exact: dict[str, Span] = {}
        in_text: dict[str, int] = {}
        for tag_id, start, end in self._names(title_tokens):
            exact.setdefault(tag_id, Span(in_title=True, start=start, end=end))
        for tag_id, start, end in self._names(text_tokens):
            in_text[tag_id] = in_text.get(tag_id, 0) + 1
            if tag_id not in exact:
                exact[tag_id] = Span(in_title=False, start=start, end=end)
        words = dict.fromkeys(title_tokens)
        words.update(dict.fromkeys(text_tokens[:_QUERY_TOKENS]))
        return self._ranked(words, exact, in_text, best)

    def _names(self, tokens: list[str]) -> Iterable[tuple[str, int, int]]:
        """Tags named in the tokens: leftmost longest matches, as (tag id, start, end)."""
        starts, names = self._store.starts, self._store.names
        position, count = 0, len(tokens)
        while position < count:
            lengths = starts.get(tokens[position])
            end = position + 1
            if lengths is not None:
                for length in lengths:
                    if position + length > count:
                        continue
                    named = names.get(" ".join(tokens[position : position + length]))
                    living = named and [s for s in named if self._sees(s)]
                    if living:
                        end = position + length
                        for slot in living:
                            yield self._store.tags[slot].tag_id, position, end
                        break
            position = end

    def _sees(self, slot: int) -> bool:
        return slot < self._slots and bool(self._store.died[slot] > self._clock)

    def _ranked(
        self, words: Iterable[str], exact: dict[str, Span], in_text: dict[str, int], best: int
    ) -> LexicalMatch:
        store, slots = self._store, self._slots
        postings, idfs = store.rarest(words, slots, self._clock, self._living)
        if not postings:
            nothing = np.empty(0, dtype=np.int64)
            return LexicalMatch(exact, in_text, (), store, slots, nothing, np.empty((0, 3)))
        packed = np.concatenate(postings)
        idf = np.repeat(np.array(idfs), [len(each) for each in postings])
        slot = packed >> _SLOT_SHIFT
        if store.clock != self._clock or store.dead:
            visible = slot < slots
            visible[visible] = store.died[slot[visible]] > self._clock
            packed, idf, slot = packed[visible], idf[visible], slot[visible]
            if not len(slot):
                return LexicalMatch(exact, in_text, (), store, slots, slot, np.empty((0, 3)))
        # The tags that were found, and the place of each posting's tag among them: without sorting the postings.
        seen = np.zeros(slots, dtype=np.bool_)
        seen[slot] = True
        found = np.flatnonzero(seen)
        places = np.empty(slots, dtype=np.int64)
        places[found] = np.arange(len(found))
        place = places[slot]
        occurrences = (packed & _COUNT_MASK).astype(np.float64)
        terms = idf * occurrences * (_K1 + 1) / (occurrences + self._saturation[slot])
        named = np.flatnonzero(packed & _NAME_BIT)
        measures = np.empty((len(found), 3))
        measures[:, 0] = np.bincount(place, terms, len(found))
        measures[:, 1] = np.bincount(place[named], idf[named], len(found))
        measures[:, 2] = np.bincount(place[named], minlength=len(found)) / store.name_lengths[found]
        return LexicalMatch(
            exact, in_text, _best(measures[:, 0], found, store.tags, best), store, slots, found, measures
        )

    @cached_property
    def _saturation(self) -> Float64:
        """float64[slots]: how many times a word must stand in a tag's text to count half as much as it can."""
        lengths = self._store.lengths[: self._slots]
        return _K1 * (1 - _B + _B * lengths / self._mean_length)


class _Store:
    """What all versions of an index share; only ever added to."""

    def __init__(self) -> None:
        self.tags: list[TagChange] = []
        self.names: dict[str, list[int]] = {}
        self.starts: dict[str, tuple[int, ...]] = {}
        self.died = np.full(64, _NEVER, dtype=np.int64)
        self.lengths = np.zeros(64, dtype=np.float64)
        self.name_lengths = np.ones(64, dtype=np.float32)
        self.clock = 0
        self.dead = 0
        self._total_length = 0
        self._newest: dict[str, int] = {}
        self._previous: list[int] = []
        self._postings: dict[str, list[int]] = {}
        self._arrays: dict[str, Int64] = {}
        self._tags_with: dict[str, int] = {}

    @property
    def slots(self) -> int:
        return len(self.tags)

    @property
    def mean_length(self) -> float:
        return max(self._total_length / max(self.slots - self.dead, 1), 1.0)

    @property
    def mostly_dead(self) -> bool:
        """Whether a fresh store would be less than half as large: a rare cost, spread over many changes."""
        return self.dead > 1024 and self.dead * 2 > self.slots

    def newest(self, before: int) -> Callable[[str, int], int]:
        """Gives the newest slot of a tag that is below ``before``, or else its second argument."""
        if before == self.slots:
            return self._newest.get

        def look_back(tag_id: str, none: int) -> int:
            slot = self._newest.get(tag_id, none)
            while slot >= before:
                slot = self._previous[slot]
            return slot

        return look_back

    def living(self, slots: int, clock: int) -> Iterable[TagChange]:
        return (self.tags[slot] for slot in range(slots) if self.died[slot] > clock)

    def put(self, tag: TagChange) -> None:
        self.remove(tag.tag_id)
        slot = self.slots
        if slot == len(self.died):
            self.died = np.concatenate([self.died, np.full(slot, _NEVER, dtype=np.int64)])
            self.lengths = np.concatenate([self.lengths, np.zeros(slot)])
            self.name_lengths = np.concatenate([self.name_lengths, np.ones(slot, dtype=np.float32)])
        self.tags.append(tag)
        self._previous.append(self._newest.get(tag.tag_id, -1))
        self._newest[tag.tag_id] = slot
        for name in dict.fromkeys(
            " ".join(tokens) for label in (tag.name, *tag.synonyms) for tokens in _spellings(label)
        ):
            self._name(name, slot)
        counts, in_name = _words(tag)
        for word, count in counts.items():
            packed = slot << _SLOT_SHIFT | (_NAME_BIT if word in in_name else 0) | min(count, _COUNT_MASK)
            self._postings.setdefault(word, []).append(packed)
            self._arrays.pop(word, None)
            self._tags_with[word] = self._tags_with.get(word, 0) + 1
        length = sum(counts.values())
        self.lengths[slot] = length
        self.name_lengths[slot] = max(len(in_name), 1)
        self._total_length += length
        self.clock += 1

    def remove(self, tag_id: str) -> None:
        slot = self._newest.get(tag_id, -1)
        if slot < 0 or self.died[slot] != _NEVER:
            return
        self.clock += 1
        self.died[slot] = self.clock
        self.dead += 1
        self._total_length -= int(self.lengths[slot])
        for word in _words(self.tags[slot])[0]:
            self._tags_with[word] -= 1

    def _name(self, name: str, slot: int) -> None:
        if not name:
            return
        self.names.setdefault(name, []).append(slot)
        first, length = name.split(" ", 1)[0], name.count(" ") + 1
        lengths = self.starts.get(first, ())
        if length not in lengths:
            self.starts[first] = tuple(sorted((*lengths, length), reverse=True))

    def rarest(
        self, words: Iterable[str], slots: int, clock: int, living: int
    ) -> tuple[list[Int64], list[float]]:
        """Packed postings and idf of the words that tell tags apart, rarest first, within the budget."""
        having_now = self._tags_with
        common = max(_ALWAYS_READ, living * _COMMON_SHARE)
        if clock == self.clock:
            counted = [(having, word) for word in words if (having := having_now.get(word, 0))]
        else:  # an older index: some of the postings are not yet, others still alive
            counted = [(having, word) for word in words if (having := self._seen(word, slots, clock))]
        postings: list[Int64] = []
        idfs: list[float] = []
        budget = _POSTING_BUDGET
        for having, word in sorted(counted):
            budget -= having
            if budget < 0 or having > common:
                break
            postings.append(self._array(word))
            idfs.append(log(1 + (living - having + 0.5) / (having + 0.5)))
        return postings, idfs

    def _seen(self, word: str, slots: int, clock: int) -> int:
        if word not in self._postings:
            return 0
        slot = self._array(word) >> _SLOT_SHIFT
        slot = slot[slot < slots]
        return int((self.died[slot] > clock).sum())

    def _array(self, word: str) -> Int64:
        array = self._arrays.get(word)
        if array is None:
            array = self._arrays[word] = np.array(self._postings[word], dtype=np.int64)
        return array


def _words(tag: TagChange) -> tuple[dict[str, int], frozenset[str]]:
    """How often each word counts for the tag, and which words its name has."""
    name = frozenset(tokenize(tag.name))
    counts = dict.fromkeys(name, _NAME_WEIGHT)
    for text in (*tag.synonyms, tag.description):
        for word in tokenize(text):
            counts[word] = counts.get(word, 0) + 1
    return counts, name


def _spellings(label: str) -> Iterable[list[str]]:
    """A name as it may stand in a text.

    Vocabularies write "Trump, Donald J" and "Affordable Care Act (2010)" where texts have "Donald J
    Trump", "Donald Trump" and "Affordable Care Act".
    """
    yield tokenize(label)
    plain = _QUALIFIER.sub("", label)
    if plain != label:
        yield tokenize(plain)
    last, comma, first = plain.partition(",")
    if comma and "," not in first:
        given, family = tokenize(first), tokenize(last)
        yield given + family
        yield [part for part in given if len(part) > 1] + family


def _best(
    scores: Float64, slots: Int64, tags: Sequence[TagChange], count: int
) -> tuple[tuple[str, float], ...]:
    """The highest scores, rounded so that ties are ties on every machine, in order of id where equal."""
    rounded = np.round(scores, 4)
    if len(rounded) > count:
        chosen = np.flatnonzero(rounded >= np.partition(rounded, -count)[-count])
        rounded, slots = rounded[chosen], slots[chosen]
    ranked = sorted(
        (-score, tags[slot].tag_id) for score, slot in zip(rounded.tolist(), slots.tolist(), strict=True)
    )
    return tuple((tag_id, -negative) for negative, tag_id in ranked[:count])
