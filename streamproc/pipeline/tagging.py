"""The pipeline: text → vector → hits → candidates → logits → confidences → decision → outcome."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from streamproc.config import Settings, WriteBack
from streamproc.errors import BundleError, NotFiniteError
from streamproc.events.codec import content_hash, normalise_name
from streamproc.events.graph import GraphNote, GraphTag, Origin, Provenance, SimilarTo, pack_vector
from streamproc.events.note import Note
from streamproc.events.tagged import EmittedTag, ModelVersions, NoteOutcome, NoteTagged, RelatedNote
from streamproc.graph.evidence import check_readable
from streamproc.graph.hits import Graph, Hits, NoteHit
from streamproc.graph.knowledge_view import KnowledgeView
from streamproc.graph.recall import Recalled, explain, recall
from streamproc.graph.thresholds import Thresholds
from streamproc.inference.bundle import Bundle
from streamproc.inference.manifest import Manifest
from streamproc.inference.protocols import CandidateTag, Float32, Models, TaggingRequest
from streamproc.inference.text import note_text
from streamproc.knowledge.snapshot import Knowledge, KnowledgeSnapshot
from streamproc.observability import metrics
from streamproc.observability.histograms import observe_all
from streamproc.observability.stopwatch import Stopwatch
from streamproc.pipeline.beliefs import beliefs
from streamproc.pipeline.judged import JudgedNote, Observer, scored
from streamproc.pipeline.outcome import Outcome, SourcedNote
from streamproc.pipeline.policy import Decision, Policy, Scored, decide

__all__ = ["Pipeline", "model_versions"]

SEGMENTS = 3
"""Passages retrieved for a note (LLM4Tag, 3.2: up to three)."""

SIMILARITY_EDGES = 3
"""Similarity edges of each sort that a note adds to the graph: each is a record on ``graph.edges``."""


@dataclass(frozen=True, slots=True)
class _Read:
    """A note in a language that the models read, on its way through the stages."""

    note: SourcedNote
    text: str
    vector: Float32
    truncated: bool
    hits: Hits
    recalled: Recalled


class Pipeline:
    """Tags batches of notes; holds no state of its own between them.

    Args:
        models: encoder, tagger, calibrator.
        graph: what is searched.
        knowledge: tags, judgements and passages; one snapshot is taken before each batch's recall.
        manifest: of the bundle: languages, versions, fitted recall.
        policy: which tags are emitted.
        related_notes: how many similar notes an outcome names at most.
        write_back: whether notes are to enter the graph.
        observer: shown what the models said of each note; None: nobody looks.

    Raises:
        BundleError: there is no tagger, or it was trained on evidence that this version does not gather.
    """

    def __init__(
        self,
        models: Models,
        graph: Graph,
        knowledge: Knowledge,
        manifest: Manifest,
        policy: Policy,
        *,
        related_notes: int = 5,
        write_back: bool = True,
        observer: Observer | None = None,
    ) -> None:
        if manifest.tagger is None:
            raise BundleError(f"bundle {manifest.name}-{manifest.version} has no tagger: train one first")
        self._models = models
        self._graph = graph
        self._knowledge = knowledge
        check_readable(manifest.tagger.features)
        self._thresholds = Thresholds.of(manifest.recall)
        self._languages = frozenset(manifest.languages)
        self._policy = policy
        self._related_notes = related_notes
        self._write_back = write_back
        self._observer = observer
        self._versions = model_versions(manifest, models)

    @classmethod
    def of(
        cls,
        settings: Settings,
        bundle: Bundle,
        models: Models,
        graph: Graph,
        knowledge: Knowledge,
        *,
        observer: Observer | None = None,
    ) -> "Pipeline":
        """The pipeline that the settings describe."""
        return cls(
            models,
            graph,
            knowledge,
            bundle.manifest,
            Policy.of(settings),
            related_notes=settings.related_notes,
            write_back=settings.write_back is WriteBack.ON,
            observer=observer,
        )

    async def tag(self, notes: Sequence[SourcedNote]) -> list[Outcome]:
        """Give the outcome of each note, in their order; no note's outcome depends on the others.

        Raises:
            DependencyDownError: the graph or the models cannot be reached.
            DeadlineError: one of them did not answer in time.
        NotFiniteError: a model answered with something that is no number.
        """
        snapshot = self._knowledge.snapshot()
        self._graph.hear(snapshot.judgements)
        readable = [index for index, each in enumerate(notes) if self._reads(each.note)]
        outcomes = {
            index: self._unsupported(each, snapshot)
            for index, each in enumerate(notes)
            if not self._reads(each.note)
        }
        if readable:
            watch = Stopwatch(metrics.PIPELINE_SECONDS)
            read = await self._recalled([notes[index] for index in readable], snapshot, watch)
            decisions = await self._decisions(read, watch)
            for index, each, decision in zip(readable, read, decisions, strict=True):
                outcomes[index] = self._outcome(each, decision, snapshot)
            watch.lap("decide")
        return [outcomes[index] for index in range(len(notes))]

    def _reads(self, note: Note) -> bool:
        """Whether the models read the note's language; a note that names none is taken to be in one of theirs."""
        language = note.language.replace("_", "-").split("-")[0].lower()
        return not language or language in self._languages

    async def _recalled(
        self, notes: Sequence[SourcedNote], snapshot: KnowledgeSnapshot, watch: Stopwatch
    ) -> list[_Read]:
        texts = [note_text(each.note) for each in notes]
        encoded = await self._models.encoder.encode(texts)
        if not np.isfinite(encoded.vectors).all():
            raise NotFiniteError("the encoder answered with a vector that is not finite")
        watch.lap("encode")
        thresholds = self._thresholds
        hits = await self._graph.search(
            encoded.vectors,
            tags=thresholds.nearest_tags,
            notes=thresholds.nearest_notes,
            segments=SEGMENTS if len(snapshot.segments) else 0,
        )
        watch.lap("search")
        view = KnowledgeView(snapshot)
        read = [
            _Read(
                note=each,
                text=text,
                vector=vector,
                truncated=bool(truncated),
                hits=found,
                recalled=recall(each.note, found, view, snapshot.judgements, thresholds),
            )
            for each, text, vector, truncated, found in zip(
                notes, texts, encoded.vectors, encoded.truncated, hits, strict=True
            )
        ]
        watch.lap("recall")
        observe_all(metrics.CANDIDATES, [len(each.recalled.tags) for each in read])
        return read

    async def _decisions(self, read: Sequence[_Read], watch: Stopwatch) -> list[Decision]:
        requests = [
            TaggingRequest(
                each.text,
                tuple(CandidateTag(tag.tag_id, tag.name, tag.description) for tag in each.recalled.tags),
                each.recalled.evidence,
            )
            for each in read
        ]
        began = time.perf_counter()
        logits = await self._models.tagger.score(requests)
        watch.lap("tag")
        confidences = await self._models.calibrator.judge(requests, logits)
        watch.lap("judge")
        if self._observer is not None:
            seconds_a_note = (time.perf_counter() - began) / len(read)
            judged = zip(read, requests, confidences, strict=True)
            self._observer.offer(
                [
                    JudgedNote(
                        each.note.note.note_id,
                        each.note.source,
                        request,
                        each.recalled,
                        of_note,
                        self._versions,
                    )
                    for each, request, of_note in judged
                ],
                seconds_a_note,
            )
        return [
            decide(scored(each.recalled, of_note), self._policy)
            for each, of_note in zip(read, confidences, strict=True)
        ]

    def _outcome(self, read: _Read, decision: Decision, snapshot: KnowledgeSnapshot) -> Outcome:
        note_id = read.note.note.note_id
        neighbours = [hit for hit in read.hits.notes if hit.note_id != note_id]
        near = [hit for hit in neighbours if hit.similarity >= self._thresholds.delta_content_content]
        tagged = NoteTagged(
            note_id=note_id,
            outcome=NoteOutcome.TAGGED,
            models=self._versions,
            applied=snapshot.applied,
            tags=_emitted(read.recalled, decision.emitted),
            review=_emitted(read.recalled, decision.review),
            related=tuple(
                RelatedNote(note_id=hit.note_id, similarity=hit.similarity)
                for hit in near[: self._related_notes]
            ),
            truncated=read.truncated,
        )
        if not self._write_back:
            return Outcome(read.note.source, tagged, None)
        return Outcome(read.note.source, tagged, self._graph_note(read, near, decision, snapshot))

    def _graph_note(
        self, read: _Read, near: Sequence[NoteHit], decision: Decision, snapshot: KnowledgeSnapshot
    ) -> GraphNote:
        note = read.note.note
        thresholds = self._thresholds
        return GraphNote(
            note=note,
            origin=Origin.STREAM,
            content_hash=content_hash(note),
            source=read.note.source.position,
            encoder=self._models.encoder.weights_hash,
            vector=pack_vector(read.vector),
            tags=(*_author_edges(note, snapshot), *_model_edges(decision, thresholds.min_model_weight)),
            similar_tags=tuple(
                SimilarTo(target=hit.tag_id, similarity=hit.similarity)
                for hit in read.hits.tags[:SIMILARITY_EDGES]
                if hit.similarity >= thresholds.delta_content_tag
            ),
            similar_notes=tuple(
                SimilarTo(target=hit.note_id, similarity=hit.similarity) for hit in near[:SIMILARITY_EDGES]
            ),
        )

    def _unsupported(self, note: SourcedNote, snapshot: KnowledgeSnapshot) -> Outcome:
        tagged = NoteTagged(
            note_id=note.note.note_id,
            outcome=NoteOutcome.UNSUPPORTED_LANGUAGE,
            models=self._versions,
            applied=snapshot.applied,
        )
        return Outcome(note.source, tagged, None)


def model_versions(manifest: Manifest, models: Models) -> ModelVersions:
    """How outcomes name the models of a bundle."""
    return ModelVersions(
        bundle=f"{manifest.name}-{manifest.version}",
        encoder=models.encoder.weights_hash[:16],
        tagger=models.tagger.version,
        calibrator=models.calibrator.version,
    )


def _emitted(recalled: Recalled, chosen: Sequence[Scored]) -> tuple[EmittedTag, ...]:
    emitted = []
    for rank, each in enumerate(chosen, start=1):
        paths, evidence = explain(recalled, each.index)
        emitted.append(
            EmittedTag(
                tag_id=each.tag.tag_id,
                name=each.tag.name,
                kind=each.tag.kind,
                confidence=each.confidence,
                rank=rank,
                paths=paths,
                evidence=evidence,
            )
        )
    return tuple(emitted)


def _author_edges(note: Note, snapshot: KnowledgeSnapshot) -> list[GraphTag]:
    """The author's own tags, those that the repository knows by id or by name."""
    tags: Mapping[str, None] = dict.fromkeys(
        tag.tag_id
        for name in map(normalise_name, note.tags)
        if (tag := snapshot.tags.get(name) or snapshot.tags.named(name)) is not None
    )
    return [GraphTag(tag_id=tag_id, weight=1.0, provenance=Provenance.AUTHOR) for tag_id in tags]


def _model_edges(decision: Decision, least: float) -> list[GraphTag]:
    """What the models believe of the note; people's word on it is read from the labels."""
    return [
        GraphTag(
            tag_id=each.tag.tag_id,
            weight=each.confidence,
            provenance=Provenance.MODEL,
            confidence=each.confidence,
        )
        for each in beliefs(decision, least)
    ]
