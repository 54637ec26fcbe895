"""Field types shared by events: identifiers and texts with the limits that hold on every topic."""

from typing import Annotated

import msgspec

__all__ = ["Event", "Id", "Name", "Paragraph", "Url", "Word"]

_PRINTABLE = r"^[^\x00-\x1f\x7f]+$"

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=256, pattern=_PRINTABLE)]
"""An identifier: 1–256 characters, none of them a control character."""

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256, pattern=_PRINTABLE)]
"""A name that people read: 1–256 characters, none of them a control character."""

Word = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=_PRINTABLE)]
"""A short token of a vocabulary: a kind, a language, a model version."""

Paragraph = Annotated[str, msgspec.Meta(max_length=8192)]
"""A definition, a rule, a caption: up to 8,192 characters."""

Url = Annotated[str, msgspec.Meta(max_length=2048)]
"""An address: up to 2,048 characters."""


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of all values on topics. Unknown fields are ignored on input; evolution is additive."""
