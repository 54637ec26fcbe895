"""The one writer of the graph: from records of the log to rows, edges and applied offsets.

Order is what makes a crash harmless: edges are published and confirmed, then rows are written, then
the applied offsets, then the group commits. Whatever is repeated writes the same again.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from streamproc.errors import KeyMismatchError, PoisonError
from streamproc.events.codec import decode_graph_note
from streamproc.events.graph import GraphNote, Origin
from streamproc.events.position import Source
from streamproc.events.record import InputRecord
from streamproc.events.segment import SegmentChange
from streamproc.events.tag import TagChange
from streamproc.graph.edges import EdgeChange, difference
from streamproc.graph.keys import note_row_key, parse_note_key
from streamproc.graph.rows import NoteRow, StoredNote, VertexRow, pack_details, pack_edges, stored_note, unit
from streamproc.graph.store import MilvusGraph
from streamproc.graph.view import Partition
from streamproc.inference.protocols import Encoder, Float32
from streamproc.inference.text import note_text, segment_text, tag_text
from streamproc.knowledge.repository import is_searchable

__all__ = ["GraphWriter", "NotePlan", "Rejected", "last_offsets"]


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that the graph cannot take, and why."""

    record: InputRecord
    error: PoisonError


@dataclass(frozen=True, slots=True)
class NotePlan:
    """What a micro-batch of ``graph.notes`` will do.

    Attributes:
        edges: to be published and confirmed before the plan is applied.
        rows: to be written.
        removed: keys of rows to be removed.
        offsets: the last offset of each partition in the batch, rejected records included.
        rejected: records for the dead letters.
    """

    edges: tuple[EdgeChange, ...]
    rows: tuple[NoteRow, ...]
    removed: tuple[str, ...]
    offsets: Mapping[Partition, int]
    rejected: tuple[Rejected, ...]


@dataclass(frozen=True, slots=True)
class _Entry:
    """The last word of a batch on one row: the note and what of it is stored, or None for its deletion."""

    note_id: str
    origin: Origin
    note: tuple[GraphNote, StoredNote] | None
    source: Source


class GraphWriter:
    """Writes the graph. One at a time may write a partition; Kafka's groups see to that.

    Args:
        graph: where to.
        encoder: for notes that come without a vector of its own, for tags and for knowledge.
    """

    def __init__(self, graph: MilvusGraph, encoder: Encoder) -> None:
        self.graph = graph
        self._encoder = encoder

    async def plan(self, records: Sequence[InputRecord]) -> NotePlan:
        """Work out what a micro-batch changes. Nothing is written yet.

        Per key the last record of the batch is the truth; edges go from what the graph has to that.

        Args:
            records: of ``graph.notes``, in the order of the log within each partition.

        Raises:
            DependencyDownError: Milvus or the encoder cannot be reached.
            DeadlineError: one of them did not answer in time.
        """
        entries, rejected = _last_words(records)
        note_ids = list(dict.fromkeys(entry.note_id for entry in entries.values()))
        both = [note_row_key(note_id, origin) for note_id in note_ids for origin in Origin]
        notes = [entry.note for entry in entries.values() if entry.note is not None]
        known, vectors = await asyncio.gather(
            self.graph.notes(both), self._vectors([note for note, _ in notes])
        )
        return NotePlan(
            _edge_changes(note_ids, known, entries),
            tuple(NoteRow(stored, vector) for (_, stored), vector in zip(notes, vectors, strict=True)),
            tuple(key for key, entry in entries.items() if entry.note is None),
            last_offsets(records),
            tuple(rejected),
        )

    async def apply(self, plan: NotePlan) -> None:
        """Write a plan whose edges are confirmed: rows first, then the applied offsets."""
        await self.graph.write_notes(plan.rows)
        await self.graph.delete_notes(plan.removed)
        await self.graph.write_offsets(plan.offsets)

    async def apply_tags(self, changes: Sequence[TagChange], offsets: Mapping[Partition, int]) -> None:
        """Bring the tags up to date: those that recall may propose are searchable, the others are not.

        Args:
            changes: valid changes in the order of the log; the last one per tag counts.
            offsets: the last offset of ``tags.changes`` that these changes reach.
        """
        last = {change.tag_id: change for change in changes}
        shown = [change for change in last.values() if is_searchable(change)]
        vectors = await self._encode([tag_text(change) for change in shown])
        await self.graph.write_tags(
            [VertexRow(change.tag_id, vector) for change, vector in zip(shown, vectors, strict=True)]
        )
        await self.graph.delete_tags([tag_id for tag_id, change in last.items() if not is_searchable(change)])
        await self.graph.write_offsets(offsets)

    async def apply_segments(
        self, changes: Sequence[SegmentChange | str], offsets: Mapping[Partition, int]
    ) -> None:
        """Bring the passages of knowledge up to date.

        Args:
            changes: in the order of the log; an id alone removes that passage.
            offsets: the last offset of ``knowledge.changes`` that these changes reach.
        """
        last = {change if isinstance(change, str) else change.segment_id: change for change in changes}
        kept = [change for change in last.values() if isinstance(change, SegmentChange)]
        vectors = await self._encode([segment_text(change) for change in kept])
        await self.graph.write_segments(
            [VertexRow(change.segment_id, vector) for change, vector in zip(kept, vectors, strict=True)]
        )
        await self.graph.delete_segments([change for change in last.values() if isinstance(change, str)])
        await self.graph.write_offsets(offsets)

    async def applied_offsets(self) -> dict[Partition, int]:
        """How far the graph has come: the last applied offset of every partition."""
        return await self.graph.offsets()

    async def warm_up(self) -> None:
        """Let the graph do now what would keep the first note waiting; see ``MilvusGraph.warm_up``."""
        await self.graph.warm_up()

    async def _vectors(self, notes: Sequence[GraphNote]) -> Float32:
        """float32[notes, dimension]: those the records carry, and new ones where they are another encoder's."""
        vectors = np.zeros((len(notes), self.graph.dimension), dtype=np.float32)
        missing = []
        for row, note in enumerate(notes):
            carried = note.unpack_vector() if note.encoder == self.graph.encoder_hash else None
            if (
                carried is not None
                and carried.shape == (self.graph.dimension,)
                and np.isfinite(carried).all()
            ):
                vectors[row] = carried
            else:
                missing.append(row)
        if missing:
            vectors[missing] = await self._encode([note_text(notes[row].note) for row in missing])
        return unit(vectors)

    async def _encode(self, texts: Sequence[str]) -> Float32:
        if not texts:
            return np.zeros((0, self.graph.dimension), dtype=np.float32)
        return (await self._encoder.encode(texts)).vectors


def last_offsets(records: Sequence[InputRecord]) -> dict[Partition, int]:
    """The last offset of each partition among some records."""
    last: dict[Partition, int] = {}
    for record in records:
        position = record.source.position
        partition = (position.topic, position.partition)
        last[partition] = max(position.offset, last.get(partition, -1))
    return last


def _last_words(records: Sequence[InputRecord]) -> tuple[dict[str, _Entry], list[Rejected]]:
    entries: dict[str, _Entry] = {}
    rejected = []
    for record in records:
        try:
            entry = _read(record)
        except PoisonError as error:
            rejected.append(Rejected(record, error))
        else:
            entries[note_row_key(entry.note_id, entry.origin)] = entry
    return entries, rejected


def _read(record: InputRecord) -> _Entry:
    note_id, origin = parse_note_key(record.key)
    if record.value is None:
        return _Entry(note_id, origin, None, record.source)
    note = decode_graph_note(record.value)
    if (note.note.note_id, note.origin) != (note_id, origin):
        raise KeyMismatchError(
            f"the key {(record.key or b'')[:200]!r} disagrees with the value's [{note.note.note_id!r}, {note.origin.value!r}]"
        )
    stored = stored_note(note)
    pack_edges(stored.tags), pack_details(stored)  # too much for a row: better known now than half-way
    return _Entry(note_id, origin, (note, stored), record.source)


def _edge_changes(
    note_ids: Sequence[str], known: Mapping[str, StoredNote], entries: Mapping[str, _Entry]
) -> tuple[EdgeChange, ...]:
    changes: list[EdgeChange] = []
    for note_id in note_ids:
        keys = [note_row_key(note_id, origin) for origin in Origin]
        old = {key: known[key] for key in keys if key in known}
        new = dict(old)
        touched = [(key, entries[key]) for key in keys if key in entries]
        for key, entry in touched:
            if entry.note is None:
                new.pop(key, None)
            else:
                _, new[key] = entry.note
        changes += difference(old.values(), new.values(), touched[-1][1].source)
    return tuple(changes)
