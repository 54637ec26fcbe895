"""What Milvus answers to a search: columns in, hits in order out."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from pymilvus.client.utils import check_status

from streamproc.graph.hits import Edge, NoteHit
from streamproc.graph.keys import from_row_key, split_note_key
from streamproc.graph.rows import merge_edges, unpack_edges

__all__ = ["SIMILARITY_DIGITS", "Found", "found_by", "in_order", "notes_in_order", "rounded"]

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
    similarities = rounded(np.array(results.scores))
    ends = list(accumulate(results.topks))
    return [
        Found(keys[start:end], similarities[start:end], values[start:end])
        for start, end in zip([0, *ends], ends, strict=False)
    ]


def rounded(similarities: npt.NDArray[np.floating]) -> list[float]:
    """Similarities as they are compared: to five digits, and never beyond those of equal and opposite vectors."""
    values: list[float] = np.clip(
        np.round(similarities.astype(np.float64, copy=False), SIMILARITY_DIGITS), -1.0, 1.0
    ).tolist()
    return values


def in_order(found: Found, limit: int) -> list[tuple[str, float]]:
    """Ids and similarities of tags or passages, nearest first, ties in order of id, at most ``limit``."""
    scored = sorted(zip([-each for each in found.similarities], map(from_row_key, found.keys), strict=True))
    return [(identifier, -score) for score, identifier in scored[:limit]]


def notes_in_order(found: Found, limit: int) -> tuple[NoteHit, ...]:
    """Notes, nearest first, ties in order of id, at most ``limit``; the two rows of one note are one hit."""
    note_ids = [split_note_key(key)[0] for key in found.keys]
    scores = [-each for each in found.similarities]
    if len(set(note_ids)) == len(note_ids):
        # As good as sorted already, and no two equal in the first two columns: the third is never compared.
        nearest = sorted(zip(scores, note_ids, found.values, strict=True))[:limit]
        return tuple([NoteHit(note_id, -score, _votes(edges)) for score, note_id, edges in nearest])
    rows: dict[str, tuple[float, tuple[str, ...]]] = {}
    for score, note_id, edges in zip(scores, note_ids, found.values, strict=True):
        known = rows.get(note_id)
        rows[note_id] = (score, (edges,)) if known is None else (known[0], (*known[1], edges))
    ranked = sorted([(score, note_id, packed) for note_id, (score, packed) in rows.items()])
    return tuple([NoteHit(note_id, -score, _votes(*packed)) for score, note_id, packed in ranked[:limit]])


@lru_cache(maxsize=65_536)
def _votes(*packed: str) -> tuple[Edge, ...]:
    """The edges of one note from its rows; neighbours recur from note to note, so they are kept."""
    return merge_edges(unpack_edges(edges) for edges in packed)
