"""``notes.labels``: people's judgements of published notes."""

from streamproc.events.fields import Event, Id

__all__ = ["Judgement"]


class Judgement(Event, frozen=True):
    """One person's word on one tag of one note. Key: ``note_id``; the last word per annotator counts."""

    note_id: Id
    tag_id: Id
    correct: bool
    annotator: Id | None = None
