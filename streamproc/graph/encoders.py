"""Graphs of several encoders side by side: which there are, and the removal of one that is no longer read."""

from dataclasses import dataclass

from streamproc.errors import SettingsError
from streamproc.graph.collections import CollectionNames, encoders_of
from streamproc.graph.milvus import GraphAddress, Milvus

__all__ = ["StoredGraph", "drop_graph", "stored_graphs"]

_ANY = ""
"""The stem of the names does not depend on the encoder."""

_LEAST_CHARACTERS = 8
"""Of a hash that names what is dropped: enough not to be typed by mistake."""


@dataclass(frozen=True, slots=True)
class StoredGraph:
    """A graph in the database.

    Attributes:
        encoder: the beginning of the hash of its encoder's float weights.
        notes: rows of notes, as the database estimates them.
    """

    encoder: str
    notes: int


async def stored_graphs(address: GraphAddress) -> list[StoredGraph]:
    """The graphs of a deployment, one an encoder.

    Args:
        address: where they are; its topic prefix names the deployment.

    Raises:
        SettingsError: the address cannot be used, or its ``.db`` is open in another process.
        DependencyDownError: Milvus cannot be reached.
    """
    milvus = await Milvus.open(address)
    try:
        return [
            StoredGraph(encoder, await _notes(milvus, address, encoder))
            for encoder in await _encoders(milvus, address)
        ]
    finally:
        await milvus.close()


async def drop_graph(address: GraphAddress, encoder: str) -> str:
    """Remove one encoder's graph; give the hash as it was found.

    Args:
        address: where it is.
        encoder: the beginning of the hash, eight characters or more.

    Raises:
        SettingsError: it names no graph, or several; or the address cannot be used.
        DependencyDownError: Milvus cannot be reached.
    """
    milvus = await Milvus.open(address)
    try:
        present = await _encoders(milvus, address)
        # People copy the whole hash from a manifest, names carry its beginning.
        matching = [each for each in present if each.startswith(encoder) or encoder.startswith(each)]
        if len(encoder) < _LEAST_CHARACTERS or len(matching) != 1:
            raise SettingsError(
                f"{encoder!r} names {len(matching)} of the graphs there ({', '.join(present) or 'none'}): "
                f"give at least {_LEAST_CHARACTERS} characters of the hash of one"
            )
        for name in CollectionNames(address.topic_prefix, matching[0]).all:
            await milvus.call(
                lambda client, timeout, name: client.drop_collection(name, timeout=timeout), name
            )
        return matching[0]
    finally:
        await milvus.close()


async def _encoders(milvus: Milvus, address: GraphAddress) -> list[str]:
    present = await milvus.call(lambda client, timeout: client.list_collections(timeout=timeout))
    return encoders_of(CollectionNames(address.topic_prefix, _ANY), present)


async def _notes(milvus: Milvus, address: GraphAddress, encoder: str) -> int:
    name = CollectionNames(address.topic_prefix, encoder).notes
    # Counting exactly would read a graph into memory that nobody may be using.
    stats = await milvus.call(lambda client, timeout: client.get_collection_stats(name, timeout=timeout))
    return int(stats["row_count"])
