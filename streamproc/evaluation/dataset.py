"""Datasets: a directory with ``train.jsonl``, ``valid.jsonl``, ``test.jsonl`` and ``tags.jsonl``.

A line of notes is ``{"id", "title", "text", "tags": […], "rejected"?: […], "category"?, "date"?}``; ``rejected`` are
tags of which people said that they do not apply. A line of tags is ``{"tag", "tag_id"?, "description"?, …}``.

The protocol of every figure: the repository is the tags of ``tags.jsonl``, for free keywords those used
at least twice in train; history is train; gold tags outside the repository are left out, and notes
left with none are not scored. A merged tag counts as the one that it became; deprecated tags and those of policy
``manual_only``, which no model may emit, are outside the repository.

A dataset that cannot be relied on is refused as a whole: a broken line, a note that says nothing or has neither
tags nor rejections, a tag that ``tags.jsonl`` does not know, a merge into one that does not stand before it, an id that stands twice (then test would be known from
train).
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np

from streamproc.errors import DecodeError, InputFileError, InvalidChangeError, UserError
from streamproc.events.codec import normalise_name
from streamproc.events.files import note_from_row, parse_object, read_lines, tag_from_row
from streamproc.events.note import Note
from streamproc.events.tag import TagChange
from streamproc.inference.digest import sha256_file
from streamproc.inference.text import note_text
from streamproc.knowledge.repository import check_change, is_searchable, resolve

__all__ = ["Dataset", "LabelledNote", "Rules", "Split", "read_dataset"]

T = TypeVar("T")


class Split(StrEnum):
    """The three files of a dataset."""

    TRAIN = "train"
    VALID = "valid"
    TEST = "test"


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a dataset is to be read; a file ``rules.json`` in its directory may say so.

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
"""Rules of datasets that are known by the name of their directory; others have their own, or ``Rules()``."""


@dataclass(frozen=True, slots=True)
class LabelledNote:
    """A note and what people said of it.

    Attributes:
        note: the note, without any tag.
        gold: ids of its right tags, all of them in the repository; perhaps none.
        moment: its date as the file writes it, for replay in order of time; empty where there is none.
        rejected: ids of tags that people said do not apply, all of them in the repository.
    """

    note: Note
    gold: frozenset[str]
    moment: str
    rejected: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset as the protocol sees it.

    Attributes:
        name: of its directory.
        tags: the repository.
        train: the history.
        valid: to choose on.
        test: to report.
        digests: SHA-256 (hex) of the files of notes it was read from.
    """

    name: str
    tags: tuple[TagChange, ...]
    train: tuple[LabelledNote, ...]
    valid: tuple[LabelledNote, ...]
    test: tuple[LabelledNote, ...]
    digests: Mapping[Split, str] = field(default_factory=dict, compare=False)

    def split(self, split: Split) -> tuple[LabelledNote, ...]:
        """The notes of one file, in its order."""
        return {Split.TRAIN: self.train, Split.VALID: self.valid, Split.TEST: self.test}[split]

    @property
    def single_tag(self) -> bool:
        """Whether no note has several tags: such sets are judged by P@1."""
        return all(len(note.gold) <= 1 for split in Split for note in self.split(split))

    def with_first(self, count: int, seed: int) -> "Dataset":
        """The same on a day when people have labelled but so many notes: train keeps these, drawn at random.

        Args:
            count: of notes that have a tag; 0: nobody has labelled any.
            seed: of the draw.

        Raises:
            UserError: train has fewer.
        """
        labelled = [place for place, each in enumerate(self.train) if each.gold]
        if count > len(labelled):
            raise UserError(
                f"a history of {count:,} notes was asked for, and {self.name}'s train has {len(labelled):,} with a tag"
            )
        drawn = np.random.default_rng(seed).permutation(labelled)[:count]
        return replace(self, train=tuple(self.train[place] for place in sorted(drawn)))


def read_dataset(directory: Path, rules: Rules | None = None) -> Dataset:
    """Read a dataset.

    Args:
        directory: holds the four files.
        rules: None: those of its ``rules.json``, else those known for the directory's name, else ``Rules()``.

    Raises:
        InputFileError: a file is missing, a line cannot be used (names file and line), or no tag or no label is left.
    """
    name = directory.resolve().name
    rules = rules or _rules(directory / "rules.json") or KNOWN_RULES.get(name, Rules())
    tags = _tags(directory / "tags.jsonl")
    emitted = _emitted(tags)
    if not emitted:
        raise InputFileError(
            f"{directory / 'tags.jsonl'}: every tag is deprecated or of policy manual_only, so none could be emitted: "
            "give some the status active and the policy auto or review"
        )
    reader = _Reader(rules, frozenset(tags), emitted)
    raw = {split: reader.notes(directory / f"{split}.jsonl") for split in Split}
    counts = Counter(tag for note in raw[Split.TRAIN] for tag in note.gold)
    if not counts:
        raise InputFileError(
            f"{directory / 'train.jsonl'}: no note has a tag that could be emitted, so there is no history to learn from: "
            "label some with tags that are active in tags.jsonl, and not manual_only"
        )
    repository = tuple(
        tag
        for tag_id, tag in tags.items()
        if emitted.get(tag_id) == tag_id and counts[tag_id] >= rules.min_train_count
    )
    if not repository:
        raise InputFileError(
            f"{directory / 'train.jsonl'}: no tag occurs {rules.min_train_count} times, as often as a tag of the repository "
            f'must: write {{"min_train_count": 0}} to {directory / "rules.json"}'
        )
    known = frozenset(tag.tag_id for tag in repository)

    def within(split: Split) -> tuple[LabelledNote, ...]:
        return tuple(
            replace(each, gold=each.gold & known, rejected=each.rejected & known) for each in raw[split]
        )

    digests = {split: sha256_file(directory / f"{split}.jsonl") for split in Split}
    return Dataset(name, repository, within(Split.TRAIN), within(Split.VALID), within(Split.TEST), digests)


def _rules(path: Path) -> Rules | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Rules)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputFileError(f"{path} cannot be read: {error.strerror or error}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InputFileError(f"{path} does not say how to read the dataset: {error}") from None


def _tags(path: Path) -> dict[str, TagChange]:
    tags: dict[str, TagChange] = {}
    for line, tag in _rows(path, tag_from_row):
        if tag.tag_id in tags:
            raise InputFileError(f"{path}, line {line}: the tag {tag.tag_id!r} stands in the file already")
        try:
            check_change(tag, tags)
        except InvalidChangeError as error:
            raise InputFileError(f"{path}, line {line}: {error}") from None
        tags[tag.tag_id] = tag
    if not tags:
        raise InputFileError(f'{path} has no tag: write one a line, such as {{"tag": "coffee"}}')
    return tags


def _emitted(tags: Mapping[str, TagChange]) -> dict[str, str]:
    """Id → that of the tag which is emitted for it, merges followed; ids for which none ever is are left out."""
    ends = {tag_id: resolve(tag_id, tags) for tag_id in tags}
    return {tag_id: tag.tag_id for tag_id, tag in ends.items() if tag is not None and is_searchable(tag)}


class _Reader:
    """Reads the files of notes of one dataset; knows which ids it has met."""

    def __init__(self, rules: Rules, tag_ids: frozenset[str], emitted: Mapping[str, str]) -> None:
        self._rules = rules
        self._tag_ids = tag_ids
        self._emitted = emitted
        self._met: dict[str, str] = {}

    def notes(self, path: Path) -> list[LabelledNote]:
        notes = []
        for line, each in _rows(path, self._labelled):
            note_id = each.note.note_id
            if note_id in self._met:
                raise InputFileError(
                    f"{path}, line {line}: the note {note_id!r} stands in {self._met[note_id]} already"
                )
            self._met[note_id] = f"{path.name}, line {line},"
            notes.append(each)
        return notes

    def _labelled(self, row: dict[str, Any]) -> LabelledNote:
        gold = self._named(row.pop("tags", None), "tags")
        rejected = self._named(row.pop("rejected", None), "rejected")
        if not gold | rejected:
            raise DecodeError('the note has no tag: "tags" must name at least one, or "rejected" must')
        if both := gold & rejected:
            raise DecodeError(f"the tag {min(both)!r} is both right and rejected")
        if not self._rules.category:
            row.pop("category", None)
        moment = row.get("date")
        note = note_from_row(row)
        if not note_text(note):
            raise DecodeError("title, text and images say nothing; a note needs at least a title or a text")
        # Where merged tags were judged differently, the word on the tag itself counts, then the kinder one.
        right = self._stand_for(gold) - rejected
        wrong = self._stand_for(rejected) - right
        return LabelledNote(note, right, moment if isinstance(moment, str) else "", wrong)

    def _stand_for(self, tag_ids: frozenset[str]) -> frozenset[str]:
        return frozenset(self._emitted[tag_id] for tag_id in tag_ids if tag_id in self._emitted)

    def _named(self, names: object, field: str) -> frozenset[str]:
        if names is None:
            return frozenset()
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise DecodeError(f'"{field}" must be a list of names')
        tag_ids = frozenset(name if name in self._tag_ids else normalise_name(name) for name in names)
        if unknown := tag_ids - self._tag_ids:
            raise DecodeError(f'"{field}" has {min(unknown)!r}, which tags.jsonl does not know')
        return tag_ids


def _rows(path: Path, read: Callable[[dict[str, Any]], T]) -> Iterator[tuple[int, T]]:
    try:
        with path.open("rb") as file:
            for line in read_lines(file):
                try:
                    yield line.number, read(parse_object(line.value))
                except DecodeError as error:
                    raise InputFileError(f"{path}, line {line.number}: {error}") from None
    except OSError as error:
        raise InputFileError(f"{path} cannot be read: {error.strerror or error}") from None
