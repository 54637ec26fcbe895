"""Where a record came from: the identity of every unit of work."""

from datetime import UTC, datetime

import msgspec

from streamproc.errors import HeaderError

__all__ = ["Source", "SourcePosition"]


class SourcePosition(msgspec.Struct, frozen=True, order=True):
    """Topic, partition and offset of a record; unique in a cluster, increasing per key."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"

    @classmethod
    def parse(cls, text: str) -> "SourcePosition":
        """Read the form that ``str`` gives.

        Raises:
            HeaderError: the text is not ``topic/partition/offset``.
        """
        try:
            topic, partition, offset = text.rsplit("/", 2)
            return cls(topic, int(partition), int(offset))
        except ValueError:
            raise HeaderError(f"source position {text!r} is not topic/partition/offset") from None


class Source(msgspec.Struct, frozen=True):
    """A source position and the record's timestamp (milliseconds since 1970, UTC)."""

    position: SourcePosition
    timestamp_ms: int

    @property
    def time(self) -> str:
        """The timestamp in RFC 3339, with milliseconds."""
        moment = datetime.fromtimestamp(max(self.timestamp_ms, 0) / 1000, tz=UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
