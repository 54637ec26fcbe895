"""The graph looked at from outside, as ``doctor`` does: nothing is created."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from streamproc.graph.collections import CollectionNames
from streamproc.graph.milvus import GraphAddress, Milvus, is_open_elsewhere
from streamproc.graph.store import Counts, MilvusGraph
from streamproc.graph.view import Partition

__all__ = ["GraphInspection", "GraphState", "inspect_graph"]


class GraphState(StrEnum):
    """What there is at an address."""

    ABSENT = "absent"
    """Nothing yet; the first worker creates it."""
    IN_USE = "in use"
    """A ``.db`` that another process has open: only that process can look into it."""
    PRESENT = "present"


@dataclass(frozen=True)
class GraphInspection:
    """What was found; ``counts`` and ``applied`` are empty unless the graph is present."""

    state: GraphState
    counts: Counts
    applied: dict[Partition, int]


async def inspect_graph(address: GraphAddress, encoder_hash: str, dimension: int) -> GraphInspection:
    """Look at the graph.

    Args:
        address: where it is.
        encoder_hash: hash of the float weights of the encoder that it should belong to.
        dimension: length of that encoder's vectors.

    Raises:
        SettingsError: the address cannot be used.
        GraphMismatchError: the graph there was built by another encoder or is of another shape.
        DependencyDownError: Milvus cannot be reached.
        DeadlineError: it did not answer in time.
    """
    if address.is_local and (state := _state_of_file(Path(address.uri))) is not GraphState.PRESENT:
        return GraphInspection(state, Counts(0, 0, 0), {})
    milvus = await Milvus.open(address)
    try:
        stem = CollectionNames(address.topic_prefix, encoder_hash).stem
        present = await milvus.call(lambda client, timeout: client.list_collections(timeout=timeout))
    finally:
        await milvus.close()
    if not any(name.startswith(stem) for name in present):
        return GraphInspection(GraphState.ABSENT, Counts(0, 0, 0), {})
    graph = await MilvusGraph.open(address, encoder_hash, dimension)
    try:
        return GraphInspection(GraphState.PRESENT, await graph.counts(), await graph.offsets())
    finally:
        await graph.close()


def _state_of_file(path: Path) -> GraphState:
    # A path that cannot be a graph's is left to be opened: the error says what is wrong with it.
    if path.suffix == ".db" and path.parent.is_dir() and not path.exists():
        return GraphState.ABSENT
    return GraphState.IN_USE if is_open_elsewhere(path) else GraphState.PRESENT
