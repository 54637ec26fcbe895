"""The graph's collections in Milvus: names, columns, indexes.

Names carry the topics' prefix and the hash of the encoder's float weights, so graphs of two
deployments or of two encoders never mix.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from pymilvus import DataType, MilvusClient
from pymilvus.exceptions import MilvusException
from pymilvus.milvus_client.index import IndexParams
from pymilvus.orm.schema import CollectionSchema

from streamproc.errors import GraphMismatchError
from streamproc.graph.keys import MAX_KEY_BYTES
from streamproc.graph.rows import MAX_COLUMN_BYTES

__all__ = ["METRIC", "OFFSET_DIMENSION", "CollectionNames", "Layout", "create_missing", "encoders_of"]

METRIC = "IP"
"""Vectors are of unit length, so their inner product is their cosine, and cheaper."""

OFFSET_DIMENSION = 2
"""Milvus insists on a vector in every collection; offsets have none of their own."""

_CREATION_SECONDS = 1.0
"""How long a collection may take to appear that another worker is creating."""

_HASH_CHARACTERS = 16
_NOTES = "__notes"


@dataclass(frozen=True)
class CollectionNames:
    """Names of the four collections of one deployment and one encoder."""

    topic_prefix: str
    encoder_hash: str

    @property
    def notes(self) -> str:
        """Notes with their deterministic edges."""
        return self._name("notes")

    @property
    def tags(self) -> str:
        """Tags that may be emitted or put to review."""
        return self._name("tags")

    @property
    def segments(self) -> str:
        """Passages of knowledge."""
        return self._name("segments")

    @property
    def offsets(self) -> str:
        """The last applied offset of every partition."""
        return self._name("offsets")

    @property
    def all(self) -> tuple[str, ...]:
        """All four."""
        return self.notes, self.tags, self.segments, self.offsets

    @property
    def stem(self) -> str:
        """What the names of this deployment begin with, whatever the encoder."""
        escaped = "".join(c if c.isascii() and c.isalnum() else f"_{ord(c):02x}" for c in self.topic_prefix)
        return f"streamproc_{escaped}__"

    def _name(self, what: str) -> str:
        return f"{self.stem}{self.encoder_hash[:_HASH_CHARACTERS]}__{what}"


@dataclass(frozen=True)
class Layout:
    """How the collections are to look.

    Attributes:
        names: what they are called.
        dimension: length of a vector.
        index: Milvus' index type. A ``.db`` takes FLAT: its search spends its time outside the index, so an
            approximate one would cost exactness and save little. A server takes AUTOINDEX.
    """

    names: CollectionNames
    dimension: int
    index: str


def create_missing(
    client: MilvusClient, layout: Layout, timeout_seconds: float, *, replace: bool, beside: bool = False
) -> None:
    """Create and load the collections.

    Several workers may do so at once, and where one ended in the middle of it the next completes it.

    Args:
        client: pymilvus' client.
        layout: what they are to look like.
        timeout_seconds: how long a call may take.
        replace: drop those that are there, whatever they hold.
        beside: there may be a graph by another encoder, and it stays.

    Raises:
        GraphMismatchError: there is a graph already, by another encoder or of another shape.
    """
    names = layout.names
    wanted = {
        names.notes: _schema(layout.dimension, ("edges", "details")),
        names.tags: _schema(layout.dimension, ()),
        names.segments: _schema(layout.dimension, ()),
        names.offsets: _offsets_schema(),
    }
    present = client.list_collections(timeout=timeout_seconds)
    if not replace and not beside:
        _require_same_encoder(names, present)
    for name, schema in wanted.items():
        if name in present and replace:
            client.drop_collection(name, timeout=timeout_seconds)
        if replace or name not in present:
            _create(client, name, schema, timeout_seconds)
        _require_same_shape(client, name, schema, timeout_seconds)
        _require_index(client, name, layout.index, timeout_seconds)
        client.load_collection(name, timeout=timeout_seconds)


def encoders_of(names: CollectionNames, present: Sequence[str]) -> list[str]:
    """The encoders that have a graph among these collections: the hashes as the names carry them.

    Args:
        names: of any encoder of the deployment.
        present: names of the collections that are there.
    """
    ours = (name for name in present if name.startswith(names.stem) and name.endswith(_NOTES))
    return sorted(name.removeprefix(names.stem).removesuffix(_NOTES) for name in ours)


def _create(client: MilvusClient, name: str, schema: CollectionSchema, timeout_seconds: float) -> None:
    """Create a collection, unless another worker does so at this moment."""
    try:
        client.create_collection(name, schema=schema, consistency_level="Bounded", timeout=timeout_seconds)
    except MilvusException:
        # Milvus Lite refuses the second worker before the first one's collection can be seen.
        deadline = time.monotonic() + _CREATION_SECONDS
        while not client.has_collection(name, timeout=timeout_seconds):
            if time.monotonic() > deadline:
                raise
            time.sleep(_CREATION_SECONDS / 20)


def _require_index(client: MilvusClient, name: str, index: str, timeout_seconds: float) -> None:
    """Create the index of the vectors where nobody has."""
    if client.list_indexes(name, timeout=timeout_seconds):
        return
    try:
        # The index of an empty collection is there at once; waiting for it would take pymilvus half a second.
        client.create_index(name, _index(index), sync=False, timeout=timeout_seconds)
    except MilvusException:
        if not client.list_indexes(name, timeout=timeout_seconds):
            raise


def _require_same_encoder(names: CollectionNames, present: Sequence[str]) -> None:
    if names.notes in present:
        return
    others = encoders_of(names, present)
    if others:
        raise GraphMismatchError(
            f"the graph was built by the encoder {others[0]}…, and this bundle's is {names.encoder_hash[:_HASH_CHARACTERS]}…; "
            "their vectors cannot be compared. Use the bundle that built it; or run `streamproc graph reembed`, which "
            "embeds the graph anew while workers go on with the old one; or `streamproc graph rebuild`."
        )


def _require_same_shape(
    client: MilvusClient, name: str, schema: CollectionSchema, timeout_seconds: float
) -> None:
    found = {
        field["name"]: field.get("params", {}).get("dim")
        for field in client.describe_collection(name, timeout=timeout_seconds)["fields"]
    }
    wanted = {field.name: field.params.get("dim") for field in schema.fields}
    if {field: dim and int(dim) for field, dim in found.items()} != wanted:
        raise GraphMismatchError(
            f"the collection {name} has the columns {found}, and {wanted} are needed. Run `streamproc graph rebuild`."
        )


def _schema(dimension: int, texts: Sequence[str]) -> CollectionSchema:
    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("key", DataType.VARCHAR, is_primary=True, max_length=MAX_KEY_BYTES)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dimension)
    for text in texts:
        schema.add_field(text, DataType.VARCHAR, max_length=MAX_COLUMN_BYTES)
    return schema


def _offsets_schema() -> CollectionSchema:
    schema = _schema(OFFSET_DIMENSION, ())
    schema.add_field("position", DataType.INT64)
    return schema


def _index(index: str) -> IndexParams:
    params = MilvusClient.prepare_index_params()
    params.add_index("vector", index_type=index, metric_type=METRIC)
    return params
