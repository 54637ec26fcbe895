"""Distillation: a language model's reasoned soft labels of a dataset's candidates (after TagLLM)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from streamproc.errors import RefusalError, RejectedQuestionError, StreamprocError, UnreadableAnswerError
from streamproc.evaluation.dataset import LabelledNote, Split
from streamproc.evaluation.prepared import NO_JUDGEMENTS, Prepared, recall_all
from streamproc.evaluation.samples import SAMPLES, History
from streamproc.graph.thresholds import Thresholds
from streamproc.llm.asking import Outcome
from streamproc.training.handbook import Handbook
from streamproc.training.teacher_labels import TaughtNote
from streamproc.training.teacher_prompt import PROMPT_VERSION, Lesson, Teaching

__all__ = ["Agreement", "Lessons", "TaughtSet", "agreement", "guessed_answer_tokens", "lessons", "taught_set"]


@dataclass(frozen=True, slots=True)
class Lessons:
    """Notes to be taught, in the order of the file.

    Attributes:
        lessons: one a note.
        without_candidates: how many notes were left out because recall found nothing for them.
    """

    lessons: tuple[Lesson, ...]
    without_candidates: int


def lessons(
    prepared: Prepared,
    thresholds: Thresholds,
    handbook: Handbook,
    *,
    split: Split = Split.TRAIN,
    most: int | None = None,
    candidates: int = 24,
    samples: int = SAMPLES,
    seed: int = 0,
) -> Lessons:
    """Recall every note as if it were new and put together what guides its tagging; gold tags are not shown.

    Args:
        prepared: the dataset; its history is train, and no note is a sample for itself.
        thresholds: of recall, as in service.
        handbook: passages of knowledge.
        split: whose notes are taught.
        most: so many notes, drawn at random; None: all.
        candidates: as many a note at most.
        samples: as many labelled notes are shown at most.
        seed: of the draw.
    """
    notes = prepared.dataset.split(split)
    places = np.arange(len(notes))
    if most is not None and most < len(notes):
        places = np.sort(np.random.default_rng(seed).permutation(len(notes))[:most])
    chosen = [notes[place] for place in places]
    hits = prepared.graph.nearest(
        prepared.vectors[split][places], tags=thresholds.nearest_tags, notes=thresholds.nearest_notes
    )
    recalled = recall_all(
        chosen,
        hits,
        prepared.repository,
        replace(thresholds, candidates=candidates),
        # What was said of a note of train itself is its label.
        NO_JUDGEMENTS if split is Split.TRAIN else prepared.judgements,
    )
    history = History(prepared.dataset)
    found = tuple(
        Lesson(
            each.note,
            tags.tags,
            handbook.guidance(each.note.category, [tag.tag_id for tag in tags.tags]),
            history.samples(tags, samples),
        )
        for each, tags in zip(chosen, recalled, strict=True)
        if tags.tags
    )
    return Lessons(found, len(chosen) - len(found))


def guessed_answer_tokens(taught: Sequence[Lesson]) -> float:
    """How long an answer will be, before any has come: the reasoning, and a line for each candidate."""
    return 150 + 35 * float(np.mean([len(each.candidates) for each in taught]))


@dataclass(frozen=True, slots=True)
class TaughtSet:
    """What came of asking.

    Attributes:
        notes: those with labels, in order.
        skipped: how many have none, by reason.
    """

    notes: tuple[TaughtNote, ...]
    skipped: Mapping[str, int]


def taught_set(taught: Sequence[Lesson], outcomes: Sequence[Outcome[Teaching]], teacher: str) -> TaughtSet:
    """Put the answers to the lessons' questions together.

    Args:
        taught: the lessons.
        outcomes: of their questions, in the same order.
        teacher: the model's name.
    """
    notes = []
    skipped: Counter[str] = Counter()
    for lesson, outcome in zip(taught, outcomes, strict=True):
        if outcome.value is None:
            skipped[_reason(outcome.failure)] += 1
            continue
        notes.append(
            TaughtNote(
                note_id=lesson.note.note_id,
                teacher=teacher,
                prompt=PROMPT_VERSION,
                reasoning=outcome.value.reasoning,
                labels=outcome.value.labels,
                missing=outcome.value.missing,
            )
        )
    return TaughtSet(tuple(notes), dict(skipped))


@dataclass(frozen=True, slots=True)
class Agreement:
    """How a teacher's probabilities go together with people's labels, which it was never shown.

    Attributes:
        chosen: the mean probability of candidates that people gave the note.
        others: that of the others; people leave out many tags that would be right.
    """

    chosen: float
    others: float


def agreement(taught: TaughtSet, notes: Sequence[LabelledNote]) -> Agreement | None:
    """Compare with the labels of the dataset; None where people chose none of the candidates, or all."""
    gold = {each.note.note_id: each.gold for each in notes}
    labels = [(label, gold[note.note_id]) for note in taught.notes for label in note.labels]
    chosen = [label.probability for label, right in labels if label.tag_id in right]
    others = [label.probability for label, right in labels if label.tag_id not in right]
    if not chosen or not others:
        return None
    return Agreement(float(np.mean(chosen)), float(np.mean(others)))


def _reason(failure: StreamprocError | None) -> str:
    return _REASONS.get(type(failure), "failed for the moment")


_REASONS: Mapping[type[StreamprocError] | type[None], str] = {
    RefusalError: "refused",
    UnreadableAnswerError: "answered unreadably",
    RejectedQuestionError: "not taken by the endpoint",
}
