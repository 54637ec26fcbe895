"""Milvus Lite's vector search with arrays, where as it comes it goes row by row through Python.

Milvus Lite 3.2 walks every row of a collection in Python for each search, to leave out those that were
replaced or deleted, and decodes all columns of every hit, its vector included, before it drops the ones
nobody asked for. At 10,000 notes that costs as much as the models. :func:`speed_up` puts a search in
its place that gives the same hits: which rows of a file are live is kept until the files change, and
only the columns that were asked for are decoded.

It stands in for two inner functions (the search, and the answer's columns), of the releases that ``tests/graph/test_lite.py`` holds it against.
Any other release, and any search with a filter, with partitions or by another metric, is left as it
is; so are Milvus servers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["RELEASES", "array_search", "columnar_answer", "speed_up"]

RELEASES = ("3.2.",)
"""Beginnings of the releases of milvus-lite that the search is known to stand in for."""

Search = Callable[..., list[list[dict[str, Any]]]]
Answer = Callable[..., Any]
Bool = npt.NDArray[np.bool_]
Float32 = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _LiveRows:
    """Which rows of some files are the newest of their key and not deleted.

    Attributes:
        segments: the files, held so that their identities stay theirs.
        tombstones: deletions by key that were taken into account.
        masks: bool[rows] a file.
    """

    segments: tuple[Any, ...]
    tombstones: dict[Any, int]
    masks: tuple[Bool, ...]


@dataclass(frozen=True, slots=True)
class _Source:
    """Rows that are searched together: those of a file, or those still in memory.

    Attributes:
        vectors: float32[rows, dimension].
        live: bool[rows]; None: all of them.
        column: reads a column at some rows.
    """

    vectors: Float32
    live: Bool | None
    column: Callable[[str, Int64], list[Any]]


def speed_up() -> bool:
    """Put the search in place, once a process; whether it is in place."""
    if not version("milvus-lite").startswith(RELEASES):
        return False
    # Internal modules of Milvus Lite only.
    from milvus_lite.adapter.grpc import servicer  # noqa: PLC0415
    from milvus_lite.engine import collection  # noqa: PLC0415

    if not getattr(collection.execute_search_with_index, "with_arrays", False):
        collection.execute_search_with_index = array_search(collection.execute_search_with_index)
        servicer.build_search_result_data = columnar_answer(servicer.build_search_result_data)
    return True


def columnar_answer(original: Answer) -> Answer:
    """An answer with the signature and the content of ``milvus_lite``'s ``build_search_result_data``.

    Args:
        original: that function, for answers that are grouped, have dynamic fields or times; it copies every hit
            before it turns them into columns.
    """
    from milvus_lite.adapter.grpc.translators.records import _build_field_data  # noqa: PLC0415
    from milvus_lite.engine.projection import projection_output_fields  # noqa: PLC0415
    from milvus_lite.schema.types import DataType  # noqa: PLC0415
    from pymilvus.grpc_gen import schema_pb2  # noqa: PLC0415

    def answer(
        results: Sequence[Sequence[dict[str, Any]]], schema: Any, top_k: int, pk_name: str, **options: Any
    ) -> Any:
        plan = options.get("projection_plan")
        fields = {field.name: field for field in schema.fields}
        special = options.get("group_by_field") is not None or options.get("time_fields")
        if (
            plan is None
            or special
            or schema.enable_dynamic_field
            or fields[pk_name].dtype != DataType.VARCHAR
        ):
            return original(results=results, schema=schema, top_k=top_k, pk_name=pk_name, **options)
        hits = [hit for found in results for hit in found]
        identities = [hit["id"] for hit in hits]
        wanted = set(plan.response_schema_fields)
        columns = [
            (name, identities if name == pk_name else [hit["entity"].get(name) for hit in hits])
            for name in fields
            if name in wanted
        ]
        return schema_pb2.SearchResultData(
            num_queries=len(results),
            top_k=top_k,
            fields_data=[_build_field_data(name, fields[name], column) for name, column in columns],
            scores=[hit["distance"] for hit in hits],
            ids=schema_pb2.IDs(str_id=schema_pb2.StringArray(data=identities)),
            topks=[len(found) for found in results],
            output_fields=list(projection_output_fields(plan, schema, include_primary=True)),
            primary_field_name=pk_name,
        )

    return answer


def array_search(original: Search) -> Search:
    """A search with the signature and the results of ``milvus_lite``'s ``execute_search_with_index``.

    Args:
        original: that function, for every search of another kind.
    """
    kept: dict[tuple[int, ...], _LiveRows] = {}

    def search(  # noqa: PLR0917 - the signature of what it stands in for
        query_vectors: Float32,
        segments: Sequence[Any],
        memtable: Any,
        delta_index: Any,
        top_k: int,
        metric_type: str,
        pk_field: str,
        vector_field: str,
        **options: Any,
    ) -> list[list[dict[str, Any]]]:
        columns = options.get("output_fields")
        tuned = set(options.get("search_params") or ()) - {"metric_type"}
        plain = not (options.get("partition_names") or options.get("compiled_filter") or tuned)
        stored = set(memtable._data_schema.names) - {vector_field} if memtable else set()  # noqa: SLF001
        if metric_type != "IP" or not plain or not columns or not stored.issuperset(columns):
            return original(
                query_vectors=query_vectors,
                segments=segments,
                memtable=memtable,
                delta_index=delta_index,
                top_k=top_k,
                metric_type=metric_type,
                pk_field=pk_field,
                vector_field=vector_field,
                **options,
            )
        files = tuple(segment for segment in segments if segment.num_rows)
        keys, newest, deleted = _in_memory(memtable, vector_field)
        sources = [
            _file(segment, vector_field, mask, keys, deleted)
            for segment, mask in zip(files, _live_rows(kept, files, delta_index).masks, strict=True)
        ]
        if keys:
            sources.append(newest)
        return _hits(query_vectors, sources, top_k, pk_field, [name for name in columns if name != pk_field])

    search.with_arrays = True  # type: ignore[attr-defined]
    return search


def _live_rows(kept: dict[tuple[int, ...], _LiveRows], files: tuple[Any, ...], delta_index: Any) -> _LiveRows:
    tombstones = delta_index.snapshot
    identity = tuple(id(segment) for segment in files)
    known = kept.get(identity)
    if known is not None and known.tombstones == tombstones:
        return known
    newest: dict[Any, int] = dict(tombstones)
    for segment in files:
        for key, order in zip(segment.pks, segment.seqs.tolist(), strict=True):
            if order > newest.get(key, -1):
                newest[key] = order
    masks = tuple(
        np.fromiter(
            (newest[key] == order for key, order in zip(segment.pks, segment.seqs.tolist(), strict=True)),
            dtype=np.bool_,
            count=segment.num_rows,
        )
        for segment in files
    )
    # A handful of collections are open at a time; what belongs to files that are gone is dropped with the rest.
    if len(kept) > _KEPT:
        kept.clear()
    kept[identity] = found = _LiveRows(files, tombstones, masks)
    return found


_KEPT = 16


def _in_memory(memtable: Any, vector_field: str) -> tuple[list[Any], _Source, set[Any]]:
    """Keys of the rows in memory, those rows, and the keys deleted there."""
    with memtable._lock:  # noqa: SLF001
        batches = tuple(memtable._insert_batches)  # noqa: SLF001
        positions = dict(memtable._pk_index)  # noqa: SLF001
        deleted = set(memtable._delete_index)  # noqa: SLF001
    where = np.array([(batch, row) for batch, row, _ in positions.values()], dtype=np.int64).reshape(-1, 2)
    starts = np.cumsum([0, *(batch.num_rows for batch in batches)])
    rows = starts[where[:, 0]] + where[:, 1]

    def column(name: str, chosen: Int64) -> list[Any]:
        return [batches[batch].column(name)[row].as_py() for batch, row in where[chosen].tolist()]

    vectors = [_matrix(batch.column(vector_field)) for batch in batches]
    matrix = np.concatenate(vectors)[rows] if vectors else np.zeros((0, 0), dtype=np.float32)
    return list(positions), _Source(matrix, None, column), deleted


def _matrix(column: Any) -> Float32:
    """float32[rows, dimension] of a column of fixed-size lists."""
    flat = column.flatten().to_numpy(zero_copy_only=False)
    return np.asarray(flat, dtype=np.float32).reshape(len(column), column.type.list_size)


def _file(segment: Any, vector_field: str, mask: Bool, keys: list[Any], deleted: set[Any]) -> _Source:
    """A file, without the rows that memory has replaced or deleted since."""
    replaced = [row for key in (*keys, *deleted) if (row := segment.pk_to_row.get(key)) is not None]
    if replaced:
        mask = mask.copy()
        mask[replaced] = False

    def column(name: str, chosen: Int64) -> list[Any]:
        values: list[Any] = segment.table.column(name).take(chosen).to_pylist()
        return values

    return _Source(segment.vector_data(vector_field)[0], None if mask.all() else mask, column)


def _hits(
    queries: Float32, sources: Sequence[_Source], top_k: int, key: str, columns: Sequence[str]
) -> list[list[dict[str, Any]]]:
    found = [(number, *_nearest(queries, source, top_k)) for number, source in enumerate(sources)]
    # One entry a hit: query, distance, source, row; sorted as the original sorts.
    owner = np.concatenate([query for _, query, _, _ in found] or [np.zeros(0, np.int64)])
    distance = np.concatenate([distances for _, _, _, distances in found] or [np.zeros(0, np.float32)])
    source = np.concatenate(
        [np.full(len(rows), number) for number, _, rows, _ in found] or [np.zeros(0, np.int64)]
    )
    row = np.concatenate([rows for _, _, rows, _ in found] or [np.zeros(0, np.int64)])
    order = np.lexsort((row, source, distance, owner))
    owner = owner[order]
    place = np.arange(len(order)) - np.searchsorted(owner, owner)
    order, owner = order[place < top_k], owner[place < top_k]
    keys, entities = _decoded(sources, source[order], row[order], key, columns)
    results: list[list[dict[str, Any]]] = [[] for _ in range(len(queries))]
    for query, identity, score, entity in zip(
        owner.tolist(), keys, distance[order].tolist(), entities, strict=True
    ):
        results[query].append({"id": identity, "distance": score, "entity": entity})
    return results


def _nearest(queries: Float32, source: _Source, top_k: int) -> tuple[Int64, Int64, Float32]:
    """Query, row and distance of the rows that may be among the ``top_k`` nearest of each query."""
    distances = -(queries @ source.vectors.T)
    if source.live is not None:
        distances[:, ~source.live] = np.inf
    if top_k < distances.shape[1]:
        farthest = np.partition(distances, top_k - 1, axis=1)[:, top_k - 1 : top_k]
        query, row = np.nonzero(distances <= farthest)
    else:
        query, row = np.nonzero(distances < np.inf)
    distance = distances[query, row]
    finite = distance < np.inf
    return query[finite], row[finite], distance[finite]


def _decoded(
    sources: Sequence[_Source], source: Int64, row: Int64, key: str, columns: Sequence[str]
) -> tuple[list[Any], list[dict[str, Any]]]:
    """Keys and columns of the hits; a row that many queries found is read once."""
    keys: list[Any] = [None] * len(row)
    entities: list[dict[str, Any]] = [{} for _ in range(len(row))]
    for number, each in enumerate(sources):
        hits = np.flatnonzero(source == number)
        rows, which = np.unique(row[hits], return_inverse=True)
        read = [each.column(name, rows) for name in (key, *columns)]
        records = (
            [dict(zip(columns, values, strict=True)) for values in zip(*read[1:], strict=True)]
            if columns
            else []
        )
        for hit, place in zip(hits.tolist(), which.tolist(), strict=True):
            keys[hit] = read[0][place]
            if records:
                entities[hit] = records[place]
    return keys, entities
