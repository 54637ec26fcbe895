"""Datasets: a directory with ``train.jsonl``, ``valid.jsonl``, ``test.jsonl`` and ``tags.jsonl``.

The protocol of every figure: the repository is the tags of ``tags.jsonl``, for free keywords those used
at least twice in train; history is train; gold tags outside the repository are left out, and notes
left with none are not scored.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import orjson

from streamproc.errors import DecodeError, InputFileError
from streamproc.events.codec import normalise_name
from streamproc.events.files import note_from_row, parse_object, read_events, read_lines, tag_from_row
from streamproc.events.note import Note
from streamproc.events.tag import TagChange

__all__ = ["Dataset", "LabelledNote", "Rules", "Split", "read_dataset"]


class Split(StrEnum):
    """The three files of a dataset."""

    TRAIN = "train"
    VALID = "valid"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Rules:
    """How a dataset is to be read.

    Attributes:
        category: whether programs may see the notes' ``category``. Off unless it is known to tell
            nothing of the gold tags: it equals or contains them in several public datasets.
        min_train_count: how often a tag must occur in train to belong to the repository.
    """

    category: bool = False
    min_train_count: int = 0


KNOWN_RULES = {
    "biotools_edam": Rules(category=True),
    "nyt_keywords": Rules(category=True, min_train_count=2),
    "papers_keywords": Rules(min_train_count=2),
    "samples": Rules(category=True),
}
"""Rules of datasets that are known by the name of their directory; all others have ``Rules()``."""


@dataclass(frozen=True, slots=True)
class LabelledNote:
    """A note and the ids of its right tags, all of them in the repository; perhaps none.

    ``moment`` is its date as the file writes it, for replay in order of time; empty where there is none.
    """

    note: Note
    gold: frozenset[str]
    moment: str


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset as the protocol sees it."""

    name: str
    tags: tuple[TagChange, ...]
    train: tuple[LabelledNote, ...]
    valid: tuple[LabelledNote, ...]
    test: tuple[LabelledNote, ...]

    def split(self, split: Split) -> tuple[LabelledNote, ...]:
        """The notes of one file, in its order."""
        return {Split.TRAIN: self.train, Split.VALID: self.valid, Split.TEST: self.test}[split]

    @property
    def single_tag(self) -> bool:
        """Whether every note of train has exactly one tag: such sets are judged by P@1."""
        return all(len(note.gold) <= 1 for note in self.train)


def read_dataset(directory: Path, rules: Rules | None = None) -> Dataset:
    """Read a dataset.

    Args:
        directory: holds the four files.
        rules: None: those known for the directory's name, else ``Rules()``.

    Raises:
        InputFileError: a file is missing or a line cannot be used; names file and line.
    """
    name = directory.resolve().name
    rules = rules or KNOWN_RULES.get(name, Rules())
    raw = {split: list(_notes(directory / f"{split}.jsonl", rules)) for split in Split}
    counts = Counter(tag for note in raw[Split.TRAIN] for tag in note.gold)
    tags = tuple(
        tag
        for tag in read_events(directory / "tags.jsonl", tag_from_row)
        if counts[tag.tag_id] >= rules.min_train_count
    )
    known = frozenset(tag.tag_id for tag in tags)

    def within(split: Split) -> tuple[LabelledNote, ...]:
        return tuple(LabelledNote(each.note, each.gold & known, each.moment) for each in raw[split])

    return Dataset(name, tags, within(Split.TRAIN), within(Split.VALID), within(Split.TEST))


def _notes(path: Path, rules: Rules) -> Iterator[LabelledNote]:
    try:
        with path.open("rb") as file:
            for line in read_lines(file):
                try:
                    yield _labelled(parse_object(line.value), rules)
                except (DecodeError, orjson.JSONDecodeError) as error:
                    raise InputFileError(f"{path}, line {line.number}: {error}") from None
    except OSError as error:
        raise InputFileError(f"{path} cannot be read: {error.strerror or error}") from None


def _labelled(row: dict[str, Any], rules: Rules) -> LabelledNote:
    gold = row.pop("tags", None) or ()
    if not isinstance(gold, list | tuple) or not all(isinstance(tag, str) for tag in gold):
        raise DecodeError('"tags" must be a list of names')
    if not rules.category:
        row.pop("category", None)
    moment = row.get("date")
    return LabelledNote(
        note_from_row(row),
        frozenset(normalise_name(tag) for tag in gold),
        moment if isinstance(moment, str) else "",
    )
