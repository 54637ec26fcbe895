"""Milvus Lite's engine in this process, searched and written as arrays.

pymilvus speaks gRPC to Milvus Lite even where both are in one process, and Milvus Lite 3.2 walks every row of a
collection in Python for each search, to leave out those that were replaced or deleted, decodes all columns of every
hit, its vector included, and checks each number of a vector that is written. At 10,000 notes that costs as much as
the models. :class:`LiteAccess` finds and writes the same in the same files: which rows of a file are live is kept until
the files change, only the column that was asked for is read, and vectors stay arrays.

It reaches into the engine of the releases that ``tests/graph/test_lite.py`` holds it against. Any other release is spoken
to as a server is, and so is a server of Milvus Lite.
"""

import os
from bisect import bisect_right
from collections.abc import Iterator, KeysView, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa  # type: ignore[import-untyped]
from pymilvus.exceptions import MilvusException

from streamproc.graph.access import Page, Row, Rows
from streamproc.graph.answers import Found, rounded
from streamproc.graph.rows import Float32

__all__ = ["RELEASES", "LiteAccess", "lite_access"]

RELEASES = ("3.2.",)
"""Beginnings of the releases of milvus-lite whose engine this module knows."""

Bool = npt.NDArray[np.bool_]
Int64 = npt.NDArray[np.int64]
Objects = npt.NDArray[np.object_]

KEY, VECTOR = "key", "vector"

_KEPT = 16
"""Collections of which it is kept which rows are live; a handful are open at a time."""

_UNEXPECTED = 1
"""Milvus' code for an error that has no other."""


def lite_access(path: Path) -> "LiteAccess | None":
    """The way to a ``.db`` that pymilvus has opened in this process; None: its release is not known here."""
    if not version("milvus-lite").startswith(RELEASES):
        return None
    from milvus_lite.server_manager import server_manager_instance  # noqa: PLC0415 - Lite only

    _, database, _ = server_manager_instance._servers[os.path.abspath(path)]  # noqa: SLF001, PTH100 - its own spelling
    return LiteAccess(database)


@dataclass(frozen=True, slots=True)
class _Files:
    """The files of a collection, as of one moment.

    Attributes:
        segments: the files, held so that their identities stay theirs.
        tombstones: deletions by key that were taken into account.
        dead: int64[rows]: places, counted through all files, of rows that later ones replaced or deleted.
        columns: name → the values of all files' rows, one after the other.
        orders: name of a column → all files' rows by it.
    """

    segments: tuple[Any, ...]
    tombstones: dict[Any, int]
    dead: Int64
    columns: dict[str, Objects]
    orders: dict[str, Int64]

    def column(self, name: str) -> Objects:
        """object[rows of all files]: a column of text."""
        known = self.columns.get(name)
        if known is None:
            values = [_text(segment.table.column(name)) for segment in self.segments]
            known = self.columns[name] = np.concatenate([*values, _NOTHING])
        return known

    def order(self, name: str) -> Int64:
        """int64[rows of all files]: the rows in ascending order of a column; sorting takes a second at 300,000 rows."""
        known = self.orders.get(name)
        if known is None:
            known = self.orders[name] = np.argsort(self.column(name))
        return known


@dataclass(frozen=True, slots=True)
class _Memory:
    """The rows that no file has yet; all of them are live.

    Attributes:
        keys: of the rows.
        deleted: keys of which files may still have a row.
        vectors: float32[rows, dimension].
        columns: name → object[rows], of the columns that are asked for.
    """

    keys: KeysView[Any]
    deleted: KeysView[Any]
    vectors: Float32
    columns: dict[str, Objects]


class LiteAccess:
    """Rows of a Milvus Lite in this process; implements :class:`~streamproc.graph.access.Access`.

    One thread at a time may use it: while rows are on their way from memory to a file, no search sees them.

    Args:
        database: a ``milvus_lite.MilvusLite``.
    """

    def __init__(self, database: Any) -> None:
        self._database = database
        self._known: dict[tuple[int, ...], _Files] = {}

    def search(self, collection: str, queries: Float32, limit: int, column: str) -> list[Found]:
        """See :class:`~streamproc.graph.access.Access`."""
        return _found(queries, *self._rows(collection, (column,)), limit, column)

    def read(self, collection: str, keys: Sequence[str], columns: Sequence[str]) -> list[Row]:
        """See :class:`~streamproc.graph.access.Access`."""
        with _errors_of_milvus():
            rows: list[Row] = self._database.get_collection(collection).get(
                list(keys), output_fields=[KEY, *columns]
            )
            return rows

    def page(self, collection: str, columns: Sequence[str], after: str, limit: int) -> Page:
        """See :class:`~streamproc.graph.access.Access`."""
        files, memory = self._rows(collection, columns)
        keys, chosen = _following(files, memory, after, limit)
        vectors = np.zeros((len(chosen), 0), dtype=np.float32)
        start = 0
        for part, rows in _parts(files, memory):
            here = (chosen >= start) & (chosen < start + rows)
            if not vectors.shape[1]:
                vectors = np.zeros((len(chosen), part.shape[1]), dtype=np.float32)
            vectors[here] = part[chosen[here] - start]
            start += rows
        texts = {name: _texts(files, memory, name, chosen) for name in columns}
        return Page(keys, vectors, texts)

    def write(self, collection: str, rows: Rows) -> None:
        """See :class:`~streamproc.graph.access.Access`."""
        from milvus_lite.constants import DEFAULT_PARTITION  # noqa: PLC0415 - Lite only
        from milvus_lite.engine.operation import InsertOp  # noqa: PLC0415 - Lite only

        with _errors_of_milvus():
            table = self._database.get_collection(collection)
            first = table._next_seq  # noqa: SLF001
            table._next_seq += len(rows)  # noqa: SLF001
            values = {
                "_seq": range(first, first + len(rows)),
                "_partition": [DEFAULT_PARTITION] * len(rows),
                KEY: rows.keys,
                **rows.columns,
            }
            schema = table._wal_data_schema  # noqa: SLF001
            batch = pa.RecordBatch.from_arrays(
                [
                    _lists(rows.vectors, each.type)
                    if each.name == VECTOR
                    else pa.array(values[each.name], each.type)
                    for each in schema
                ],
                schema=schema,
            )
            table._apply(InsertOp(DEFAULT_PARTITION, batch))  # noqa: SLF001
            if table._should_flush():  # noqa: SLF001
                table._trigger_flush()  # noqa: SLF001

    def delete(self, collection: str, keys: Sequence[str]) -> None:
        """See :class:`~streamproc.graph.access.Access`."""
        with _errors_of_milvus():
            self._database.get_collection(collection).delete(list(keys))

    def _rows(self, collection: str, columns: Sequence[str]) -> "tuple[_Files, _Memory]":
        with _errors_of_milvus():
            table = self._database.get_collection(collection)
            segments, deletions = table._read_snapshot()  # noqa: SLF001
            return self._files(segments, deletions.snapshot), _in_memory(table._memtable, columns)  # noqa: SLF001

    def _files(self, segments: Sequence[Any], tombstones: dict[Any, int]) -> _Files:
        files = tuple(segment for segment in segments if segment.num_rows)
        identity = tuple(map(id, files))
        known = self._known.get(identity)
        if known is not None and known.tombstones == tombstones:
            return known
        # What belongs to files that are gone is dropped with the rest.
        if len(self._known) > _KEPT:
            self._known.clear()
        columns, orders = ({}, {}) if known is None else (known.columns, known.orders)
        self._known[identity] = found = _Files(
            files, tombstones, _replaced(files, tombstones), columns, orders
        )
        return found


@contextmanager
def _errors_of_milvus() -> Iterator[None]:
    """Raise what pymilvus would have raised had the engine's error come over the wire."""
    from milvus_lite.adapter.grpc.errors import to_status_kwargs  # noqa: PLC0415 - Lite only

    try:
        yield
    except Exception as error:  # the server of Milvus Lite, too, answers with any of them
        raise MilvusException(to_status_kwargs(error).get("code", _UNEXPECTED), str(error)) from error


def _replaced(files: Sequence[Any], tombstones: dict[Any, int]) -> Int64:
    newest: dict[Any, int] = dict(tombstones)
    written = [
        written for segment in files for written in zip(segment.pks, segment.seqs.tolist(), strict=True)
    ]
    for key, order in written:
        if order > newest.get(key, -1):
            newest[key] = order
    return np.array([row for row, (key, order) in enumerate(written) if newest[key] != order], dtype=np.int64)


def _in_memory(memtable: Any, columns: Sequence[str]) -> _Memory:
    with memtable._lock:  # noqa: SLF001
        batches = tuple(memtable._insert_batches)  # noqa: SLF001
        positions = dict(memtable._pk_index)  # noqa: SLF001
        deleted = dict(memtable._delete_index)  # noqa: SLF001
    if not positions:
        nothing = dict.fromkeys(columns, _NOTHING)
        return _Memory(positions.keys(), deleted.keys(), np.zeros((0, 0), dtype=np.float32), nothing)
    starts = np.cumsum([0, *(batch.num_rows for batch in batches)])
    batch, row, _ = np.array(list(positions.values()), dtype=np.int64).T
    rows = starts[batch] + row
    return _Memory(
        positions.keys(),
        deleted.keys(),
        np.concatenate([_matrix(each.column(VECTOR)) for each in batches])[rows],
        {name: np.concatenate([_text(each.column(name)) for each in batches])[rows] for name in columns},
    )


def _found(queries: Float32, files: _Files, memory: _Memory, limit: int, column: str) -> list[Found]:
    parts = _parts(files, memory)
    similarities = np.empty((len(queries), sum(rows for _, rows in parts)), dtype=np.float32)
    start = 0
    for vectors, rows in parts:
        np.matmul(queries, vectors.T, out=similarities[:, start : start + rows])
        start += rows
    similarities[:, _dead(files, memory)] = -np.inf
    query, row = _nearest(similarities, limit)
    keys = np.concatenate([files.column(KEY), _objects(list(memory.keys))])[row].tolist()
    values = (
        np.concatenate([files.column(column), memory.columns[column]])[row].tolist()
        if column != KEY
        else keys
    )
    scores = rounded(similarities[query, row])
    ends = np.cumsum(np.bincount(query, minlength=len(queries))).tolist()
    return [
        Found(keys[start:end], scores[start:end], values[start:end])
        for start, end in zip([0, *ends], ends, strict=False)
    ]


def _following(files: _Files, memory: _Memory, after: str, limit: int) -> tuple[list[str], Int64]:
    """The ``limit`` keys that follow a key, ascending, and their rows, as they are counted."""
    in_files, order = files.column(KEY), files.order(KEY)
    rest = order[bisect_right(order, after, key=in_files.__getitem__) :]
    alive = np.ones(len(order), dtype=np.bool_)
    alive[_dead(files, memory)] = False
    rows = rest[alive[rest]][:limit]
    found = list(zip(in_files[rows].tolist(), rows.tolist(), strict=True))
    found += [(key, row) for row, key in enumerate(memory.keys, len(order)) if key > after]
    found = sorted(found)[:limit]
    return [key for key, _ in found], np.array([row for _, row in found], dtype=np.int64)


def _parts(files: _Files, memory: _Memory) -> list[tuple[Float32, int]]:
    """Vectors and number of the rows, as they are counted: files first, one after the other, then memory."""
    parts = [(segment.vector_data(VECTOR)[0], segment.num_rows) for segment in files.segments]
    if memory.keys:
        parts.append((memory.vectors, len(memory.keys)))
    return parts


def _texts(files: _Files, memory: _Memory, name: str, rows: Int64) -> list[str]:
    """A column of text of some rows, as they are counted. It is not kept: a page is read once, and a column may be long."""
    values = np.empty(len(rows), dtype=np.object_)
    start = 0
    for segment in files.segments:
        here = (rows >= start) & (rows < start + segment.num_rows)
        values[here] = _text(segment.table.column(name).take(pa.array(rows[here] - start)))
        start += segment.num_rows
    values[rows >= start] = memory.columns[name][rows[rows >= start] - start]
    texts: list[str] = values.tolist()
    return texts


def _dead(files: _Files, memory: _Memory) -> Int64:
    """int64[rows]: the rows of files that were replaced or deleted, by a later file or in memory."""
    dead = [files.dead]
    start = 0
    for segment in files.segments:
        places = segment.pk_to_row
        stale = [
            start + places[key] for key in (*(memory.keys & places.keys()), *(memory.deleted & places.keys()))
        ]
        dead.append(np.array(stale, dtype=np.int64))
        start += segment.num_rows
    return np.concatenate(dead)


def _nearest(similarities: Float32, limit: int) -> tuple[Int64, Int64]:
    """Query and row of the ``limit`` highest similarities of each query, highest first; dead rows are left out."""
    queries, rows = similarities.shape
    place = np.flatnonzero(_near_enough(similarities, limit))
    similarity = similarities.reshape(-1)[place]
    alive = similarity > -np.inf
    place, similarity = place[alive], similarity[alive]
    query = place // max(rows, 1)
    # One number sorts by query, then by similarity. Stable: of rows equally near, the same are left out in any batch.
    order = np.argsort(_APART * query - similarity, kind="stable")
    rank = np.arange(len(order)) - np.searchsorted(query, np.arange(queries))[query]
    order = order[rank < limit]
    return query[order], place[order] - query[order] * rows


_APART = 8.0
"""Beyond any difference of two inner products of vectors of unit length."""


def _near_enough(similarities: Float32, limit: int) -> Bool:
    """bool[queries, rows]: the ``limit`` highest similarities of each query, and not many more.

    Finding exactly the ``limit``-th would take as long as the products. A sample tells a similarity that at least so many
    rows reach; where it does not, which is rare, the exact one is found.
    """
    rank = int(1.4 * limit / _SAMPLED) + 4
    if similarities.shape[1] <= 8 * limit:
        return np.asarray(similarities >= _lowest(similarities, limit))
    lowest = _lowest(similarities[:, ::_SAMPLED], rank)
    near: Bool = similarities >= lowest
    short = np.count_nonzero(near, axis=1) < limit
    near[short] = similarities[short] >= _lowest(similarities[short], limit)
    return near


_SAMPLED = 8
"""One row of so many is in the sample."""


def _lowest(similarities: Float32, rank: int) -> Float32:
    """float32[queries, 1]: the ``rank``-th highest of each; where there are fewer, lower than any."""
    if similarities.shape[1] <= rank:
        return np.full((len(similarities), 1), -np.inf, dtype=np.float32)
    return np.partition(similarities, -rank, axis=1)[:, -rank, None]


def _lists(vectors: Float32, kind: Any) -> Any:
    """A column of vectors, of the engine's type, without a copy of each number."""
    flat = np.ascontiguousarray(vectors, dtype=np.float32).reshape(-1)
    return pa.FixedSizeListArray.from_arrays(pa.array(flat), type=kind)


def _matrix(column: Any) -> Float32:
    """float32[rows, dimension] of a column of fixed-size lists."""
    flat = column.flatten().to_numpy(zero_copy_only=False)
    return np.asarray(flat, dtype=np.float32).reshape(len(column), column.type.list_size)


def _text(column: Any) -> Objects:
    """object[rows] of a column of strings."""
    return _objects(column.to_pylist())


def _objects(values: Sequence[Any]) -> Objects:
    return np.array(values, dtype=np.object_)


_NOTHING = _objects(())
