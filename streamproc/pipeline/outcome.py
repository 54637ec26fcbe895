"""The values that go into the pipeline and come out of it."""

from dataclasses import dataclass

from streamproc.events.graph import GraphNote
from streamproc.events.note import Note
from streamproc.events.position import Source
from streamproc.events.tagged import NoteTagged

__all__ = ["Outcome", "SourcedNote"]


@dataclass(frozen=True, slots=True)
class SourcedNote:
    """A note and the record that it came in."""

    note: Note
    source: Source


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the pipeline decided for one note.

    ``graph_note`` is what the note adds to the graph; None with the write-back off and for a note in a
    language that the models do not read.
    """

    source: Source
    tagged: NoteTagged
    graph_note: GraphNote | None
