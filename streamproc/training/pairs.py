"""Pairs of related notes that an encoder learns from: notes that share tags, or that people view together."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import orjson

from streamproc.errors import DecodeError, InputFileError
from streamproc.events.files import parse_object, read_lines
from streamproc.inference.protocols import Float32

__all__ = ["CoViewed", "CoViewedPairs", "Pairs", "TagPairs", "read_co_viewed"]

Places = npt.NDArray[np.int64]


class Pairs(Protocol):
    """What a note's partner is drawn from."""

    def partner(self, note: int, random: np.random.Generator) -> int | None:
        """The place of a note related to this one, drawn by weight; None if there is none."""

    def related(self, first: int, second: int) -> bool:
        """Whether two notes are a pair for a reason that their tags do not show."""


class TagPairs:
    """Notes that share tags, the likelier drawn the more and the rarer the tags they share.

    The weight of a pair is the sum of the rarities of the tags in common. A note that shares two tags
    with nobody is paired with those that share one.

    Args:
        tags: numbers of each note's tags.
        rarity: float32[tags].
    """

    def __init__(self, tags: Sequence[Places], rarity: Float32) -> None:
        self._tags = tags
        self._rarity = rarity
        users: list[list[int]] = [[] for _ in rarity]
        for note, numbers in enumerate(tags):
            for number in numbers:
                users[number].append(note)
        self._users = [np.array(each, dtype=np.int64) for each in users]

    def partner(self, note: int, random: np.random.Generator) -> int | None:
        """See ``Pairs``."""
        numbers = self._tags[note]
        if not len(numbers):
            return None
        users = [self._users[number] for number in numbers]
        places = np.concatenate(users)
        rarity = np.repeat(self._rarity[numbers].astype(np.float64), [len(each) for each in users])
        shared = np.bincount(places, minlength=len(self._tags))
        weight = np.bincount(places, weights=rarity, minlength=len(self._tags))
        shared[note] = 0
        least = 2 if (shared >= 2).any() else 1
        others = np.flatnonzero(shared >= least)
        if not others.size:
            return None
        # A tag that every note has is worth nothing; the floor keeps such pairs possible.
        chances = np.maximum(weight[others], 1e-6)
        return int(random.choice(others, p=chances / chances.sum()))

    def related(self, first: int, second: int) -> bool:  # noqa: ARG002 - of the Protocol
        """Tags say it all."""
        return False


@dataclass(frozen=True, slots=True)
class CoViewed:
    """Two notes, by id, that people view together, and how often."""

    first: str
    second: str
    weight: float


class CoViewedPairs:
    """Pairs from a file; the heavier the likelier.

    Args:
        pairs: those whose notes are not both known are passed over.
        note_ids: of the notes.
    """

    def __init__(self, pairs: Iterable[CoViewed], note_ids: Sequence[str]) -> None:
        places = {note_id: place for place, note_id in enumerate(note_ids)}
        self._others: dict[int, dict[int, float]] = {}
        for pair in pairs:
            first, second = places.get(pair.first), places.get(pair.second)
            if first is None or second is None or first == second:
                continue
            for one, other in ((first, second), (second, first)):
                of_one = self._others.setdefault(one, {})
                of_one[other] = of_one.get(other, 0.0) + pair.weight
        self.notes = len(self._others)

    def partner(self, note: int, random: np.random.Generator) -> int | None:
        """See ``Pairs``."""
        others = self._others.get(note)
        if others is None:
            return None
        weights = np.array(list(others.values()))
        return list(others)[int(random.choice(len(weights), p=weights / weights.sum()))]

    def related(self, first: int, second: int) -> bool:
        """Whether people view the two together."""
        return second in self._others.get(first, ())


def read_co_viewed(file: Path) -> list[CoViewed]:
    """Read pairs: lines of ``{"a": id, "b": id, "weight"?: number above 0}``.

    Raises:
        InputFileError: the file cannot be read, holds no pair, or a line is not one; names file and line.
    """
    pairs = []
    try:
        with file.open("rb") as lines:
            for line in read_lines(lines):
                try:
                    pairs.append(_pair(parse_object(line.value)))
                except (DecodeError, orjson.JSONDecodeError) as error:
                    raise InputFileError(f"{file}, line {line.number}: {error}") from None
    except OSError as error:
        raise InputFileError(f"{file} cannot be read: {error.strerror or error}") from None
    if not pairs:
        raise InputFileError(f'{file} holds no pair: give lines like {{"a": "note-1", "b": "note-2"}}')
    return pairs


def _pair(row: dict[str, Any]) -> CoViewed:
    first, second, weight = row.get("a"), row.get("b"), row.get("weight", 1)
    if not (isinstance(first, str) and isinstance(second, str)):
        raise DecodeError('a pair needs "a" and "b", the ids of two notes')
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight < float("inf"):
        raise DecodeError(f'"weight" is {weight!r}: it must be a number above 0')
    return CoViewed(first, second, float(weight))
