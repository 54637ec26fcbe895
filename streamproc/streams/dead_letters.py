"""Dead letters as operators meet them: found, shown, and sent back to where they came from."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from streamproc.config import Settings
from streamproc.errors import HeaderError, SettingsError
from streamproc.events.position import SourcePosition
from streamproc.events.record import InputRecord, OutputRecord
from streamproc.events.topics import TopicNames
from streamproc.streams.dead_letter import DeadLetter, read_dead_letter
from streamproc.streams.reading import no_progress, read_positions, read_to_end

__all__ = ["REPLAYED_FROM", "Found", "Wanted", "fetch", "find", "replayed", "why_not_replayable"]

REPLAYED_FROM = "replayed-from"
"""Header of a record that was sent back: the position of its dead letter."""


@dataclass(frozen=True)
class Found:
    """A dead letter and where it stands itself; operators name it by that position."""

    position: SourcePosition
    timestamp_ms: int
    letter: DeadLetter


@dataclass(frozen=True)
class Wanted:
    """Which dead letters are asked for; None stands for any.

    Attributes:
        exception: class of the error, for instance ``DecodeError``.
        stage: the stage that met it, for instance ``decode``.
        since_ms: died at or after this moment, milliseconds since 1970.
        positions: positions of the dead letters themselves.
    """

    exception: str | None = None
    stage: str | None = None
    since_ms: int | None = None
    positions: frozenset[SourcePosition] | None = None

    def takes(self, found: Found) -> bool:
        """Whether this one is asked for."""
        return (
            (self.exception is None or self.exception == found.letter.exception)
            and (self.stage is None or self.stage == found.letter.stage)
            and (self.since_ms is None or found.timestamp_ms >= self.since_ms)
            and (self.positions is None or found.position in self.positions)
        )


async def find(
    settings: Settings,
    wanted: Wanted,
    progress: Callable[[int, int], None] = no_progress,
    foreign: Callable[[SourcePosition, str], None] | None = None,
) -> AsyncIterator[Found]:
    """Read ``notes.dead`` from its start and give what is asked for.

    Args:
        settings: how to connect.
        wanted: what is asked for.
        progress: told offsets passed and offsets in all.
        foreign: told of records that are no dead letters of this application, with the reason.

    Raises:
        SettingsError: Kafka does not answer to these settings, or the topic does not exist.
        DependencyDownError: Kafka cannot be reached.
    """
    topic = TopicNames(settings.topic_prefix).notes_dead
    async for batch in read_to_end(settings, [topic], progress):
        for record in batch:
            try:
                found = _found(record)
            except HeaderError as error:
                if foreign is not None:
                    foreign(record.source.position, str(error))
                continue
            if wanted.takes(found):
                yield found


async def fetch(settings: Settings, positions: Sequence[SourcePosition]) -> list[Found]:
    """Read the dead letters at these positions of ``notes.dead``, in this order.

    Raises:
        SettingsError: there is no dead letter at one of them, or Kafka does not answer to these settings, or
            the topic does not exist.
        DependencyDownError: Kafka cannot be reached.
    """
    records = await read_positions(settings, positions)
    found = []
    for position in positions:
        record = records.get(position)
        if record is None:
            raise SettingsError(
                f"There is no dead letter at {position}: the position is wrong, or Kafka has deleted it "
                "(they are kept for 30 days). 'streamproc dead list' shows those there are."
            )
        try:
            found.append(_found(record))
        except HeaderError as error:
            raise SettingsError(f"The record at {position} is not a dead letter: {error}.") from None
    return found


def _found(record: InputRecord) -> Found:
    letter = read_dead_letter(record.key, record.value, record.headers)
    return Found(record.source.position, record.source.timestamp_ms, letter)


def why_not_replayable(found: Found) -> str | None:
    """Say why a dead letter cannot be sent back, or None where it can."""
    letter = found.letter
    if letter.truncated:
        return (
            f"only its first {len(letter.value or b'')} bytes were kept, because the whole did not fit; "
            f"publish the original again (SHA-256 {letter.sha256})"
        )
    if letter.key is None and letter.value is None:
        return "it has neither a key nor a value, so there is nothing to send"
    return None


def replayed(found: Found) -> OutputRecord:
    """Make the original record again, with a header that says which dead letter it was."""
    letter = found.letter
    # A letter that died twice names its last death only.
    headers = tuple((name, value or b"") for name, value in letter.headers if name != REPLAYED_FROM)
    return OutputRecord(
        topic=letter.source.position.topic,
        key=letter.key,
        value=letter.value,
        headers=(*headers, (REPLAYED_FROM, str(found.position).encode())),
    )
