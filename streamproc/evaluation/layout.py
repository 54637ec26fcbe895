"""How an export becomes the files of a dataset: which note goes into which of them, and how a line looks."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
import orjson

from streamproc.evaluation.dataset import Rules, Split
from streamproc.evaluation.export import Example
from streamproc.events.tag import TagChange, TagPolicy

__all__ = ["Shares", "by_date", "by_id", "dataset_files"]

_EARLIEST = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Shares:
    """What part of the notes goes into valid and into test; the rest is train."""

    valid: float = 0.1
    test: float = 0.1


def by_id(examples: Sequence[Example], shares: Shares) -> dict[Split, list[Example]]:
    """Split by a hash of the note's id: a note stays where it is in every later export."""
    parts: dict[Split, list[Example]] = {split: [] for split in Split}
    for each in examples:
        digest = hashlib.sha256(each.note.note_id.encode("utf-8", "surrogatepass")).digest()
        place = int.from_bytes(digest[:8]) / 2**64
        if place < shares.test:
            split = Split.TEST
        elif place < shares.test + shares.valid:
            split = Split.VALID
        else:
            split = Split.TRAIN
        parts[split].append(each)
    return parts


def by_date(examples: Sequence[Example], shares: Shares) -> dict[Split, list[Example]]:
    """Split by the notes' dates: the latest are test, those before them valid; notes without a date are train."""
    ordered = sorted(examples, key=lambda each: (each.note.created_utc or _EARLIEST, each.note.note_id))
    test = len(ordered) - round(len(ordered) * shares.test)
    valid = test - round(len(ordered) * shares.valid)
    undated = sum(each.note.created_at is None for each in ordered)
    valid, test = max(valid, undated), max(test, undated)
    return {
        Split.TRAIN: ordered[:valid],
        Split.VALID: ordered[valid:test],
        Split.TEST: ordered[test:],
    }


def dataset_files(
    parts: Mapping[Split, Sequence[Example]], tags: Sequence[TagChange]
) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Each file of the dataset: its name and its lines."""
    for split in Split:
        yield f"{split}.jsonl", (_line(_note_row(each)) for each in parts[split])
    counts = {split: Counter(tag_id for each in parts[split] for tag_id in each.tags) for split in Split}
    yield "tags.jsonl", (_line(_tag_row(tag, counts)) for tag in tags)
    # Workers read the category of these notes, so models that are to serve them may, too.
    yield "rules.json", iter((_line(msgspec.to_builtins(Rules(category=True))),))


def _note_row(each: Example) -> dict[str, Any]:
    note = each.note
    row: dict[str, Any] = {"id": note.note_id, "title": note.title, "text": note.text, "tags": each.tags}
    optional = {
        "rejected": each.rejected,
        "category": note.category,
        "date": note.created_at.isoformat() if note.created_at else "",
        "language": note.language,
        "images": msgspec.to_builtins(note.images),
    }
    return row | {name: value for name, value in optional.items() if value}


def _tag_row(tag: TagChange, counts: Mapping[Split, Mapping[str, int]]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "tag": tag.name,
        "tag_id": tag.tag_id,
        "count": sum(of_split.get(tag.tag_id, 0) for of_split in counts.values()),
        "count_train": counts[Split.TRAIN].get(tag.tag_id, 0),
        "type": tag.kind,
    }
    optional = {
        "description": tag.description,
        "synonyms": tag.synonyms,
        "parents": tag.parents,
        "policy": "" if tag.policy is TagPolicy.AUTO else tag.policy.value,
    }
    return row | {name: value for name, value in optional.items() if value}


def _line(row: dict[str, Any]) -> bytes:
    return orjson.dumps(row) + b"\n"
