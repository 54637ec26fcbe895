"""A file of records to be sent: checked to its end first, then read again line by line."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from streamproc.cli.input_records import RecordOf
from streamproc.errors import DecodeError, InputFileError
from streamproc.events.files import Line, read_lines
from streamproc.events.note import Note
from streamproc.events.record import OutputRecord

__all__ = ["DatedLine", "RecordFile"]


@dataclass(frozen=True, slots=True, order=True)
class DatedLine:
    """Where a note stands in its file, and when it was written. Sorts by date, then by line."""

    moment: datetime
    number: int
    offset: int


@dataclass(frozen=True)
class RecordFile:
    """A file, and how its lines become records. The file is never held in memory.

    Attributes:
        path: the file (JSONL).
        record_of: makes a record of a line.
        max_bytes: the largest record that the topic takes.
    """

    path: Path
    record_of: RecordOf
    max_bytes: int

    def check(self) -> int:
        """Read the whole file and return how many records it gives.

        Raises:
            InputFileError: it cannot be read twice, or a line cannot be used; names file and line.
        """
        if self.path.exists() and not self.path.is_file():
            raise InputFileError(
                f"{self.path} is not a regular file. It is checked to its end before anything is sent, so it is "
                "read twice: save it to a file first."
            )
        return sum(1 for _ in self.records())

    def records(self) -> Iterator[OutputRecord]:
        """Give the records in the order of the file.

        Raises:
            InputFileError: the file cannot be read, or a line cannot be used.
        """
        for _, line in self._lines():
            yield self._record(line)

    def by_date(self, note_of: Callable[[Line], Note]) -> list[DatedLine]:
        """Sort the lines of a file of notes by ``created_at``; a date without a time zone is UTC.

        Raises:
            InputFileError: the file cannot be read, or a note has no date.
        """
        dated = []
        for offset, line in self._lines():
            moment = note_of(line).created_utc
            if moment is None:
                raise InputFileError(
                    f"{self.path}, line {line.number}: the note has no created_at, so it has no place in an "
                    "order by date. Add it, or publish without --by-date."
                )
            dated.append(DatedLine(moment, line.number, offset))
        return sorted(dated)

    def records_at(self, order: list[DatedLine]) -> Iterator[OutputRecord]:
        """Give the records of these lines, in this order.

        Raises:
            InputFileError: the file has changed since it was checked.
        """
        with self.path.open("rb") as file:
            for place in order:
                file.seek(place.offset)
                line = next(read_lines(file), None)
                if line is None:
                    raise InputFileError(f"{self.path} became shorter while it was read.")
                yield self._record(Line(place.number, line.value))

    def _lines(self) -> Iterator[tuple[int, Line]]:
        try:
            with self.path.open("rb") as file:
                offset = 0
                for line in read_lines(file):
                    yield offset, line
                    offset = file.tell()
        except OSError as error:
            raise InputFileError(f"{self.path} cannot be read: {error.strerror or error}") from None

    def _record(self, line: Line) -> OutputRecord:
        try:
            record = self.record_of(line)
        except DecodeError as error:
            raise InputFileError(f"{self.path}, line {line.number}: {error}") from None
        if record.size > self.max_bytes:
            raise InputFileError(
                f"{self.path}, line {line.number}: its record has {record.size} bytes; topic {record.topic} takes "
                f"{self.max_bytes} (STREAMPROC_MAX_NOTE_BYTES and 64 KiB)."
            )
        return record
