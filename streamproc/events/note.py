"""``notes.new``: what producers publish."""

from datetime import UTC, datetime
from typing import Annotated

import msgspec

from streamproc.events.fields import Event, Id, Name, Paragraph, Url

__all__ = ["Image", "Note", "NoteDeleted"]

Text = Annotated[str, msgspec.Meta(max_length=16 * 1024 * 1024)]
"""Bounded here by the format; the limit in force is the setting ``max_text_chars``."""


class Image(Event, frozen=True):
    """An image of a note; its caption and recognised text take part in tagging."""

    url: Url
    caption: Paragraph = ""
    ocr: Paragraph = ""


class Note(Event, frozen=True):
    """A post, article, ad or query to be tagged. Key: ``note_id``."""

    note_id: Id
    title: Annotated[str, msgspec.Meta(max_length=4096)] = ""
    text: Text = ""
    category: Annotated[str, msgspec.Meta(max_length=256)] = ""
    language: Annotated[
        str, msgspec.Meta(max_length=35, description="A BCP 47 code, such as en or en-GB.")
    ] = ""
    tags: Annotated[tuple[Name, ...], msgspec.Meta(max_length=64)] = ()
    images: Annotated[tuple[Image, ...], msgspec.Meta(max_length=64)] = ()
    created_at: datetime | None = None
    author_id: Annotated[str, msgspec.Meta(max_length=256)] = ""

    @property
    def created_utc(self) -> datetime | None:
        """``created_at``, by which notes can be ordered; without a time zone it is UTC."""
        moment = self.created_at
        return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)


class NoteDeleted(msgspec.Struct, frozen=True):
    """A tombstone on ``notes.new``: the note is to vanish everywhere."""

    note_id: Id
