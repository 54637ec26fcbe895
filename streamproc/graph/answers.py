"""What Milvus answers to a search: columns of the wire in, hits in order out."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
from pymilvus.client.utils import check_status

from streamproc.graph.hits import Edge, NoteHit
from streamproc.graph.keys import from_row_key, split_note_key
from streamproc.graph.rows import merge_edges, unpack_edges

__all__ = ["Found", "found_by", "in_order", "notes_in_order"]

SIMILARITY_DIGITS = 5
"""The last bits of a product depend on how many vectors were multiplied at once; five digits do not."""


class Found(NamedTuple):
    """The hits of one query, nearest first: keys of rows, similarities, and the column that was asked for."""

    keys: Sequence[str]
    similarities: Sequence[float]
    values: Sequence[str]


def found_by(future: Any) -> list[Found]:
    """What a search of one text column found, a query at a time.

    Read off the answer's own columns: ``client.search`` makes an object of each of some ten thousand hits, which takes
    longer than finding them. pymilvus gives the answer as it came only through the future of an asynchronous call.

    Raises:
        MilvusException: Milvus refused the search.
        grpc.RpcError: it did not answer.
    """
    response = future._future.result()  # noqa: SLF001
    check_status(response.status)
    results = response.results
    keys = results.ids.str_id.data
    # A server that found nothing leaves the columns out, too.
    values = results.fields_data[0].scalars.string_data.data if results.fields_data else keys
    similarities: list[float] = np.clip(np.round(results.scores, SIMILARITY_DIGITS), -1.0, 1.0).tolist()
    ends = list(accumulate(results.topks))
    return [
        Found(keys[start:end], similarities[start:end], values[start:end])
        for start, end in zip([0, *ends], ends, strict=False)
    ]


def in_order(found: Found, limit: int) -> list[tuple[str, float]]:
    """Ids and similarities of tags or passages, nearest first, ties in order of id, at most ``limit``."""
    scored = sorted(zip([-each for each in found.similarities], map(from_row_key, found.keys), strict=True))
    return [(identifier, -score) for score, identifier in scored[:limit]]


def notes_in_order(found: Found, limit: int) -> tuple[NoteHit, ...]:
    """Notes, nearest first, ties in order of id, at most ``limit``; the two rows of one note are one hit."""
    rows: dict[str, tuple[float, tuple[str, ...]]] = {}
    for key, similarity, edges in zip(*found, strict=True):
        note_id, _ = split_note_key(key)
        known = rows.get(note_id)
        rows[note_id] = (-similarity, (edges,)) if known is None else (known[0], (*known[1], edges))
    nearest = sorted([(score, note_id, packed) for note_id, (score, packed) in rows.items()])
    return tuple([NoteHit(note_id, -score, _votes(*packed)) for score, note_id, packed in nearest[:limit]])


@lru_cache(maxsize=65_536)
def _votes(*packed: str) -> tuple[Edge, ...]:
    """The edges of one note from its rows; neighbours recur from note to note, so they are kept."""
    return merge_edges(unpack_edges(edges) for edges in packed)
