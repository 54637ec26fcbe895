"""From two states of a note to the changes of its edges on ``graph.edges``."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from streamproc.events.codec import edge_key, encode
from streamproc.events.graph import GraphEdge, Provenance, Relation
from streamproc.events.headers import output_headers
from streamproc.events.position import Source
from streamproc.events.record import OutputRecord
from streamproc.events.topics import TopicNames
from streamproc.graph.rows import StoredNote

__all__ = ["EdgeChange", "difference", "edge_records", "edges_of"]


@dataclass(frozen=True, slots=True)
class EdgeChange:
    """One edge to publish, or to remove.

    Attributes:
        key: the record's key on ``graph.edges``.
        edge: the edge as it now is; None removes it.
        source: the record of ``graph.notes`` that this change comes from.
    """

    key: bytes
    edge: GraphEdge | None
    source: Source


def difference(
    old: Iterable[StoredNote], new: Iterable[StoredNote], source: Source
) -> tuple[EdgeChange, ...]:
    """What must change on ``graph.edges`` for the edges of ``old`` to become those of ``new``.

    A note may stand in two rows, streamed and imported, and edges do not say which: both are given,
    so that an edge which one of them loses stays while the other has it. Edges that are equal
    before and after are left out, so a record read twice changes nothing.

    Args:
        old: the rows of one note as the graph has them, at most one an origin.
        new: the rows of that note as they are to be.
        source: the record of ``graph.notes`` that brought the change.
    """
    before = _by_key(old)
    after = _by_key(new)
    removed = (EdgeChange(key, None, source) for key in before if key not in after)
    written = (EdgeChange(key, edge, source) for key, edge in after.items() if before.get(key) != edge)
    return (*removed, *written)


def edges_of(note: StoredNote) -> Iterator[GraphEdge]:
    """All edges of a note: its tags, the tags near it, the notes near it."""
    for tag in note.tags:
        yield GraphEdge(
            source=note.note_id,
            relation=Relation.TAGGED,
            target=tag.tag_id,
            provenance=tag.provenance,
            weight=tag.weight,
            note_id=note.note_id,
        )
    for relation, near in (
        (Relation.SIMILAR_TAG, note.similar_tags),
        (Relation.SIMILAR_NOTE, note.similar_notes),
    ):
        for vertex in near:
            yield GraphEdge(
                source=note.note_id,
                relation=relation,
                target=vertex.target,
                provenance=Provenance.ENCODER,
                weight=vertex.similarity,
                note_id=note.note_id,
            )


def edge_records(changes: Iterable[EdgeChange], topics: TopicNames) -> tuple[OutputRecord, ...]:
    """The records to send; they must be confirmed before the rows are written."""
    return tuple(
        OutputRecord(
            topics.graph_edges,
            change.key,
            encode(change.edge) if change.edge else None,
            output_headers("graph.edges", change.source, change.key.decode()),
        )
        for change in changes
    )


def _by_key(rows: Iterable[StoredNote]) -> dict[bytes, GraphEdge]:
    # In order of origin: what two rows say differently of one edge must not depend on their order.
    ordered = sorted(rows, key=lambda row: row.origin.value)
    return {edge_key(edge): edge for row in ordered for edge in edges_of(row)}
