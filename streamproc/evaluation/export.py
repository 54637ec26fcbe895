"""A dataset from the topics: what people said of notes, laid out so that training and evaluation read it.

Labels are people's judgements, imported edges and authors' own tags, a judgement on this very note before all
others. What models emitted is never a label: fine-tuning on it would teach a model its own mistakes.
"""

from collections.abc import AsyncIterable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from streamproc.errors import PoisonError
from streamproc.events.codec import decode_graph_note, decode_judgement, decode_note, decode_tag
from streamproc.events.graph import Origin
from streamproc.events.note import Note, NoteDeleted
from streamproc.events.record import InputRecord
from streamproc.events.tag import TagChange, TagStatus
from streamproc.graph.keys import parse_note_key
from streamproc.graph.uses import given_by_people
from streamproc.knowledge.judgements import Judgements
from streamproc.knowledge.repository import Repository, RepositorySnapshot

__all__ = ["Batches", "Example", "Export", "Topics", "collect"]

Batches = AsyncIterable[Sequence[InputRecord]]
"""Records of one topic from its start, in the order of the log within each partition; ends where the log ends."""


@dataclass(frozen=True, slots=True)
class Topics:
    """What is read, in this order, each topic once.

    Attributes:
        tags: ``tags.changes``.
        labels: ``notes.labels``.
        graph: ``graph.notes``.
        notes: ``notes.new``, for judged notes that are not in the graph; it goes back as far as Kafka keeps it.
    """

    tags: Batches
    labels: Batches
    graph: Batches
    notes: Batches


@dataclass(frozen=True, slots=True)
class Example:
    """A note and what people said of it.

    Attributes:
        note: the note, without its author's tags.
        tags: ids of its right tags, all of them active.
        rejected: ids of tags that do not apply, all of them active.
    """

    note: Note
    tags: tuple[str, ...]
    rejected: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Export:
    """What the topics hold.

    Attributes:
        examples: notes of which people said something that still stands, in order of id.
        tags: the active tags, in order of id.
        unlabelled: notes of the graph of which people said nothing, or nothing that still stands.
        textless: judged notes whose text no topic has any more.
        passed_over: records that no agent can apply.
    """

    examples: tuple[Example, ...]
    tags: tuple[TagChange, ...]
    unlabelled: int
    textless: int
    passed_over: int


async def collect(topics: Topics) -> Export:
    """Read the topics to their ends.

    Raises:
        DependencyDownError: Kafka stops answering.
    """
    read = _Read()
    for batches, apply in (
        (topics.tags, read.tag),
        (topics.labels, read.label),
        (topics.graph, read.graph_note),
        (topics.notes, read.new_note),
    ):
        async for batch in batches:
            read.apply(batch, apply)
    return read.export()


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of the graph: the note, where people said something of it, and the tags that they gave it."""

    note: Note | None
    tags: tuple[str, ...]


@dataclass(slots=True)
class _Read:
    """The state of the topics while they are read. Notes that nobody labelled are not kept in memory."""

    repository: Repository = field(default_factory=Repository)
    judgements: Judgements = field(default_factory=Judgements)
    judged: set[str] = field(default_factory=set)
    rows: dict[str, dict[Origin, _Row]] = field(default_factory=dict)
    texts: dict[str, Note] = field(default_factory=dict)
    passed_over: int = 0

    def apply(self, batch: Iterable[InputRecord], apply: Callable[[InputRecord], None]) -> None:
        for record in batch:
            try:
                apply(record)
            except PoisonError:
                self.passed_over += 1

    def tag(self, record: InputRecord) -> None:
        self.repository.apply(decode_tag(record.value, record.key), record.source.position.offset)

    def label(self, record: InputRecord) -> None:
        judgement = decode_judgement(record.value, record.key)
        position = record.source.position
        self.judgements.apply(judgement, position.partition, position.offset)
        self.judged.add(judgement.note_id)

    def graph_note(self, record: InputRecord) -> None:
        note_id, origin = parse_note_key(record.key)
        if record.value is None:
            self.rows.get(note_id, {}).pop(origin, None)
            return
        found = decode_graph_note(record.value)
        people = given_by_people(found.tags)
        tags = tuple(tag.tag_id for tag in found.tags if tag.tag_id in people)
        spoken = bool(tags) or note_id in self.judged
        self.rows.setdefault(note_id, {})[origin] = _Row(found.note if spoken else None, tags)

    def new_note(self, record: InputRecord) -> None:
        # Of what is not in the graph only judgements are known: the author's tags count once a worker took the note.
        note = decode_note(record.value, record.key, record.headers)
        if isinstance(note, NoteDeleted):
            self.texts.pop(note.note_id, None)
        elif note.note_id in self.judged and not self.rows.get(note.note_id):
            self.texts[note.note_id] = note

    def export(self) -> Export:
        tags, judgements = self.repository.snapshot(), self.judgements.snapshot()
        examples = []
        in_graph = {note_id: rows for note_id, rows in self.rows.items() if rows}
        for note_id in sorted(in_graph.keys() | self.texts.keys()):
            rows = in_graph.get(note_id, {})
            note = _text(rows) or self.texts.get(note_id)
            given = [tag_id for row in rows.values() for tag_id in row.tags]
            said = _labels(given, judgements.of(note_id), tags)
            if note is not None and said:
                examples.append(
                    Example(
                        msgspec.structs.replace(note, tags=()),
                        tuple(sorted(tag_id for tag_id, right in said.items() if right)),
                        tuple(sorted(tag_id for tag_id, right in said.items() if not right)),
                    )
                )
        labelled = {each.note.note_id for each in examples}
        return Export(
            examples=tuple(examples),
            tags=tuple(
                sorted((tag for tag in tags if tag.status is TagStatus.ACTIVE), key=lambda tag: tag.tag_id)
            ),
            unlabelled=len(in_graph.keys() - labelled),
            textless=len(self.judged - in_graph.keys() - self.texts.keys()),
            passed_over=self.passed_over,
        )


def _text(rows: Mapping[Origin, _Row]) -> Note | None:
    """The note as it was streamed, else as it was imported."""
    notes = (rows[origin].note for origin in (Origin.STREAM, Origin.IMPORT) if origin in rows)
    return next((note for note in notes if note is not None), None)


def _labels(given: Iterable[str], judged: Mapping[str, bool], tags: RepositorySnapshot) -> dict[str, bool]:
    """Active tag id → whether it is right, merges followed."""
    labels = {tag.tag_id: True for tag in map(tags.resolve, given) if tag is not None}
    # Where tags were merged that people judged differently, the word on the tag itself counts, then the kinder one.
    for tag_id, right in sorted(judged.items(), key=lambda each: each[1]):
        tag = tags.resolve(tag_id)
        if tag is not None and (tag.tag_id == tag_id or tag.tag_id not in judged):
            labels[tag.tag_id] = right
    return labels
