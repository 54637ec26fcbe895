"""The graphs of two encoders beside each other."""

import pytest

from streamproc.errors import GraphMismatchError, SettingsError
from streamproc.graph.encoders import StoredGraph, drop_graph, stored_graphs
from streamproc.graph.milvus import GraphAddress
from streamproc.graph.rebuild import catch_up
from streamproc.graph.store import Counts, MilvusGraph
from streamproc.graph.writer import GraphWriter
from tests.graph.material import (
    DIMENSION,
    ENCODER_HASH,
    WordEncoder,
    graph_note,
    record,
    row,
    tagged,
    tombstone,
    vector_of,
)
from tests.graph.test_rebuild import batches, segment_record, tag_record

OTHER_HASH = "d" * 64


class OtherEncoder(WordEncoder):
    """As tiny, of other length."""

    dimension = DIMENSION // 2
    weights_hash = OTHER_HASH

    async def encode(self, texts):
        encoded = await super().encode(texts)
        return type(encoded)(encoded.vectors[:, : self.dimension] * 2**0.5, encoded.truncated)


@pytest.fixture(params=["lite", "server"])
def address(request, tmp_path, unique_prefix):
    if request.param == "lite":
        return GraphAddress(str(tmp_path / "graph.db"), topic_prefix=unique_prefix, timeout_seconds=30)
    server = request.getfixturevalue("milvus_server")
    return GraphAddress(server.uri, topic_prefix=unique_prefix, timeout_seconds=30)


async def opened(address, encoder, **how):
    return await MilvusGraph.open(address, encoder.weights_hash, encoder.dimension, **how)


async def caught_up(writer, *notes, tags=(), knowledge=()):
    return await catch_up(
        writer,
        tags=batches(*tags),
        knowledge=batches(*knowledge),
        notes=batches(*notes),
        progress=lambda _: None,
    )


async def test_a_second_graph_is_built_beside_the_first_and_the_first_goes_on(address):
    old = await opened(address, WordEncoder())
    await old.write_notes([row("n", tagged("a"))])
    await old.close()
    with pytest.raises(GraphMismatchError, match=r"graph reembed"):
        await opened(address, OtherEncoder())

    new = await opened(address, OtherEncoder(), beside=True)
    writer = GraphWriter(new, OtherEncoder())
    # Carried vectors belong to the old encoder: these are embedded anew.
    notes = [record(offset, graph_note(f"n{offset}", vector=vector_of("x"))) for offset in range(5)]
    tags, knowledge = [tag_record(0, "a")], [segment_record(0, "s")]
    first = await caught_up(writer, *notes, tags=tags, knowledge=knowledge)
    assert (first.tags, first.segments, first.notes) == (1, 1, 5)
    assert await new.counts() == Counts(notes=5, tags=1, segments=1)
    await new.close()

    for encoder, count in ((WordEncoder(), 1), (OtherEncoder(), 5)):
        graph = await opened(address, encoder)
        assert (await graph.counts()).notes == count
        await graph.close()


async def test_it_goes_on_where_it_ended(address):
    new = await opened(address, OtherEncoder())
    notes = [record(offset, graph_note(f"n{offset}")) for offset in range(4)]
    tags = [tag_record(0, "a"), tag_record(1, "b")]
    await caught_up(GraphWriter(new, OtherEncoder()), *notes, tags=tags)

    encoder = OtherEncoder()
    nothing = await caught_up(GraphWriter(new, encoder), *notes, tags=tags)
    assert (nothing.tags, nothing.notes, nothing.passed_over) == (0, 0, 0)
    assert encoder.texts == []

    # A change that is valid only because of those before it, which are applied already.
    merged = tag_record(2, "b", status="merged", merged_into="a")
    more = await caught_up(
        GraphWriter(new, encoder),
        *notes,
        tombstone(4, "n0"),
        record(5, graph_note("m")),
        tags=[*tags, merged],
    )
    assert (more.tags, more.notes, more.passed_over) == (1, 2, 0)
    assert len(encoder.texts) == 1
    assert await new.counts() == Counts(notes=4, tags=1, segments=0)
    assert await new.offsets() == {("tags.changes", 0): 2, ("graph.notes", 0): 5}
    await new.close()


async def test_graphs_are_listed_and_the_old_one_is_dropped(address):
    for encoder in (WordEncoder(), OtherEncoder()):
        graph = await opened(address, encoder, beside=True)
        await graph.close()
    assert [each.encoder for each in await stored_graphs(address)] == [OTHER_HASH[:16], ENCODER_HASH[:16]]
    with pytest.raises(SettingsError, match=r"'eeee' names 1 of the graphs there .* at least 8 characters"):
        await drop_graph(address, "eeee")
    with pytest.raises(SettingsError, match=r"names 0 of the graphs there \(d{16}, e{16}\)"):
        await drop_graph(address, "f" * 64)
    assert await drop_graph(address, ENCODER_HASH) == ENCODER_HASH[:16]
    assert [each.encoder for each in await stored_graphs(address)] == [OTHER_HASH[:16]]
    # With one graph left there is no doubt about which one is meant, and the other encoder's is gone.
    with pytest.raises(GraphMismatchError):
        await opened(address, WordEncoder())


async def test_graphs_of_other_deployments_are_not_touched(address):
    other = GraphAddress(address.uri, topic_prefix=f"{address.topic_prefix}x", timeout_seconds=30)
    for where in (address, other):
        await (await opened(where, WordEncoder())).close()
    await drop_graph(address, ENCODER_HASH[:8])
    assert await stored_graphs(address) == []
    assert await stored_graphs(other) == [StoredGraph(ENCODER_HASH[:16], 0)]
