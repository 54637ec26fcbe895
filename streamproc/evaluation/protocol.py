"""The figures of one dataset: recall at 20 candidates, ranking, emission, confidences, beside the baselines."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from streamproc.evaluation.ablations import ablations
from streamproc.evaluation.baselines import MATCHING, VOTES, Trees, by_column, omikuji
from streamproc.evaluation.competitor import tempered
from streamproc.evaluation.dataset import Dataset, Split
from streamproc.evaluation.experiment import CANDIDATES, Experiment, scored_places
from streamproc.evaluation.figures import (
    Gold,
    buckets,
    confidence,
    emission,
    history_counts,
    ranking,
    recall,
    verdict,
)
from streamproc.evaluation.new_tags import held_out_tags, new_tags
from streamproc.evaluation.out_of_scope import draw_for, out_of_scope
from streamproc.evaluation.prepared import Prepared
from streamproc.evaluation.rankers import Ranker
from streamproc.evaluation.report import Answers, Confidence, Recall, Report, Verdict
from streamproc.evaluation.scoring import Scored, sigmoid
from streamproc.evaluation.vectors import VectorCache
from streamproc.graph.hits import Hits
from streamproc.graph.recall import Recalled
from streamproc.graph.thresholds import PAPER, Thresholds
from streamproc.inference.protocols import Models

__all__ = ["NO_STUDIES", "OURS", "Studies", "Subject", "evaluate", "require_measurable"]

OURS = "streamproc"
"""What the bundle under test is called beside its rivals."""


@dataclass(frozen=True, slots=True)
class Studies:
    """What may be measured beyond the figures; each tags all notes again, most of them several times.

    Attributes:
        ablations: whether parts are taken away one by one.
        new_tags: share of the tags that is taken out of the history.
        out_of_scope: how many tags are taken out of repository and history; single-tag sets only.
        seed: of these draws.
    """

    ablations: bool = False
    new_tags: float = 0.0
    out_of_scope: int = 0
    seed: int = 0


NO_STUDIES = Studies()


@dataclass(frozen=True, slots=True)
class Subject:
    """What is measured: a bundle, as it would be served, and what it has seen of the set before.

    Attributes:
        name: what to call it in the report.
        models: its tagger and calibrator.
        thresholds: of its recall.
        calibration: the calibration file whose map the models use; empty: none.
        fitted_to: how many labelled notes of the history the models' map was fitted to for this; 0: it was not.
        trained_on: whether its models were trained on this set.
        calibrated_on: whether its recall or calibration map was fitted to this set.
    """

    name: str
    models: Models
    thresholds: Thresholds
    calibration: str = ""
    fitted_to: int = 0
    trained_on: bool = False
    calibrated_on: bool = False


_NONE: Mapping[str, str] = MappingProxyType({})


def require_measurable(dataset: Dataset, split: Split, studies: Studies) -> None:
    """Refuse at once what :func:`evaluate` would refuse after an hour of encoding and tagging.

    Args:
        dataset: as it was read; nothing of it needs to be encoded.
        split: which notes are scored.
        studies: what else is to be measured.

    Raises:
        UserError: no note can be scored, or a study cannot be made on this set.
    """
    whole = dataset.split(split)
    notes = [whole[place] for place in scored_places(dataset, split)]
    if studies.new_tags:
        held_out_tags(dataset, notes, studies.new_tags, studies.seed)
    if studies.out_of_scope:
        draw_for(dataset, notes, studies.out_of_scope, studies.seed)


def evaluate(
    prepared: Prepared,
    subject: Subject,
    *,
    split: Split = Split.TEST,
    trees: Sequence[Trees] = tuple(Trees),
    extra_rankers: Sequence[Ranker] = (),
    untested: Mapping[str, str] = _NONE,
    studies: Studies = NO_STUDIES,
    cache: VectorCache | None = None,
    progress: Callable[[str], None] = lambda _line: None,
) -> Report:
    """Measure a bundle on one file of a dataset.

    Args:
        prepared: the dataset; its history is train.
        subject: the bundle.
        split: which notes are scored; choose on valid, run test to report.
        trees: which Omikuji baselines to train.
        extra_rankers: other methods that choose among the same candidates.
        untested: methods that belong into the comparison and are not among them → what they lack.
        studies: what else to measure.
        cache: embeds tags described otherwise; needed by ablations and new tags.
        progress: told what is being done.

    Raises:
        UserError: trees are asked for and the ``baselines`` extra is not installed; no note can be scored; a
            study cannot be made on this set.
    """
    experiment = Experiment.of(prepared, subject.models, subject.thresholds, split, progress)
    dataset, notes = prepared.dataset, experiment.notes
    gold: Gold = [each.gold for each in notes]
    hits = experiment.hits()
    recalls, orders = _untrained(experiment, hits, gold)
    scored = experiment.scored(experiment.recalled(hits), "tagging")
    ranked = scored.ranked
    for kind in trees:
        progress(f"training Omikuji {kind.value}")
        orders[f"omikuji {kind.value}"] = omikuji(dataset, notes, kind)
    asked, answers, silent = _asked(extra_rankers, experiment, scored)
    orders.update(asked)
    emissions = [
        emission(OURS, scored.emitted, gold),
        *(emission(method, order, gold) for method, order in asked.items()),
    ]
    progress("confidences")
    confidences, judged = _confidences(scored)
    single = dataset.single_tag
    return Report(
        dataset=dataset.name,
        split=split.value,
        bundle=subject.name,
        calibration=subject.calibration,
        fitted_to=subject.fitted_to,
        trained_on=subject.trained_on,
        calibrated_on=subject.calibrated_on,
        single_tag=single,
        notes=len(notes),
        tags=len(dataset.tags),
        history=len(dataset.train),
        recall=recalls,
        ranking=(
            *(
                ranking(method, order, gold, single_tag=single, best=ranked)
                for method, order in orders.items()
            ),
            ranking(OURS, ranked, gold, single_tag=single),
        ),
        emission=tuple(emissions),
        confidence=confidences,
        verdict=judged,
        buckets=buckets(scored, [tag.tag_id for tag in dataset.tags], history_counts(dataset)),
        ablations=ablations(experiment, hits, scored, cache) if studies.ablations else (),
        new_tags=new_tags(experiment, studies.new_tags, studies.seed, cache) if studies.new_tags else (),
        out_of_scope=(
            out_of_scope(experiment, scored, studies.out_of_scope, studies.seed)
            if studies.out_of_scope
            else ()
        ),
        untested={**untested, **dict.fromkeys(silent, "their questions were not answered")},
        answers=answers,
    )


def _untrained(
    experiment: Experiment, hits: Sequence[Hits], gold: Gold
) -> tuple[tuple[Recall, ...], dict[str, list[list[str]]]]:
    """Recall at 20 of every method, and the orders that recall alone gives; one method's candidates at a time."""

    def names(recalled: Sequence[Recalled]) -> list[list[str]]:
        return [[tag.tag_id for tag in found.tags] for found in recalled]

    experiment.say("recall")
    matching = experiment.recalled(hits, MATCHING)
    recalls = [recall("matching", names(matching), gold)]
    orders = {"matching": by_column(matching, "cosine")}
    del matching
    votes = experiment.recalled(hits, VOTES)
    recalls.append(recall("neighbour votes", names(votes), gold))
    orders["neighbour votes"] = by_column(votes, "vote_sharp")
    del votes
    orders["paper's constants"] = names(experiment.recalled(hits, PAPER))
    recalls.append(recall("paper's constants", orders["paper's constants"], gold))
    ours = names(experiment.recalled(hits, replace(experiment.thresholds, candidates=CANDIDATES)))
    recalls.append(recall(OURS, ours, gold))
    return tuple(recalls), orders


def _asked(
    rankers: Sequence[Ranker], experiment: Experiment, scored: Scored
) -> tuple[dict[str, list[list[str]]], tuple[Answers, ...], list[str]]:
    """The orders of those that answered, how many notes each of them answered, and the names of those that never did."""
    asked = sum(bool(found.tags) for found in scored.recalled)
    orders, answers, silent = {}, [], []
    for ranker in rankers:
        experiment.say(f"ranking by {ranker.name}")
        given = ranker.rank(experiment.notes, scored.recalled)
        answered = asked - sum(tags is None for tags in given)
        if not answered:
            silent.append(ranker.name)
            continue
        orders[ranker.name] = [list(tags or ()) for tags in given]
        answers.append(Answers(ranker.name, asked, answered))
    return orders, tuple(answers), silent


def _confidences(scored: Scored) -> tuple[tuple[Confidence, ...], Verdict]:
    """The calibrator's confidences beside what the tagger alone would give."""
    scaled = tempered(scored)
    plain = confidence("tagger alone", scored, [sigmoid(logits) for logits in scored.logits])
    competitor = confidence("tagger, one temperature", scored, scaled.confidences)
    ours = confidence(OURS, scored, scored.confidences)
    return (ours, competitor, plain), verdict(scored, ours, plain, competitor, scaled)
