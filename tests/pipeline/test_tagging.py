"""The pipeline on the shipped models, a real Milvus Lite graph and the sample data."""

import asyncio
import random
from collections import Counter
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from streamproc.config import load_settings
from streamproc.errors import NotFiniteError
from streamproc.events.files import note_from_row, read_events
from streamproc.events.graph import Provenance
from streamproc.events.label import Judgement
from streamproc.events.note import Note
from streamproc.events.position import Source, SourcePosition
from streamproc.events.tagged import NoteOutcome
from streamproc.graph.thresholds import Thresholds
from streamproc.pipeline.local import sample_file
from streamproc.pipeline.outcome import SourcedNote
from streamproc.pipeline.tagging import SIMILARITY_EDGES, Pipeline

TOLERANCE = 1e-4
ANYWHERE = np.eye(1, 384, dtype=np.float32)


def sourced(notes):
    return [
        SourcedNote(note, Source(SourcePosition("notes.new", 0, offset), 0))
        for offset, note in enumerate(notes)
    ]


def sample_notes():
    return list(read_events(sample_file("notes.jsonl"), note_from_row))


async def tag_one(pipeline, note):
    return (await pipeline.tag(sourced([note])))[0].tagged


def confidences(tagged):
    return {tag.tag_id: tag.confidence for tag in tagged.tags}


def models_edges(outcome):
    edges = [tag for tag in outcome.graph_note.tags if tag.provenance is Provenance.MODEL]
    assert all(tag.weight == tag.confidence for tag in edges)
    return {tag.tag_id: tag.weight for tag in edges}


@pytest.fixture
def ranking_all(bundle, models, sample_graph):
    """Every candidate comes out, so that nothing hides behind the threshold."""
    settings = load_settings(min_confidence=0.0, max_tags=100)
    return Pipeline.of(settings, bundle, models, sample_graph.store, sample_graph.knowledge)


async def test_sample_notes_get_tags_with_confidences_and_reasons(pipeline):
    outcomes = await pipeline.tag(sourced(sample_notes()))
    tagged = [outcome.tagged for outcome in outcomes]
    emitted = [tag for each in tagged for tag in each.tags]
    assert sum(bool(each.tags) for each in tagged) > len(tagged) / 2
    assert all(0.5 <= tag.confidence <= 1 and tag.paths for tag in emitted)
    assert all(
        tag.evidence.neighbours or tag.evidence.similarity is not None or tag.evidence.match
        for tag in emitted
    )
    assert all([tag.rank for tag in each.tags] == list(range(1, len(each.tags) + 1)) for each in tagged)


async def test_a_note_gets_the_same_alone_in_any_batch_and_in_any_order(ranking_all):
    notes = sample_notes()
    alone = [await tag_one(ranking_all, note) for note in notes[:12]]
    rng = random.Random(7)
    for size in (3, 16, 64):
        batch = notes[:12] + notes[12:size]
        order = rng.sample(range(len(batch)), len(batch))
        together = await ranking_all.tag(sourced([batch[index] for index in order]))
        for place, index in enumerate(order):
            if index < 12:
                assert confidences(together[place].tagged) == pytest.approx(
                    confidences(alone[index]), abs=TOLERANCE
                )


async def test_tags_are_ranked_by_confidence(ranking_all):
    tagged = await tag_one(ranking_all, sample_notes()[1])
    values = [tag.confidence for tag in tagged.tags]
    assert values == sorted(values, reverse=True)
    assert len(values) > 5


async def test_a_note_in_another_language_is_answered_so_and_stays_out_of_the_graph(pipeline):
    outcome = (
        await pipeline.tag(sourced([Note(note_id="d", title="Zwei Wochen im Dorf", language="de-AT")]))
    )[0]
    assert outcome.tagged.outcome is NoteOutcome.UNSUPPORTED_LANGUAGE
    assert outcome.tagged.tags == ()
    assert outcome.graph_note is None


async def test_a_regional_form_of_a_language_that_is_read_is_read(pipeline):
    tagged = await tag_one(
        pipeline, Note(note_id="e", title="Sourdough starter is sluggish", language="en_GB")
    )
    assert tagged.outcome is NoteOutcome.TAGGED


async def test_a_note_beyond_what_the_models_read_is_marked_truncated(pipeline):
    note = Note(note_id="l", text="We kneaded the dough and waited. " * 2000)
    assert (await tag_one(pipeline, note)).truncated
    assert not (await tag_one(pipeline, Note(note_id="s", text="We kneaded the dough."))).truncated


async def test_a_note_never_recalls_itself(ranking_all):
    history = next(read_events(sample_file("history.jsonl"), note_from_row))
    tagged = await tag_one(ranking_all, history)
    seen = {neighbour.note_id for tag in tagged.tags for neighbour in tag.evidence.neighbours}
    assert seen
    assert history.note_id not in seen | {related.note_id for related in tagged.related}


async def test_what_people_said_of_the_note_itself_is_final(ranking_all, sample_graph):
    note = sample_notes()[1]
    before = await tag_one(ranking_all, note)
    rejected = before.tags[0].tag_id
    confirmed = "zines"
    assert confirmed not in confidences(before)
    judgements = sample_graph.knowledge.judgements
    judgements.apply(Judgement(note_id=note.note_id, tag_id=rejected, correct=False), 0, 0)
    judgements.apply(Judgement(note_id=note.note_id, tag_id=confirmed, correct=True), 0, 1)
    after = await tag_one(ranking_all, note)
    assert rejected not in confidences(after)
    assert confidences(after)[confirmed] == 1.0
    assert after.applied.labels == (1,)


async def test_a_judgement_of_a_neighbour_changes_the_evidence_of_others_at_once(ranking_all, sample_graph):
    note = sample_notes()[1]
    before = await tag_one(ranking_all, note)
    strongest = next(tag for tag in before.tags if tag.evidence.neighbours)
    for offset, neighbour in enumerate(strongest.evidence.neighbours):
        sample_graph.knowledge.judgements.apply(
            Judgement(note_id=neighbour.note_id, tag_id=strongest.tag_id, correct=False), 0, offset
        )
    after = confidences(await tag_one(ranking_all, note))
    assert after.get(strongest.tag_id, 0.0) < strongest.confidence


async def test_what_people_say_of_notes_far_away_counts_soon_after(pipeline, sample_graph):
    history = list(read_events(sample_file("history.jsonl"), note_from_row))
    tag_id, _ = Counter(tag_id for note in history for tag_id in note.tags).most_common()[-1]
    carriers = [note.note_id for note in history if tag_id in note.tags]

    async def used():
        (hits,) = await sample_graph.store.search(ANYWHERE, tags=1, notes=1, segments=0)
        return hits.uses.get(tag_id, 0)

    await pipeline.tag(sourced(sample_notes()[:1]))
    assert await used() > 0
    for offset, note_id in enumerate(carriers):
        judgement = Judgement(note_id=note_id, tag_id=tag_id, correct=False)
        sample_graph.knowledge.judgements.apply(judgement, 0, offset)
    await pipeline.tag(sourced(sample_notes()[:1]))
    for _ in range(500):
        if not await used():
            break
        await asyncio.sleep(0.02)
    else:
        raise AssertionError("what people said was never counted")


async def test_the_graph_note_says_who_gave_which_tag(pipeline):
    note = Note(
        note_id="own",
        title="Rye loaf, day three",
        text="The starter finally doubled.",
        tags=("baking", "no such tag"),
    )
    outcome = (await pipeline.tag(sourced([note])))[0]
    provenance = {
        tag.tag_id: tag.provenance for tag in outcome.graph_note.tags if tag.provenance is Provenance.AUTHOR
    }
    assert "no such tag" not in provenance
    assert outcome.graph_note.source == SourcePosition("notes.new", 0, 0)
    models = models_edges(outcome)
    assert confidences(outcome.tagged).items() <= models.items()


async def test_the_graph_learns_what_was_believed_too_weakly_to_be_emitted(pipeline, bundle):
    outcomes = [each for each in await pipeline.tag(sourced(sample_notes())) if each.graph_note is not None]
    emitted = [confidences(each.tagged) for each in outcomes]
    weak = [
        weight
        for each, shown in zip(outcomes, emitted, strict=True)
        for tag_id, weight in models_edges(each).items()
        if tag_id not in shown
    ]
    heard = Thresholds.of(bundle.manifest.recall).min_model_weight
    assert all(
        shown.items() <= models_edges(each).items() for each, shown in zip(outcomes, emitted, strict=True)
    )
    assert len(weak) > len(outcomes) / 4
    assert all(heard <= weight < 0.5 for weight in weak)


async def test_a_tag_that_a_person_rejected_on_the_note_does_not_enter_the_graph(pipeline, sample_graph):
    note = sample_notes()[1]
    before = models_edges((await pipeline.tag(sourced([note])))[0])
    for offset, tag_id in enumerate(before):
        sample_graph.knowledge.judgements.apply(
            Judgement(note_id=note.note_id, tag_id=tag_id, correct=False), 0, offset
        )
    after = models_edges((await pipeline.tag(sourced([note])))[0])
    assert before
    assert not before.keys() & after.keys()


async def test_with_the_write_back_off_nothing_is_added_to_the_graph(bundle, models, sample_graph):
    pipeline = Pipeline.of(
        load_settings(write_back="off"), bundle, models, sample_graph.store, sample_graph.knowledge
    )
    outcome = (await pipeline.tag(sourced(sample_notes()[:1])))[0]
    assert outcome.graph_note is None


async def test_a_note_names_as_many_similar_notes_before_it_is_in_the_graph_as_after(pipeline, sample_graph):
    known = (await anext(sample_graph.store.all_notes()))[0].note
    loaf = Note(note_id="unknown", title="Rye loaf", text="The starter finally doubled.")
    (new,) = await pipeline.tag(sourced([loaf]))
    (again,) = await pipeline.tag(sourced([msgspec.structs.replace(loaf, note_id=known.note_id)]))
    assert len(new.graph_note.similar_notes) == SIMILARITY_EDGES
    assert len(again.graph_note.similar_notes) == SIMILARITY_EDGES
    assert known.note_id not in {each.target for each in again.graph_note.similar_notes}


class _Broken:
    """An encoder whose weights went out of range for one word."""

    def __init__(self, encoder):
        self.dimension, self.weights_hash, self._encoder = encoder.dimension, encoder.weights_hash, encoder

    async def encode(self, texts):
        encoded = await self._encoder.encode(texts)
        encoded.vectors[["overflow" in text for text in texts]] = np.nan
        return encoded


async def test_what_is_no_number_is_never_emitted(bundle, models, sample_graph):
    broken = replace(models, encoder=_Broken(models.encoder))
    pipeline = Pipeline.of(load_settings(), bundle, broken, sample_graph.store, sample_graph.knowledge)
    with pytest.raises(NotFiniteError, match="encoder"):
        await pipeline.tag(sourced([Note(note_id="a", title="overflow")]))
    assert await pipeline.tag(sourced([Note(note_id="a", title="Rye loaf")]))


async def test_an_empty_batch_has_no_outcomes(pipeline):
    assert await pipeline.tag([]) == []
