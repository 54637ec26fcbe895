"""How rows travel to Milvus and back, a batch at a time.

Two ways lead there: with pymilvus over the wire, to any Milvus; or, where Milvus Lite runs in this very process,
straight to its engine (:mod:`~streamproc.graph.lite`). Both find and write the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from pymilvus import MilvusClient

from streamproc.graph.answers import Found, found_by
from streamproc.graph.collections import METRIC
from streamproc.graph.rows import Float32

__all__ = ["Access", "Page", "Row", "Rows", "WireAccess"]

Row = dict[str, Any]
"""A row that was read: value by name of its column."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows to be written, column by column.

    Attributes:
        keys: their primary keys.
        vectors: float32[rows, dimension].
        columns: name → value of each row, for every other column of the collection.
    """

    keys: Sequence[str]
    vectors: Float32
    columns: Mapping[str, Sequence[str | int]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.keys)

    def some(self, start: int, end: int) -> "Rows":
        """The rows from ``start`` to before ``end``."""
        return Rows(
            self.keys[start:end],
            self.vectors[start:end],
            {name: values[start:end] for name, values in self.columns.items()},
        )


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows of a collection, in order of key.

    Attributes:
        keys: of the rows.
        vectors: float32[rows, dimension].
        columns: name → value of each row, for every column of text that was asked for.
    """

    keys: Sequence[str]
    vectors: Float32
    columns: Mapping[str, Sequence[str]]


class Access(Protocol):
    """Rows of one Milvus. Every method blocks and raises pymilvus' or gRPC's errors."""

    def search(self, collection: str, queries: Float32, limit: int, column: str) -> list[Found]:
        """The ``limit`` nearest rows of each query, nearest first, with a column of text (``key`` is one)."""
        ...

    def read(self, collection: str, keys: Sequence[str], columns: Sequence[str]) -> list[Row]:
        """The rows that stand under these keys: ``key`` and these columns of each."""
        ...

    def page(self, collection: str, columns: Sequence[str], after: str, limit: int) -> Page:
        """The first ``limit`` rows beyond a key, in order of key, with their vectors and these columns of text."""
        ...

    def write(self, collection: str, rows: Rows) -> None:
        """Write rows blindly: what stood under their keys is replaced; of equal keys the last row counts."""
        ...

    def delete(self, collection: str, keys: Sequence[str]) -> None:
        """Remove rows; those that are not there do no harm."""
        ...


class WireAccess:
    """Rows of any Milvus, through pymilvus.

    Args:
        client: pymilvus' client.
        timeout_seconds: how long a call may take.
    """

    def __init__(self, client: MilvusClient, timeout_seconds: float) -> None:
        self._client = client
        self._timeout_seconds = timeout_seconds

    def search(self, collection: str, queries: Float32, limit: int, column: str) -> list[Found]:
        """See :class:`Access`."""
        return found_by(
            self._client.search(
                collection,
                data=list(queries),
                limit=limit,
                # Never leave it out: by default Milvus Lite sends the vectors along, at three times the cost.
                output_fields=[column],
                search_params={"metric_type": METRIC},
                timeout=self._timeout_seconds,
                _async=True,
            )
        )

    def read(self, collection: str, keys: Sequence[str], columns: Sequence[str]) -> list[Row]:
        """See :class:`Access`."""
        return list(
            self._client.get(
                collection,
                ids=list(keys),
                output_fields=list(columns),
                consistency_level="Strong",
                timeout=self._timeout_seconds,
            )
        )

    def page(self, collection: str, columns: Sequence[str], after: str, limit: int) -> Page:
        """See :class:`Access`."""
        found = self._client.query(
            collection,
            filter=f"key > '{after}'",
            output_fields=[*columns, "vector"],
            consistency_level="Strong",
            limit=limit,
            timeout=self._timeout_seconds,
        )
        rows = sorted(found, key=lambda row: row["key"])
        vectors = np.array([row["vector"] for row in rows], dtype=np.float32)
        texts = {name: [row[name] for row in rows] for name in columns}
        return Page([row["key"] for row in rows], vectors, texts)

    def write(self, collection: str, rows: Rows) -> None:
        """See :class:`Access`."""
        names = ("key", "vector", *rows.columns)
        values = zip(rows.keys, rows.vectors, *rows.columns.values(), strict=True)
        data = [dict(zip(names, row, strict=True)) for row in values]
        self._client.upsert(collection, data, timeout=self._timeout_seconds)

    def delete(self, collection: str, keys: Sequence[str]) -> None:
        """See :class:`Access`."""
        self._client.delete(collection, ids=list(keys), timeout=self._timeout_seconds)
