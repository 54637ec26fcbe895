"""Labels may be imported before their tags are published: they wait in the graph and count from then on."""

from streamproc.events.graph import Origin
from streamproc.graph.recall import recall
from streamproc.graph.thresholds import FITTED
from streamproc.graph.writer import GraphWriter
from tests.graph.material import WordEncoder, graph_note, record, tagged, vector_of
from tests.graph.recalling import NOTE, Judges, View, tag


async def test_a_label_counts_once_its_tag_is_published_and_nothing_is_imported_again(graph):
    writer = GraphWriter(graph, WordEncoder())
    history = graph_note(
        "h", tagged("known"), tagged("later"), origin=Origin.IMPORT, vector=vector_of("text")
    )
    await writer.apply(await writer.plan([record(0, history)]))
    known, later = tag("known"), tag("later")

    async def voted(*published):
        await writer.apply_tags(published, {})
        (hits,) = await graph.search(vector_of("text")[None], tags=0, notes=10, segments=0)
        return {each.tag_id for each in recall(NOTE, hits, View(list(published)), Judges(), FITTED).tags}

    assert await voted(known) == {"known"}
    assert await voted(known, later) == {"known", "later"}
