"""Labelled history: notes with the tags that people gave them, as the graph takes them in."""

from streamproc.events.codec import content_hash, normalise_name
from streamproc.events.graph import GraphNote, GraphTag, Origin, Provenance
from streamproc.events.note import Note
from streamproc.events.position import SourcePosition

__all__ = ["file_position", "imported_note"]


def file_position(file_name: str, line: int) -> SourcePosition:
    """Where an imported note came from: a file stands for a topic, a line (counted from 1) for an offset."""
    return SourcePosition(f"import:{file_name}", 0, line)


def imported_note(note: Note, source: SourcePosition, encoder: str) -> GraphNote:
    """Make the graph's note of a labelled one; its tags are edges of full weight.

    Args:
        note: the note; its ``tags`` are ids or exact names.
        source: where it came from (:func:`file_position`).
        encoder: hash of the float weights of the encoder in use. The record carries no vector: whoever writes the
            graph embeds the note.
    """
    # A tag named twice is one edge; the order of the file stays.
    tag_ids = dict.fromkeys(normalise_name(name) for name in note.tags)
    return GraphNote(
        note=note,
        origin=Origin.IMPORT,
        content_hash=content_hash(note),
        source=source,
        encoder=encoder,
        tags=tuple(
            GraphTag(tag_id=tag_id, weight=1.0, provenance=Provenance.IMPORT) for tag_id in tag_ids if tag_id
        ),
    )
