"""From an outcome to the records that say it. Pure; everything is encoded and measured before the first send."""

from collections.abc import Sequence
from dataclasses import dataclass

from streamproc.config import Settings, WriteBack
from streamproc.errors import OutputTooLargeError
from streamproc.events.codec import encode, graph_note_key
from streamproc.events.graph import Origin
from streamproc.events.headers import output_headers
from streamproc.events.position import Source
from streamproc.events.record import InputRecord, OutputRecord
from streamproc.events.topics import TopicNames
from streamproc.pipeline.outcome import Outcome
from streamproc.streams.dead_letter import Cause, dead_letter

__all__ = ["Outputs"]


@dataclass(frozen=True)
class Outputs:
    """Writes the outputs of a note."""

    names: TopicNames
    max_bytes: int
    write_back: bool

    @classmethod
    def of(cls, settings: Settings) -> "Outputs":
        """The outputs that the settings describe."""
        return cls(
            TopicNames(settings.topic_prefix), settings.max_output_bytes, settings.write_back is WriteBack.ON
        )

    def tagged(self, outcome: Outcome) -> tuple[OutputRecord, ...]:
        """``notes.tagged``, and ``graph.notes`` with the write-back on.

        Raises:
            OutputTooLargeError: one of them would not fit its topic; none may be sent then.
        """
        note_id = outcome.tagged.note_id
        tagged = OutputRecord(
            self.names.notes_tagged,
            note_id.encode(),
            encode(outcome.tagged),
            output_headers("notes.tagged", outcome.source),
        )
        if not self.write_back:
            return self._fitting((tagged,))
        # A note that adds nothing to the graph (any more) takes back what an earlier version of it added.
        value = None if outcome.graph_note is None else encode(outcome.graph_note)
        return self._fitting((tagged, self._graph_note(note_id, Origin.STREAM, value, outcome.source)))

    def deleted(self, note_id: str, source: Source) -> tuple[OutputRecord, ...]:
        """Tombstones wherever the note may stand; those of its edges follow from the graph agent's difference."""
        return (
            OutputRecord(
                self.names.notes_tagged, note_id.encode(), None, output_headers("notes.tagged", source)
            ),
            *(self._graph_note(note_id, origin, None, source) for origin in Origin),
        )

    def dead(self, record: InputRecord, cause: Cause) -> OutputRecord:
        """The dead letter of a record; it always fits."""
        return dead_letter(self.names.notes_dead, record, cause, self.max_bytes)

    def _graph_note(self, note_id: str, origin: Origin, value: bytes | None, source: Source) -> OutputRecord:
        return OutputRecord(
            self.names.graph_notes,
            graph_note_key(note_id, origin),
            value,
            output_headers("graph.notes", source, origin.value),
        )

    def _fitting(self, records: Sequence[OutputRecord]) -> tuple[OutputRecord, ...]:
        for record in records:
            if record.size > self.max_bytes:
                raise OutputTooLargeError(
                    f"the output for {record.topic} has {record.size} bytes; the topic takes {self.max_bytes} "
                    "(STREAMPROC_MAX_NOTE_BYTES and 64 KiB)"
                )
        return tuple(records)
