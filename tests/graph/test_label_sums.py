import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.events.graph import Origin
from streamproc.graph.discriminant import TagSums
from streamproc.graph.keys import note_row_key
from streamproc.graph.label_sums import Labels, LabelSums, Taught
from streamproc.graph.uses import counted
from streamproc.graph.wording import NO_WORDS, WordCounts
from tests.graph.material import DIMENSION, vector_of, words

TAGS = ("x", "y", "z")
NAMES = [(tag_id,) for tag_id in TAGS]
TEXTS = ("oolong, steeped", "matcha, whisked", "grout and tiles")
NOTES = ("m", "n", "o'p:q")
KEYS = [note_row_key(note_id, origin) for note_id in NOTES for origin in Origin]


def batches(texts, **limits):
    """Rows as they are written, a batch at a time, each with its tags (none: it is removed) and its text."""
    tags = st.frozensets(st.sampled_from(TAGS))
    rows = st.tuples(st.sampled_from(KEYS), tags, st.sampled_from(texts))
    return st.lists(st.lists(rows, min_size=1, max_size=4), **limits)


OTHERS = [
    (note_row_key(f"other{number}", Origin.STREAM), frozenset(TAGS[number % 3]), "") for number in range(9)
]
"""Rows that stand there from the first: of one note alone the covariance would be nothing but rounding."""


def labels(rows):
    keys = [key for key, _, _ in rows]
    vectors = np.array([taught(row).vector for row in rows], dtype=np.float32).reshape(len(rows), DIMENSION)
    return Labels(keys, [tags for _, tags, _ in rows], vectors, [taught(row).words for row in rows])


def taught(row):
    """A row's own vector: those of a note's two rows differ, and one that is written anew may have another."""
    key, _, text = row
    return Taught(vector_of(key + text), words(text) if text in TEXTS else NO_WORDS)


class Graph:
    """Rows that come and go, and sums that are told."""

    def __init__(self):
        self.rows = {}
        self.sums = LabelSums(DIMENSION)
        self.write(OTHERS)

    def write(self, batch, *more):
        """Write rows and tell them to the graph's own sums, and to others."""
        sums = (self.sums, *more)
        before = {key: taught(self.rows[key]) for each in sums for key in each.needed(labels(batch))}
        self.rows.update((row[0], row) for row in batch)
        for each in sums:
            each.put(labels(batch), before)

    def page(self, after, size=2):
        """The next rows in order of key that have tags, and the key of the last one looked at; none: there are no more."""
        keys = sorted(key for key in self.rows if key > after)[:size]
        return labels([self.rows[key] for key in keys if self.rows[key][1]]), keys[-1] if keys else None

    def tell(self, left, sums):
        """Tell the rows of some notes again."""
        notes = {key.partition(":")[2] for key in left}
        again = [row for key, row in self.rows.items() if key.partition(":")[2] in notes]
        sums.put(labels(again), {row[0]: taught(row) for row in again})


def taught_once(rows):
    """The rule in plain words: a note has the tags of both rows, and teaches by the imported one if that has any."""
    vectors, counts, notes = TagSums(DIMENSION), WordCounts(), []
    for note_id in {key.partition(":")[2]: None for key in rows}:
        both = [rows.get(f"{origin}:{note_id}") for origin in (Origin.IMPORT, Origin.STREAM)]
        labelled = [row for row in both if row is not None and row[1]]
        if not labelled:
            continue
        tags, one = labelled[0][1].union(labelled[-1][1]), taught(labelled[0])
        notes.append(tags)
        vectors.add([tags], one.vector[None])
        if len(one.words.numbers):
            counts.add([tags], [one.words])
    return said(counted(notes), vectors.discriminant(), counts.model())


def said(uses, discriminant, wording):
    """Counts, and what vectors and words say of each tag to a stranger."""
    columns = []
    if discriminant is not None:
        columns += [each.columns(NAMES) for each in discriminant.likenesses(vector_of("any")[None])]
    if wording is not None:
        columns += [wording.wording(words(text)).columns(NAMES) for text in TEXTS]
    notes = (discriminant and discriminant.notes, wording and wording.notes)
    return dict(uses), notes, np.concatenate([np.zeros((3, 0)), *columns], axis=1)


def say(sums):
    return said(sums.uses(), *sums.models())


def assert_same(one, another):
    assert one[:2] == another[:2]
    np.testing.assert_allclose(one[2], another[2], atol=1e-4)


def come_to_the_same(written, begin):
    """Sums that were told from the first, and others that read the graph while it was written, from some batch on."""
    graph, read, after, left = Graph(), LabelSums(DIMENSION), "", []
    for batch in written[:begin]:
        graph.write(batch)
    for batch in written[begin:]:
        if after is not None:
            page, after = graph.page(after)
            left += read.read(page)
        graph.write(batch, read)
    while after is not None:
        page, after = graph.page(after)
        left += read.read(page)
    graph.tell(left, read)
    expected = taught_once(graph.rows)
    assert_same(say(graph.sums), expected)
    assert_same(say(read), expected)


@settings(deadline=None)
@given(batches(["", "anew"], max_size=12), st.integers(0, 6))
def test_a_note_teaches_once_however_its_rows_came_to_stand_there_or_were_read(written, begin):
    come_to_the_same(written, begin)


@settings(deadline=None, max_examples=15)
@given(batches(["", *TEXTS], min_size=4, max_size=8), st.integers(0, 6))
def test_so_do_its_words(written, begin):
    come_to_the_same(written, begin)


def test_a_row_is_counted_as_it_is_read_unless_its_note_would_teach_something_else():
    imported, streamed = [(key, frozenset("x"), "") for key in ("import:m", "stream:m")]
    sums = LabelSums(DIMENSION)
    assert sums.read(labels([imported, streamed])) == []
    assert sums.tags == {"import:m": {"x"}, "stream:m": {"x"}}
    assert LabelSums(DIMENSION).read(labels([imported, ("stream:m", frozenset("z"), "")])) == ["stream:m"]
    told = LabelSums(DIMENSION)
    told.put(labels([streamed]), {})
    assert told.read(labels([imported])) == ["import:m"]


def test_what_rows_taught_is_needed_only_where_their_note_will_teach_something_else():
    graph, xy = Graph(), frozenset("xy")
    graph.write([("import:m", xy, ""), ("stream:m", frozenset("x"), ""), ("stream:n", xy, "")])

    def needed(key, tags):
        return graph.sums.needed(labels([(key, frozenset(tags), "")]))

    assert needed("import:m", "xy") == ["import:m"]
    assert needed("import:m", "") == ["import:m", "stream:m"]
    assert needed("stream:m", "z") == ["import:m"]
    assert needed("stream:m", "y") == needed("stream:m", "") == []
    assert needed("import:n", "x") == ["stream:n"]
    assert needed("import:n", "") == []


def test_a_row_that_is_unknown_as_it_was_is_taken_away_as_it_is():
    graph, row = Graph(), ("import:m", frozenset("x"), TEXTS[0])
    graph.write([row])
    once = say(graph.sums)
    graph.sums.put(labels([row]), {})
    assert_same(say(graph.sums), once)
