"""Confidences of a private graph: the calibration map fitted to the history that the graph was built from.

The map is kept beside the graph, under the models it belongs to, so a second start fits nothing.
"""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from streamproc.calibration.choice import LEAST_NOTES, MOST_NOTES, fit_confidences
from streamproc.calibration.outside import Twins, take_twins
from streamproc.calibration.record import CalibrationRecord, in_words, read_record, record_of, write_record
from streamproc.calibration.sample import Labelled, Sample, Surroundings, draw, gold_of, take_sample
from streamproc.config import FitConfidences, Settings
from streamproc.events.files import note_from_row, read_events
from streamproc.events.graph import Origin
from streamproc.graph.knowledge_view import KnowledgeView
from streamproc.graph.store import MilvusGraph
from streamproc.graph.thresholds import Thresholds
from streamproc.inference.bundle import Bundle
from streamproc.inference.calibration import Identity
from streamproc.inference.calibration_file import map_of, models_digest, with_map
from streamproc.inference.manifest import Manifest
from streamproc.inference.protocols import Float32, Models
from streamproc.pipeline.local import LocalFiles, LocalGraph, Progress, kept_directory, open_local_graph
from streamproc.pipeline.tagging import SEGMENTS

__all__ = ["LocalFit", "OpenModels", "fit_to_files", "samples_of_files", "with_local_confidences"]


FIT = 3
"""Which way of fitting a kept map comes from; those of another are fitted anew."""

OpenModels = Callable[[Settings, Bundle], Models]
"""``inference.backend.open_models``, or what a test puts in its place."""


@dataclass(frozen=True, slots=True)
class LocalFit:
    """What came of fitting confidences to a history.

    Attributes:
        labelled: its labelled notes.
        record: the map and its figures; None: the notes were too few, or there are none.
    """

    labelled: int
    record: CalibrationRecord | None

    @property
    def sentence(self) -> str:
        """For people."""
        if self.record is None:
            return (
                f"confidences are the bundle's: {self.labelled:,} labelled notes are too few to fit them to "
                f"(at least {LEAST_NOTES})"
            )
        return in_words(self.record)


async def with_local_confidences(
    settings: Settings, bundle: Bundle, chosen: LocalFiles, open_models: OpenModels, progress: Progress
) -> tuple[Bundle, str]:
    """The bundle with the map that these files ask for, and a sentence that says so.

    The bundle stays as it is where the settings say so or name a calibration file.

    Raises:
        InputFileError: a file cannot be read, or a line of it cannot be used.
    """
    if settings.calibration is not None:
        return bundle, f"confidences are those of {settings.calibration}"
    if settings.fit_confidences is FitConfidences.OFF:
        return bundle, "confidences are the bundle's: STREAMPROC_FIT_CONFIDENCES is off"
    fit = await fit_to_files(settings, bundle, chosen, open_models, progress)
    if fit.record is None or not fit.record.changes:
        return bundle, fit.sentence
    return with_map(bundle, fit.record.map), fit.sentence


async def fit_to_files(
    settings: Settings, bundle: Bundle, chosen: LocalFiles, open_models: OpenModels, progress: Progress
) -> LocalFit:
    """Fit the map to the labelled history among the files, or take it from the cache.

    Args:
        settings: where models run and where the cache is.
        bundle: whose map is in force.
        chosen: tags, labelled history, knowledge.
        open_models: opens the models of a bundle.
        progress: told how far it is.

    Raises:
        InputFileError: a file cannot be read, or a line of it cannot be used.
        BundleError: the bundle lacks a model.
    """
    if chosen.history is None:
        return LocalFit(0, None)
    in_force, models = map_of(bundle), models_digest(bundle)
    cache = settings.cache_dir.expanduser()
    kept = kept_directory(chosen, bundle.manifest.encoder.float_sha256, cache)
    file = kept / f"calibration-{FIT}-{models[:16]}.json"
    record = read_record(file)
    if record is not None and record.models == models:
        return LocalFit(record.notes, record)
    with_tags = sum(bool(note.tags) for note in read_events(chosen.history, note_from_row))
    if with_tags < LEAST_NOTES:  # and no more of them can be labelled: nothing needs to be opened
        return LocalFit(with_tags, None)
    twins = await samples_of_files(settings, bundle, chosen, open_models, progress)
    if twins.inside.notes < LEAST_NOTES:
        return LocalFit(twins.inside.notes, None)
    record = record_of(fit_confidences(twins.inside, in_force, twins.outside), models)
    write_record(record, file)
    return LocalFit(twins.inside.notes, record)


async def samples_of_files(
    settings: Settings,
    bundle: Bundle,
    chosen: LocalFiles,
    open_models: OpenModels,
    progress: Progress,
    *,
    skip: int = 0,
    outside: bool = True,
) -> Twins:
    """Labelled notes of the history, drawn at random, each recalled as if it were new and judged without a map.

    Where there are fewer than ``LEAST_NOTES`` of them, nothing is recalled and the sample has only their number.

    Args:
        settings: where models run and where the cache is.
        bundle: its models judge.
        chosen: tags, labelled history, knowledge.
        open_models: opens the models of a bundle.
        progress: told how far it is.
        skip: leave out so many notes that would be drawn first; ``MOST_NOTES`` are those the map is fitted to.
        outside: whether they are also recalled as if their tags had never been.

    Raises:
        InputFileError: a file cannot be read, or a line of it cannot be used.
        BundleError: the bundle lacks a model.
    """
    models = open_models(settings, with_map(bundle, Identity()))
    try:
        with tempfile.TemporaryDirectory(prefix="streamproc-") as workspace:
            graph = await open_local_graph(
                chosen, models.encoder, settings.cache_dir.expanduser(), Path(workspace), progress
            )
            try:
                return await _samples(graph, models, bundle.manifest, progress, skip, outside=outside)
            finally:
                await graph.store.close()
    finally:
        await models.close()


async def _samples(
    graph: LocalGraph,
    models: Models,
    manifest: Manifest,
    progress: Progress,
    skip: int,
    *,
    outside: bool,
) -> Twins:
    snapshot = graph.knowledge.snapshot()
    view = KnowledgeView(snapshot)
    notes = {note.note_id: note for note in graph.history}.values()  # of one id the last line counts
    labelled = [each for each in (Labelled(note, gold_of(note, view)) for note in notes) if each.gold]
    if len(labelled) - skip < LEAST_NOTES:
        return Twins(Sample.empty([each.gold for each in labelled[skip:]]), None)
    drawn = [labelled[place] for place in draw(len(labelled), MOST_NOTES, skip)]
    vectors = await _vectors(graph.store, [each.note.note_id for each in drawn])
    around = Surroundings(
        graph.store,
        view,
        snapshot.judgements,
        Thresholds.of(manifest.recall),
        SEGMENTS if len(snapshot.segments) else 0,
        len(manifest.tagger.features) if manifest.tagger else 0,
    )

    def told(done: int, total: int) -> None:
        progress("confidences", done, total)

    if outside:
        return await take_twins(drawn, vectors, around, models, told)
    return Twins(await take_sample(drawn, vectors, around, models, told), None)


async def _vectors(store: MilvusGraph, note_ids: Sequence[str]) -> Float32:
    places = {note_id: place for place, note_id in enumerate(note_ids)}
    vectors = np.zeros((len(note_ids), store.dimension), dtype=np.float32)
    async for page in store.all_notes():
        for row in page:
            place = places.get(row.note.note_id) if row.note.origin is Origin.IMPORT else None
            if place is not None:
                vectors[place] = row.vector
    return vectors
