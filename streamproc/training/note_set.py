"""A labelled dataset as encoder fine-tuning reads it: texts, and tags by number."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streamproc.evaluation.dataset import Dataset, LabelledNote
from streamproc.evaluation.related import sharing_tags
from streamproc.inference.protocols import Float32
from streamproc.inference.text import note_text, tag_text

__all__ = ["HeldOut", "NoteSet", "note_set", "without_hashtags"]

Places = npt.NDArray[np.int64]

# Measured on valid after every epoch: enough to tell epochs apart, few enough to take seconds.
_MOST_QUERIES = 400
_MOST_CORPUS = 2000

_HASHTAG = re.compile(r"#(\w+)")


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Notes of valid, notes of train among which they look for related ones, and which are related.

    Attributes:
        query_texts: of notes of valid.
        corpus: places of notes of train.
        related: for each query places in ``corpus``.
    """

    query_texts: tuple[str, ...]
    corpus: Places
    related: tuple[Places, ...]


@dataclass(frozen=True, slots=True)
class NoteSet:
    """A labelled dataset.

    Attributes:
        name: the dataset's.
        note_ids: of train.
        texts: of train, without the hashtags that name the note's own tags.
        tags: numbers of each note's tags, ascending, int64[tags of the note].
        tag_texts: name, description and synonyms of each tag.
        rarity: float32[tags], log(notes ÷ notes with the tag): how much it tells that two notes share it.
        held_out: what the epochs are compared on.
    """

    name: str
    note_ids: tuple[str, ...]
    texts: tuple[str, ...]
    tags: tuple[Places, ...]
    tag_texts: tuple[str, ...]
    rarity: Float32
    held_out: HeldOut


def note_set(dataset: Dataset, co_viewed: Iterable[tuple[str, str]] = (), *, seed: int = 0) -> NoteSet:
    """Number the tags of a dataset and draw what its epochs are compared on.

    Args:
        dataset: read by the protocol, so its texts hold no category that gives tags away.
        co_viewed: ids of notes that people view together. If there are any, the related notes of a note
            of valid are the notes of train it is viewed with; otherwise those that share two tags with it
            (one, where every note has but one).
        seed: of the draw.
    """
    numbers = {tag.tag_id: number for number, tag in enumerate(dataset.tags)}
    names = [tag.name for tag in dataset.tags]
    tags = tuple(
        np.array(sorted(numbers[tag] for tag in each.gold), dtype=np.int64) for each in dataset.train
    )
    used = np.bincount(np.concatenate([np.zeros(0, dtype=np.int64), *tags]), minlength=len(numbers))
    return NoteSet(
        name=dataset.name,
        note_ids=tuple(each.note.note_id for each in dataset.train),
        texts=tuple(
            without_hashtags(note_text(each.note), [names[tag] for tag in places])
            for each, places in zip(dataset.train, tags, strict=True)
        ),
        tags=tags,
        tag_texts=tuple(tag_text(tag) for tag in dataset.tags),
        rarity=np.log(max(len(tags), 1) / np.maximum(used, 1)).astype(np.float32),
        held_out=_held_out(dataset, list(co_viewed), np.random.default_rng(seed)),
    )


def without_hashtags(text: str, names: Sequence[str]) -> str:
    """The text without hashtags that spell one of the names (``#BlackHoles`` for “black holes”).

    What is to be predicted must not stand in the input (NoteLLM, 3.2).
    """
    own = {_squashed(name) for name in names}
    return _HASHTAG.sub(lambda found: "" if _squashed(found[1]) in own else found[0], text)


def _squashed(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalnum())


def _held_out(dataset: Dataset, co_viewed: Sequence[tuple[str, str]], random: np.random.Generator) -> HeldOut:
    corpus = np.sort(random.permutation(len(dataset.train))[:_MOST_CORPUS])
    train = [dataset.train[place] for place in corpus]
    related = _viewed(dataset.valid, train, co_viewed) if co_viewed else _sharing(dataset, train)
    asked = np.array([place for place, places in enumerate(related) if len(places)], dtype=np.int64)
    drawn = np.sort(random.permutation(asked)[:_MOST_QUERIES])
    return HeldOut(
        query_texts=tuple(note_text(dataset.valid[place].note) for place in drawn),
        corpus=corpus,
        related=tuple(related[place] for place in drawn),
    )


def _sharing(dataset: Dataset, train: Sequence[LabelledNote]) -> list[Places]:
    least = 1 if dataset.single_tag else 2
    return sharing_tags([each.gold for each in dataset.valid], [each.gold for each in train], least)


def _viewed(
    valid: Sequence[LabelledNote], train: Sequence[LabelledNote], co_viewed: Sequence[tuple[str, str]]
) -> list[Places]:
    places = {each.note.note_id: place for place, each in enumerate(train)}
    seen: dict[str, set[int]] = {}
    for first, second in co_viewed:
        for one, other in ((first, second), (second, first)):
            if other in places:
                seen.setdefault(one, set()).add(places[other])
    return [np.array(sorted(seen.get(each.note.note_id, ())), dtype=np.int64) for each in valid]
