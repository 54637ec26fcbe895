"""The content-tag graph in Milvus: vector search, rows by key, applied offsets.

The same code for a ``.db`` (Milvus Lite) and for a server. Nothing is decided here: what changes
is worked out in :mod:`~streamproc.graph.writer`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from streamproc.events.graph import Origin
from streamproc.graph.access import Page, Rows
from streamproc.graph.answers import Found, in_order, notes_in_order
from streamproc.graph.collections import OFFSET_DIMENSION, CollectionNames, Layout, create_missing
from streamproc.graph.discriminant import Likeness
from streamproc.graph.hits import Hits, NoteHit, SegmentHit, Spoken, TagHit
from streamproc.graph.keys import from_row_key, note_row_key, split_note_key, to_row_key
from streamproc.graph.label_sums import Labels, Taught
from streamproc.graph.milvus import GraphAddress, Milvus
from streamproc.graph.rows import (
    Float32,
    NoteRow,
    StoredNote,
    VertexRow,
    pack_details,
    pack_edges,
    unpack_details,
    unpack_edges,
    words_in,
)
from streamproc.graph.tag_history import TagHistory
from streamproc.graph.uses import given_by_people
from streamproc.graph.view import Partition
from streamproc.graph.wording import NO_WORDS

__all__ = ["Counts", "MilvusGraph"]

T = TypeVar("T")
Says = Callable[[str, frozenset[str]], frozenset[str]]
"""(key of a row, its tags by people's edges) → the tags that it counts for."""

CALL_ROWS = 256
"""Rows in one call: the fattest ones together stay below the 64 MiB that a server takes."""

FLUSH_ROWS = 1024
"""Rows after which Milvus Lite moves what it holds in memory to a file. Every search walks the rows in
memory one by one, and every file costs a search of its own; between 500 and 2,000 it hardly matters."""

SURPLUS = 4
"""Hits asked for beyond those wanted, so that ties at the end fall the same way however rounding fell."""

PAGE_ROWS = 4_096
"""Rows with their vectors, edges and words that are read at once: some 15 MB, 40 MB where all notes are long. Some
releases of the server answer with 64 MB at most."""

MAX_HITS = 16_384
"""What Milvus returns at most, of a search or a query."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many vertices the graph has."""

    notes: int
    tags: int
    segments: int


class MilvusGraph:
    """The graph; implements :class:`~streamproc.graph.hits.Graph`. Open it with :meth:`open`."""

    def __init__(self, milvus: Milvus, layout: Layout) -> None:
        self._milvus = milvus
        self._layout = layout
        self._names = layout.names
        # Nobody else writes to a file; to a server other workers do.
        shared = not milvus.address.is_local
        self._history = TagHistory(self._labels, self._tell, layout.dimension, shared=shared)
        self._unflushed = dict.fromkeys((self._names.notes, self._names.tags, self._names.segments), 0)

    @classmethod
    async def open(
        cls,
        address: GraphAddress,
        encoder_hash: str,
        dimension: int,
        *,
        replace: bool = False,
        beside: bool = False,
    ) -> "MilvusGraph":
        """Connect, and create the collections that are missing.

        Args:
            address: where the graph is.
            encoder_hash: hash of the encoder's float weights.
            dimension: length of its vectors.
            replace: begin with an empty graph, whatever is there (``graph rebuild``).
            beside: another encoder's graph may be there, and stays (``graph reembed``).

        Raises:
            SettingsError: the address cannot be used, or its ``.db`` is open in another process.
            GraphMismatchError: the graph there was built by another encoder or is of another shape.
            DependencyDownError: Milvus cannot be reached.
            DeadlineError: it did not answer in time.
        """
        layout = Layout(
            CollectionNames(address.topic_prefix, encoder_hash),
            dimension,
            "FLAT" if address.is_local else "AUTOINDEX",
        )
        milvus = await Milvus.open(address)
        try:
            await milvus.call(
                lambda client, timeout: create_missing(
                    client, layout, timeout, replace=replace, beside=beside
                )
            )
        except BaseException:
            await milvus.close()
            raise
        milvus.keep_loaded(layout.names.all)
        return cls(milvus, layout)

    @property
    def encoder_hash(self) -> str:
        """Hash of the float weights of the encoder that this graph belongs to."""
        return self._names.encoder_hash

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self._layout.dimension

    def hear(self, judgements: Spoken) -> None:
        """Let people's judgements count in what all labelled notes say together; see ``hits.Graph``."""
        self._history.hear(judgements)

    async def search(self, vectors: np.ndarray, *, tags: int, notes: int, segments: int) -> Sequence[Hits]:
        """Find the nearest vertices of each vector, in one batched search per kind of vertex.

        Similarities are rounded to five digits and ties stand in order of id, so a vector finds the same
        in any batch. A note that stands in the graph twice (streamed and imported) is one hit, with the
        edges of both.

        Args:
            vectors: float32[n, dimension], of unit length.
            tags: how many tags for each.
            notes: how many notes for each.
            segments: how many passages for each (0: none are searched).

        Raises:
            DependencyDownError: the graph cannot be reached.
            DeadlineError: it did not answer in time.
        """
        if not len(vectors):
            return []
        queries = np.ascontiguousarray(vectors, dtype=np.float32)
        history = await self._history.current()
        found_tags, found_notes, found_segments = await asyncio.gather(
            self._nearest(self._names.tags, queries, tags),
            self._nearest_notes(queries, notes),
            self._nearest(self._names.segments, queries, segments),
        )
        likenesses: Sequence[Likeness | None] = [None] * len(queries)
        if history.discriminant is not None:
            likenesses = history.discriminant.likenesses(queries)
        return [
            Hits(
                tuple(TagHit(identifier, similarity) for identifier, similarity in near_tags),
                near_notes,
                tuple(SegmentHit(identifier, similarity) for identifier, similarity in near_segments),
                history.uses,
                likeness,
                history.wording,
            )
            for near_tags, near_notes, near_segments, likeness in zip(
                found_tags, found_notes, found_segments, likenesses, strict=True
            )
        ]

    async def notes(self, keys: Iterable[str]) -> dict[str, StoredNote]:
        """Read rows by key, as the last confirmed write left them; keys without a row are left out."""
        found: dict[str, StoredNote] = {}
        for some in _chunks(tuple(dict.fromkeys(keys)), CALL_ROWS):
            rows = await self._milvus.rows(
                lambda access, some: access.read(self._names.notes, some, ("edges", "details")), some
            )
            found.update((row["key"], _stored(row["key"], row["edges"], row["details"])) for row in rows)
        return found

    async def all_notes(self) -> AsyncIterator[Sequence[NoteRow]]:
        """Read every row of the notes, a page at a time, in order of key."""
        async for page in self._pages("edges", "details"):
            yield await asyncio.to_thread(_note_rows, page)

    async def write_notes(self, rows: Sequence[NoteRow]) -> None:
        """Write rows blindly: what stood under their keys is replaced.

        Raises:
            OutputTooLargeError: the edges of a note exceed a column.
        """
        keys, vectors = [row.note.key for row in rows], self._matrix([row.vector for row in rows])
        details = [pack_details(row.note) for row in rows]
        edges = [pack_edges(row.note.tags) for row in rows]
        async with self._history.telling():
            says = self._history.says
            tags = [says(row.note.key, given_by_people(row.note.tags)) for row in rows]
            # Told as they are stored, so that what is read later, to be taken away, is what was told.
            words = [words_in(packed) if has else NO_WORDS for packed, has in zip(details, tags, strict=True)]
            written = Labels(keys, tags, vectors, words)
            before = await self._taught(self._history.needed(written))
            await self._write(self._names.notes, Rows(keys, vectors, {"edges": edges, "details": details}))
            await self._history.put(written, before)

    async def delete_notes(self, keys: Sequence[str]) -> None:
        """Remove rows of notes; those that are not there do no harm."""
        gone = Labels(keys, [frozenset()] * len(keys), self._matrix([]), [NO_WORDS] * len(keys))
        async with self._history.telling():
            before = await self._taught(self._history.needed(gone))
            await self._delete(self._names.notes, keys)
            await self._history.put(gone, before)

    async def write_tags(self, rows: Sequence[VertexRow]) -> None:
        """Write tags blindly."""
        await self._write(self._names.tags, self._vertices(rows))

    async def delete_tags(self, tag_ids: Sequence[str]) -> None:
        """Remove tags from the search."""
        await self._delete(self._names.tags, [to_row_key(tag_id) for tag_id in tag_ids])

    async def write_segments(self, rows: Sequence[VertexRow]) -> None:
        """Write passages of knowledge blindly."""
        await self._write(self._names.segments, self._vertices(rows))

    async def delete_segments(self, segment_ids: Sequence[str]) -> None:
        """Remove passages of knowledge."""
        await self._delete(self._names.segments, [to_row_key(segment_id) for segment_id in segment_ids])

    async def warm_up(self) -> None:
        """Search once: the first search reads all labels and loads what it searches, seconds on a large graph.

        Raises:
            DependencyDownError: the graph cannot be reached.
            DeadlineError: it did not answer in time.
        """
        anywhere = np.zeros((1, self.dimension), dtype=np.float32)
        anywhere[0, 0] = 1.0
        await self.search(anywhere, tags=1, notes=1, segments=1)

    async def offsets(self) -> dict[Partition, int]:
        """The last applied offset of every partition."""
        rows = await self._milvus.call(
            lambda client, timeout: client.query(
                self._names.offsets,
                filter="position >= 0",
                output_fields=["position"],
                consistency_level="Strong",
                limit=MAX_HITS,
                timeout=timeout,
            )
        )
        partitions = ((from_row_key(row["key"]).rpartition("/"), int(row["position"])) for row in rows)
        return {(topic, int(number)): position for (topic, _, number), position in partitions}

    async def write_offsets(self, offsets: Mapping[Partition, int]) -> None:
        """Record how far the graph has come. Call it after the rows are written and before the group commits."""
        await self._write(
            self._names.offsets,
            Rows(
                [to_row_key(f"{topic}/{number}") for topic, number in offsets],
                np.ones((len(offsets), OFFSET_DIMENSION), dtype=np.float32),
                {"position": list(offsets.values())},
            ),
        )

    async def counts(self) -> Counts:
        """Count the vertices."""
        notes, tags, segments = [
            await self._milvus.call(
                lambda client, timeout, collection: int(
                    client.query(
                        collection,
                        filter="",
                        output_fields=["count(*)"],
                        consistency_level="Strong",
                        timeout=timeout,
                    )[0]["count(*)"]
                ),
                name,
            )
            for name in (self._names.notes, self._names.tags, self._names.segments)
        ]
        return Counts(notes, tags, segments)

    async def ping(self) -> None:
        """Ask whether Milvus answers.

        Raises:
            DependencyDownError: it cannot be reached.
            DeadlineError: it did not answer in time.
        """
        await self._milvus.call(
            lambda client, timeout: client.has_collection(self._names.offsets, timeout=timeout)
        )

    async def clear(self) -> None:
        """Empty the graph, its applied offsets included."""
        async with self._history.telling():
            await self._milvus.call(
                lambda client, timeout: create_missing(client, self._layout, timeout, replace=True)
            )
            self._history.forget()

    async def close(self) -> None:
        """Let go of Milvus; a ``.db`` may then be opened by another process."""
        await self._history.close()
        await self._milvus.close()

    async def _labels(self) -> AsyncIterator[Labels]:
        """What people say of each note, a page of rows at a time."""
        async for page in self._pages("edges", "details"):
            yield await asyncio.to_thread(_labels, page, self._history.says)

    async def _tell(self, note_ids: Collection[str]) -> None:
        """Tell the rows of some notes again as they are, both rows of a note together."""
        keys = [note_row_key(note_id, origin) for note_id in note_ids for origin in Origin]
        for some in _chunks(keys, CALL_ROWS):
            async with self._history.telling():
                rows = await self._milvus.rows(
                    lambda access, some: access.read(self._names.notes, some, ("edges", "vector", "details")),
                    some,
                )
                if not rows:
                    continue
                page = Page(
                    [row["key"] for row in rows],
                    self._matrix([row["vector"] for row in rows]),
                    {name: [row[name] for row in rows] for name in ("edges", "details")},
                )
                labels = _labels(page, self._history.says, unlabelled=True)
                taught = map(Taught, page.vectors, map(words_in, page.columns["details"]))
                await self._history.put(labels, dict(zip(page.keys, taught, strict=True)))

    async def _taught(self, keys: Sequence[str]) -> dict[str, Taught]:
        """Vectors and words of rows as they are now; keys without a row are left out."""
        found: dict[str, Taught] = {}
        for some in _chunks(keys, CALL_ROWS):
            rows = await self._milvus.rows(
                lambda access, some: access.read(self._names.notes, some, ("vector", "details")), some
            )
            found.update(
                (row["key"], Taught(np.asarray(row["vector"], dtype=np.float32), words_in(row["details"])))
                for row in rows
            )
        return found

    async def _pages(self, *columns: str) -> AsyncIterator[Page]:
        """Some columns of every row of the notes, a page at a time, in order of key."""
        after = ""
        while True:
            page = await self._milvus.rows(
                lambda access, after: access.page(self._names.notes, columns, after, PAGE_ROWS), after
            )
            if page.keys:
                yield page
            if len(page.keys) < PAGE_ROWS:
                return
            after = page.keys[-1]

    async def _nearest(self, collection: str, queries: Float32, limit: int) -> list[list[tuple[str, float]]]:
        if not limit:
            return [[] for _ in queries]
        found = await self._search(collection, queries, limit, "key")
        return [in_order(hits, limit) for hits in found]

    async def _nearest_notes(self, queries: Float32, limit: int) -> list[tuple[NoteHit, ...]]:
        if not limit:
            return [() for _ in queries]
        found = await self._search(self._names.notes, queries, limit, "edges")
        return [notes_in_order(hits, limit) for hits in found]

    async def _search(self, collection: str, queries: Float32, limit: int, column: str) -> list[Found]:
        return await self._milvus.rows(
            lambda access: access.search(collection, queries, min(limit + SURPLUS, MAX_HITS), column)
        )

    async def _write(self, collection: str, rows: Rows) -> None:
        for start in range(0, len(rows), CALL_ROWS):
            await self._milvus.rows(
                lambda access, some: access.write(collection, some), rows.some(start, start + CALL_ROWS)
            )
        await self._flush_when_due(collection, len(rows))

    async def _delete(self, collection: str, keys: Sequence[str]) -> None:
        for some in _chunks(keys, CALL_ROWS):
            await self._milvus.rows(lambda access, keys: access.delete(collection, keys), some)
        await self._flush_when_due(collection, len(keys))

    def _vertices(self, rows: Sequence[VertexRow]) -> Rows:
        return Rows([to_row_key(row.identifier) for row in rows], self._matrix([row.vector for row in rows]))

    def _matrix(self, vectors: Sequence[Float32]) -> Float32:
        """float32[vectors, dimension]."""
        return np.array(vectors, dtype=np.float32).reshape(len(vectors), self.dimension)

    async def _flush_when_due(self, collection: str, rows: int) -> None:
        if not self._milvus.address.is_local:
            return  # a server seals its segments by itself
        self._unflushed[collection] = self._unflushed.get(collection, 0) + rows
        if self._unflushed[collection] >= FLUSH_ROWS:
            self._unflushed[collection] = 0
            await self._milvus.call(lambda client, timeout: client.flush(collection, timeout=timeout))


def _stored(key: str, edges: str, details: str) -> StoredNote:
    note_id, origin = split_note_key(key)
    return unpack_details(note_id, origin, edges, details)


def _note_rows(page: Page) -> list[NoteRow]:
    columns = zip(page.keys, page.columns["edges"], page.columns["details"], page.vectors, strict=True)
    return [NoteRow(_stored(key, edges, details), vector) for key, edges, details, vector in columns]


def _labels(page: Page, says: Says, *, unlabelled: bool = False) -> Labels:
    """What people say of rows; of those that have no tag only if these are wanted."""
    edges = zip(page.keys, page.columns["edges"], strict=True)
    tags = [says(key, given_by_people(unpack_edges(packed))) for key, packed in edges]
    labelled = [row for row, each in enumerate(tags) if each or unlabelled]
    details = page.columns["details"]
    return Labels(
        [page.keys[row] for row in labelled],
        [tags[row] for row in labelled],
        page.vectors[labelled],
        [words_in(details[row]) for row in labelled],
    )


def _chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
