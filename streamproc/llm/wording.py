"""How notes, candidates and samples are put into words for a language model.

What strangers wrote is given as JSON: no text can leave its quotes and pass for a part of the prompt.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from streamproc.events.note import Note
from streamproc.events.tag import TagChange

__all__ = ["Sample", "candidate_list", "note_json", "sample_list", "shortened"]

NOTE_CHARACTERS = 6000
"""As much of a note's text as is shown: about 1,500 tokens."""

SAMPLE_CHARACTERS = 400
"""As much of a sample's text as is shown."""

DEFINITION_CHARACTERS = 400
"""As much of a tag's definition as is shown."""

_SHOWN_SYNONYMS = 5


@dataclass(frozen=True, slots=True)
class Sample:
    """A note that people labelled, and the names of its tags."""

    note: Note
    tags: tuple[str, ...]


def note_json(note: Note) -> str:
    """A note as a JSON object: title, category, text, what its images say; empty fields left out."""
    images = [
        {name: words for name, words in (("caption", image.caption), ("text", image.ocr)) if words}
        for image in note.images
    ]
    return _object(
        title=note.title,
        category=note.category,
        text=shortened(note.text, NOTE_CHARACTERS),
        images=[image for image in images if image],
    )


def candidate_list(tags: Sequence[TagChange]) -> str:
    """The candidates, one a line, numbered from 1: name, definition, synonyms."""
    return "\n".join(f"{number}. {_candidate(tag)}" for number, tag in enumerate(tags, start=1))


def sample_list(samples: Sequence[Sample]) -> str:
    """Labelled notes, a JSON object a line."""
    return "\n".join(
        _object(
            title=sample.note.title,
            text=shortened(sample.note.text, SAMPLE_CHARACTERS),
            tags=list(sample.tags),
        )
        for sample in samples
    )


def shortened(text: str, most: int) -> str:
    """The text, its middle left out where it is longer: the end of a note often says what it was about."""
    stripped = text.strip()
    if len(stripped) <= most:
        return stripped
    tail = most // 4
    return f"{stripped[: most - tail].rstrip()} […] {stripped[-tail:].lstrip()}"


def _candidate(tag: TagChange) -> str:
    words = _line(tag.name)
    if tag.description.strip():
        words += f": {shortened(_line(tag.description), DEFINITION_CHARACTERS)}"
    if tag.synonyms:
        words += f" (also: {', '.join(map(_line, tag.synonyms[:_SHOWN_SYNONYMS]))})"
    return words


def _line(text: str) -> str:
    return " ".join(text.split())


def _object(**fields: object) -> str:
    return orjson.dumps({name: value for name, value in fields.items() if value}).decode()
