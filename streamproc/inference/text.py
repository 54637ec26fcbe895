"""How a note, a tag and a passage of knowledge are put into words for the models (LLM4Tag, 3.1).

The vectors of the graph depend on these functions: a change here makes every stored vector stale.
"""

from streamproc.events.note import Note
from streamproc.events.segment import SegmentChange
from streamproc.events.tag import TagChange

__all__ = ["note_text", "segment_text", "tag_text"]


def note_text(note: Note) -> str:
    """Title, category, text, then what its images say; one part a line, empty ones left out.

    The text stands before the images, so that the author's words survive where the window ends.
    """
    images = (part for image in note.images for part in (image.caption, image.ocr))
    parts = (note.title, note.category, note.text, *images)
    return "\n".join(stripped for part in parts if (stripped := part.strip()))


def tag_text(tag: TagChange) -> str:
    """``name: description (synonyms)``; parts that nobody wrote are left out."""
    description = tag.description.strip()
    described = f"{tag.name}: {description}" if description else tag.name
    return f"{described} ({', '.join(tag.synonyms)})" if tag.synonyms else described


def segment_text(segment: SegmentChange) -> str:
    """The passage, preceded by its category where it has one."""
    return f"{segment.category}: {segment.text}" if segment.category else segment.text
