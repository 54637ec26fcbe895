"""Small worlds for the tests of recall."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from hypothesis import strategies as st

from streamproc.events.graph import Provenance
from streamproc.events.note import Note
from streamproc.events.tag import TagChange, TagPolicy, TagStatus
from streamproc.graph.evidence import COLUMN
from streamproc.graph.hits import Edge, Hits, NoteHit, SegmentHit, TagHit
from streamproc.knowledge.lexical import LexicalIndex
from streamproc.knowledge.repository import Repository

NOTE = Note(note_id="n", title="Something", text="quite unlike any name")


def tag(tag_id, **changes):
    return TagChange(
        tag_id=tag_id,
        name=changes.pop("name", tag_id),
        changed_at=datetime.fromtimestamp(0, tz=UTC),
        **changes,
    )


def manual(tag_id):
    return tag(tag_id, policy=TagPolicy.MANUAL_ONLY)


def merged(tag_id, into):
    return tag(tag_id, status=TagStatus.MERGED, merged_into=into)


def deprecated(tag_id):
    return tag(tag_id, status=TagStatus.DEPRECATED)


@dataclass
class View:
    """A repository with passages of knowledge."""

    tags: list[TagChange]
    segments: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self):
        snapshot = Repository.of(self.tags).snapshot()
        self.resolve = snapshot.resolve
        self.merged = snapshot.merged
        self.lexical: LexicalIndex = snapshot.lexical

    def segment_tags(self, segment_id):
        return self.segments.get(segment_id, ())


@dataclass
class Judges:
    """People's words by note."""

    words: Mapping[str, Mapping[str, bool]] = field(default_factory=dict)

    def of(self, note_id):
        return self.words.get(note_id, {})

    def confirmed(self, tag_id):
        return sum(words.get(tag_id, False) for words in self.words.values())


def edge(tag_id, provenance=Provenance.IMPORT, weight=1.0):
    return Edge(tag_id, weight, provenance)


def hits(tags=(), notes=(), segments=()):
    """Hits, as a graph orders and rounds them, from (id, similarity) and, for notes, edges."""
    return Hits(
        tags=tuple(TagHit(*each) for each in in_order(tags)),
        notes=tuple(
            NoteHit(note_id, similarity, tuple(e if isinstance(e, Edge) else edge(e) for e in edges))
            for note_id, similarity, edges in in_order(notes)
        ),
        segments=tuple(SegmentHit(*each) for each in in_order(segments)),
    )


def in_order(found):
    rounded = [(each[0], round(each[1], 5), *each[2:]) for each in found]
    return sorted(rounded, key=lambda each: (-each[1], each[0]))


def ids(recalled):
    """The candidates, best first."""
    return [each.tag_id for each in recalled.tags]


def feature(recalled, tag_id, name):
    """A column of a candidate's evidence."""
    return float(recalled.evidence[ids(recalled).index(tag_id), COLUMN[name]])


ABC = [tag("a"), tag("b"), tag("c")]

SIMILARITY = st.floats(-0.25, 1.0, width=32)
TAG_IDS = [f"t{number}" for number in range(8)]
AROUND = st.tuples(
    st.dictionaries(st.sampled_from(TAG_IDS), SIMILARITY),
    st.dictionaries(
        st.sampled_from([f"m{number}" for number in range(12)]),
        st.tuples(SIMILARITY, st.lists(st.sampled_from(TAG_IDS), unique=True, max_size=4)),
    ),
)
"""Near tags, and near notes with the tags that people gave them."""
