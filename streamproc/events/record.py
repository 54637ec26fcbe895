"""Records as they stand on a topic, before and after Kafka."""

from dataclasses import dataclass

from streamproc.events.headers import Headers
from streamproc.events.position import Source

__all__ = ["InputRecord", "OutputRecord"]


@dataclass(frozen=True)
class InputRecord:
    """A record as it was read: raw bytes and where they stood."""

    source: Source
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()


@dataclass(frozen=True)
class OutputRecord:
    """A record ready to be sent; ``topic`` is the full name, a ``value`` of None is a tombstone."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers

    @property
    def size(self) -> int:
        """Bytes of key, value and headers; what Kafka adds is covered by the topics' 64 KiB allowance."""
        return (
            len(self.key or b"")
            + len(self.value or b"")
            + sum(len(name) + len(value) for name, value in self.headers)
        )
