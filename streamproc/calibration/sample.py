"""Labelled history as a sample to fit confidences to: each note recalled as if it were new, and judged.

A note of the history never recalls itself, so its candidates, their evidence and the models' probabilities
look as they will for a note that comes tomorrow; its labels are the truth.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streamproc.calibration.shapes import named
from streamproc.events.codec import normalise_name
from streamproc.events.note import Note
from streamproc.events.tag import TagChange, TagPolicy
from streamproc.graph.evidence import FEATURES
from streamproc.graph.hits import Graph
from streamproc.graph.recall import recall
from streamproc.graph.sources import Judged, TagView
from streamproc.graph.thresholds import Thresholds
from streamproc.inference.calibration import CalibrationMap, apply_map
from streamproc.inference.protocols import CandidateTag, Float32, Models, TaggingRequest
from streamproc.inference.text import note_text

__all__ = [
    "BATCH",
    "Labelled",
    "Posed",
    "Sample",
    "Surroundings",
    "confidence_of",
    "draw",
    "gold_of",
    "joined",
    "judged",
    "take_sample",
]

Float64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]
Places = npt.NDArray[np.int64]

BATCH = 64
"""Notes judged at once: enough to keep all threads busy, few enough that what they need stays small."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """A note and the ids of the tags that people gave it."""

    note: Note
    gold: frozenset[str]


@dataclass(frozen=True, slots=True)
class Posed:
    """A labelled note with its candidates.

    Attributes:
        labelled: the note.
        tags: the candidates.
        evidence: float32[candidates, features], columns as in ``graph.evidence.FEATURES``.
    """

    labelled: Labelled
    tags: Sequence[TagChange]
    evidence: Float32


@dataclass(frozen=True, slots=True)
class Sample:
    """The candidates of some labelled notes; a note's rows stand together.

    Attributes:
        evidence: float32[rows, features], columns as in ``graph.evidence.FEATURES``.
        probability: float32[rows], the models' before any calibration map.
        right: bool[rows]; whether people gave the note the tag.
        note: int64[rows], the place of the row's note.
        tag: str[rows], the id of the row's tag.
        kind: str[rows], its kind.
        gold: the tags of each note, whether or not they were recalled; one entry a note.
    """

    evidence: Float32
    probability: Float32
    right: Bool
    note: Places
    tag: npt.NDArray[np.str_]
    kind: npt.NDArray[np.str_]
    gold: Sequence[frozenset[str]]

    @property
    def notes(self) -> int:
        """How many notes there are, those without candidates included."""
        return len(self.gold)

    @classmethod
    def empty(cls, gold: Sequence[frozenset[str]] = (), features: int = len(FEATURES)) -> "Sample":
        """Notes of which no candidate was recalled."""
        return cls(
            np.zeros((0, features), dtype=np.float32),
            np.zeros(0, dtype=np.float32),
            np.zeros(0, dtype=np.bool_),
            np.zeros(0, dtype=np.int64),
            np.zeros(0, dtype=np.str_),
            np.zeros(0, dtype=np.str_),
            gold,
        )

    def first(self, notes: int) -> "Sample":
        """The first so many notes."""
        kept = self.note < notes
        return Sample(
            self.evidence[kept],
            self.probability[kept],
            self.right[kept],
            self.note[kept],
            self.tag[kept],
            self.kind[kept],
            self.gold[:notes],
        )


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What notes are recalled from.

    Attributes:
        graph: tags and history.
        tags: the repository.
        judgements: of people, on notes of the history.
        thresholds: of recall.
        segments: how many passages of knowledge are searched for each note.
        features: how many columns of the evidence the bundle's models read, and its map may hear: the first ones.
    """

    graph: Graph
    tags: TagView
    judgements: Judged
    thresholds: Thresholds
    segments: int = 0
    features: int = len(FEATURES)


def gold_of(note: Note, tags: TagView) -> frozenset[str]:
    """Ids of the tags that a note of the history carries and that recall may propose, merges followed."""
    found = (tags.resolve(normalise_name(name)) for name in note.tags)
    return frozenset(
        tag.tag_id for tag in found if tag is not None and tag.policy is not TagPolicy.MANUAL_ONLY
    )


def draw(population: int, most: int, skip: int = 0) -> Places:
    """Places of up to ``most`` of so many notes, in random order: the same ones in every run.

    Args:
        population: how many notes there are.
        most: how many are wanted.
        skip: leaves out so many that would come first, for they have served already.
    """
    return np.random.default_rng(0).permutation(population)[skip : skip + most]


def confidence_of(sample: Sample, calibration: CalibrationMap) -> Float64:
    """What the map makes of the models' probabilities, float64[rows]."""
    return apply_map(calibration, sample.probability, named(sample.evidence, sample.tag.tolist()))


async def take_sample(
    labelled: Sequence[Labelled],
    vectors: Float32,
    surroundings: Surroundings,
    models: Models,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Sample:
    """Recall and judge labelled notes.

    Args:
        labelled: notes and their tags; those of the graph's history do not recall themselves.
        vectors: float32[notes, dimension].
        surroundings: what they are recalled from.
        models: tagger and calibrator of a bundle *without* its calibration map.
        progress: told how many notes are done, and of how many.
    """
    parts: list[Sample] = []
    for start in range(0, len(labelled), BATCH):
        some = labelled[start : start + BATCH]
        hits = await surroundings.graph.search(
            vectors[start : start + BATCH],
            tags=surroundings.thresholds.nearest_tags,
            notes=surroundings.thresholds.nearest_notes,
            segments=surroundings.segments,
        )
        recalled = [
            recall(each.note, found, surroundings.tags, surroundings.judgements, surroundings.thresholds)
            for each, found in zip(some, hits, strict=True)
        ]
        posed = [
            Posed(each, found.tags, found.evidence[:, : surroundings.features])
            for each, found in zip(some, recalled, strict=True)
        ]
        parts.append(await judged(posed, models))
        progress(start + len(some), len(labelled))
    return joined(parts)


async def judged(posed: Sequence[Posed], models: Models) -> Sample:
    """What the models say of these candidates.

    Args:
        posed: labelled notes with candidates.
        models: tagger and calibrator of a bundle *without* its calibration map.
    """
    requests = [
        TaggingRequest(
            note_text(each.labelled.note),
            tuple(CandidateTag(tag.tag_id, tag.name, tag.description) for tag in each.tags),
            each.evidence,
        )
        for each in posed
        if each.tags
    ]
    gold = [each.labelled.gold for each in posed]
    if not requests:
        return Sample.empty(gold, posed[0].evidence.shape[1] if posed else len(FEATURES))
    confidences = await models.calibrator.judge(requests, await models.tagger.score(requests))
    return Sample(
        evidence=np.concatenate([each.evidence for each in posed]),
        probability=np.concatenate(confidences),
        right=np.array([tag.tag_id in each.labelled.gold for each in posed for tag in each.tags], np.bool_),
        note=np.repeat(np.arange(len(posed)), [len(each.tags) for each in posed]),
        tag=np.array([tag.tag_id for each in posed for tag in each.tags], dtype=np.str_),
        kind=np.array([tag.kind for each in posed for tag in each.tags], dtype=np.str_),
        gold=gold,
    )


def joined(parts: Sequence[Sample]) -> Sample:
    """The notes of all parts, in their order."""
    if not parts:
        return Sample.empty()
    starts = np.cumsum([0, *(part.notes for part in parts)])
    return Sample(
        evidence=np.concatenate([part.evidence for part in parts]),
        probability=np.concatenate([part.probability for part in parts]),
        right=np.concatenate([part.right for part in parts]),
        note=np.concatenate([part.note + start for part, start in zip(parts, starts, strict=False)]),
        tag=np.concatenate([part.tag for part in parts]),
        kind=np.concatenate([part.kind for part in parts]),
        gold=[gold for part in parts for gold in part.gold],
    )
