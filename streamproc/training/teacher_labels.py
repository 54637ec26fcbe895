"""Files of teacher labels: what a teacher believes of each candidate of a note, as JSON Lines.

One line a note, whoever the teacher was (a language model behind an endpoint, a large cross-encoder)::

    {"note_id": "n1", "teacher": "some-model", "prompt": "v1-3f2a…", "reasoning": "…",
     "labels": [{"tag_id": "economy", "probability": 0.9, "reason": "…"}], "missing": ["central banks"]}
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

import msgspec

from streamproc.errors import InputFileError
from streamproc.events.files import read_lines
from streamproc.whole_file import write_whole

__all__ = ["TaughtNote", "TeacherLabel", "TeacherLabels", "read_taught_notes", "write_taught_notes"]

Probability = Annotated[float, msgspec.Meta(ge=0, le=1)]
Given = Annotated[str, msgspec.Meta(min_length=1)]


class TeacherLabel(msgspec.Struct, frozen=True, omit_defaults=True):
    """How probable the teacher holds it that a tag is right for the note, and why."""

    tag_id: Given
    probability: Probability
    reason: str = ""


class TaughtNote(msgspec.Struct, frozen=True, omit_defaults=True):
    """Everything a teacher said of one note.

    Attributes:
        note_id: of the note.
        teacher: the model that answered.
        prompt: version and hash of the prompt; empty for a teacher that is not prompted.
        reasoning: what it considered before it answered.
        labels: of candidates; a candidate without a label was not answered.
        missing: names of tags that it would add and that were not among the candidates.
    """

    note_id: Given
    teacher: Given
    labels: tuple[TeacherLabel, ...]
    prompt: str = ""
    reasoning: str = ""
    missing: tuple[str, ...] = ()


class TeacherLabels:
    """Soft labels of many notes.

    Args:
        notes: what teachers said, each note at most once.
        source: what messages call them.
    """

    def __init__(self, notes: Iterable[TaughtNote], source: str = "the teacher's labels") -> None:
        kept = tuple(notes)
        self._labels: dict[str, Mapping[str, float]] = {
            note.note_id: MappingProxyType({label.tag_id: label.probability for label in note.labels})
            for note in kept
        }
        self.teachers: tuple[str, ...] = tuple(sorted({note.teacher for note in kept}))
        """The models that answered, by name."""
        self.source = source
        """What messages call them: the file."""

    @classmethod
    def read(cls, path: Path) -> "TeacherLabels":
        """Read a file of teacher labels.

        Raises:
            InputFileError: see :func:`read_taught_notes`.
        """
        return cls(read_taught_notes(path), str(path))

    def of(self, note_id: str) -> Mapping[str, float]:
        """Probability of each tag that the teacher judged; empty for a note it never saw."""
        return self._labels.get(note_id, _NOTHING)

    def __contains__(self, note_id: object) -> bool:
        return note_id in self._labels

    def __len__(self) -> int:
        return len(self._labels)


_NOTHING: Mapping[str, float] = MappingProxyType({})


def read_taught_notes(path: Path) -> list[TaughtNote]:
    """Read a whole file of teacher labels, in its order.

    Raises:
        InputFileError: the file cannot be read, a line is no teacher label, or a note or one of its
            tags is labelled twice; names file and line.
    """
    seen: dict[str, int] = {}
    notes = []
    try:
        with path.open("rb") as file:
            for line in read_lines(file):
                note = _taught(path, line.number, line.value)
                first = seen.setdefault(note.note_id, line.number)
                if first != line.number:
                    raise InputFileError(
                        f"{path}, line {line.number}: note {note.note_id!r} was labelled in line {first} already; "
                        "leave one of the two"
                    )
                notes.append(note)
    except OSError as error:
        raise InputFileError(f"{path} cannot be read: {error.strerror or error}") from None
    return notes


def write_taught_notes(path: Path, notes: Iterable[TaughtNote]) -> int:
    """Write a whole file of teacher labels; it appears complete or not at all.

    Returns:
        How many notes were written.

    Raises:
        InputFileError: the file cannot be written.
    """
    encoder = msgspec.json.Encoder()
    lines = [encoder.encode(note) + b"\n" for note in notes]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputFileError(f"{path} cannot be written: {error.strerror or error}") from None
    write_whole(path, b"".join(lines))
    return len(lines)


def _taught(path: Path, number: int, value: bytes) -> TaughtNote:
    try:
        note = _DECODER.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputFileError(f"{path}, line {number}: not a teacher label: {error}") from None
    tag_ids = [label.tag_id for label in note.labels]
    if len(set(tag_ids)) != len(tag_ids):
        twice = next(tag_id for tag_id in tag_ids if tag_ids.count(tag_id) > 1)
        raise InputFileError(f"{path}, line {number}: tag {twice!r} is labelled twice")
    return note


_DECODER = msgspec.json.Decoder(TaughtNote)
