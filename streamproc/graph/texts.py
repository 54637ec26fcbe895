"""Moved: import from streamproc.inference.text. This file goes away; change your imports."""

from streamproc.inference.text import note_text, segment_text, tag_text

__all__ = ["note_text", "segment_text", "tag_text"]
