"""CloudEvents 1.0 headers in Kafka's binary content mode, and our extension ``sourceposition``.

``ce_id`` and ``ce_time`` derive from the source position: a consumer can drop repeats and never step back.
"""

import re
from collections.abc import Sequence

from streamproc.errors import HeaderError
from streamproc.events.position import Source, SourcePosition

__all__ = ["Headers", "check_headers", "output_headers", "source_position"]

Headers = tuple[tuple[str, bytes], ...]

SOURCE_POSITION = "ce_sourceposition"
CONTENT_TYPE = (b"application/json", b"application/json; charset=utf-8", b"application/json;charset=utf-8")
_RFC3339 = re.compile(r"^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$")


def output_headers(topic: str, source: Source, part: str = "") -> Headers:
    """Headers of an output.

    Args:
        topic: the output topic without its prefix; it names the event type.
        source: the record that this output comes from.
        part: tells several outputs of one record on one topic apart (the edge's key).
    """
    position = str(source.position)
    return (
        ("ce_specversion", b"1.0"),
        ("ce_id", f"{topic}:{position}{':' + part if part else ''}".encode()),
        ("ce_type", f"streamproc.{topic}.v1".encode()),
        ("ce_source", b"/streamproc"),
        ("ce_time", source.time.encode()),
        ("content-type", b"application/json"),
        (SOURCE_POSITION, position.encode()),
    )


def source_position(headers: Sequence[tuple[str, bytes | None]]) -> SourcePosition | None:
    """Return the source position that an output carries, if it carries one.

    Raises:
        HeaderError: it is there and cannot be read.
    """
    for name, value in headers:
        if name == SOURCE_POSITION:
            return SourcePosition.parse((value or b"").decode("utf-8", "replace"))
    return None


def check_headers(headers: Sequence[tuple[str, bytes | None]]) -> None:
    """Accept an input record's headers. They are optional; what is there must be well formed.

    Raises:
        HeaderError: a CloudEvents attribute or the content type is broken.
    """
    for name, value in headers:
        if not name.startswith("ce_") and name.lower() != "content-type":
            continue
        try:
            text = (value or b"").decode()
        except UnicodeDecodeError:
            raise HeaderError(f"header {name} is not UTF-8: {value!r}") from None
        if not text:
            raise HeaderError(f"header {name} is empty; leave it out or give it a value")
        if name == "ce_specversion" and text != "1.0":
            raise HeaderError(f"header ce_specversion is {text!r}; only 1.0 is understood")
        if name == "ce_time" and not _RFC3339.match(text):
            raise HeaderError(f"header ce_time is {text!r}, not an RFC 3339 time")
        if name.lower() == "content-type" and text.lower().encode() not in CONTENT_TYPE:
            raise HeaderError(f"header content-type is {text!r}; values are application/json")
