"""The figures of one dataset, as they are written to JSON."""

import msgspec

from streamproc.evaluation.metrics import Bin, Interval, Point

__all__ = [
    "Ablation",
    "Answers",
    "Bucket",
    "Confidence",
    "Emission",
    "NewTags",
    "OutOfScope",
    "Ranking",
    "Recall",
    "Report",
    "Verdict",
]


class Recall(msgspec.Struct, frozen=True):
    """How many right tags are among the candidates: #Right, HR#1–3, and how many candidates there were."""

    method: str
    right: float
    hit_rate_1: float
    hit_rate_2: float
    hit_rate_3: float
    candidates: float


class Ranking(msgspec.Struct, frozen=True):
    """How well the first tags are right, whatever their confidence.

    ``behind`` is how far the method lies behind streamproc in nDCG@5 (multi-tag) or P@1 (single-tag), over the same
    notes; None for streamproc itself.
    """

    method: str
    precision_1: float
    precision_3: float
    precision_5: float
    ndcg_3: float
    ndcg_5: float
    ndcg_10: float
    f1_5: float
    behind: Interval | None


class Answers(msgspec.Struct, frozen=True):
    """How many of the notes that have candidates a method answered; the others count as untagged in its figures."""

    method: str
    asked: int
    answered: int


class Emission(msgspec.Struct, frozen=True):
    """What a consumer receives: tags of confidence .5 and above, or all that another method gives.

    ``precision``, ``recall`` and ``micro_f1`` count tags over all notes; ``macro_f1`` is the mean over tags. ``accuracy``
    and ``coverage`` are Acc@1–3 and Coverage@1–3 (LLM4Tag, eq. 12 and 13). ``first_precision``, ``first_recall`` and
    ``first_f1`` take only each note's first tag, as single-tag tasks are judged.
    """

    method: str
    tags_a_note: float
    precision: float
    recall: float
    micro_f1: float
    macro_f1: float
    accuracy: tuple[float, float, float]
    coverage: tuple[float, float, float]
    first_precision: float
    first_recall: float
    first_f1: float


class Confidence(msgspec.Struct, frozen=True):
    """Whether confidences can be relied on.

    ``ece``, its interval, ``noise`` (what a perfectly calibrated model would show), ``excess`` (the error above the mean
    of that) and ``reliability`` are over the tags emitted; ``brier``, ``brier_skill``, ``area`` (under risk–coverage)
    and ``risk_coverage`` over all scored candidates; ``first_area`` and ``first_risk_coverage`` over each note's first
    tag.
    """

    method: str
    emitted: int
    precision: float
    mean_confidence: float
    ece: Interval
    noise: Interval
    excess: float
    brier: float
    brier_skill: float
    area: float
    first_area: float
    coverage_1: float
    reliability: tuple[Bin, ...]
    risk_coverage: tuple[Point, ...]
    first_risk_coverage: tuple[Point, ...]


class Verdict(msgspec.Struct, frozen=True):
    """The calibrator against the tagger's own logits, whose one temperature was fitted to other notes.

    ``*_gain`` is by how much the calibrator is better; ``better`` names the one that is so in both Brier score (its
    interval over notes lies on one side of 0) and area under risk–coverage over all candidates, or ``neither``.
    """

    temperature: float
    fitted_on: str
    brier_gain: Interval
    area_gain: float
    first_area_gain: float
    coverage_ratio: float
    better: str


class Bucket(msgspec.Struct, frozen=True):
    """Tags that stand about equally often in the history.

    Attributes:
        least: how often at least.
        most: how often at most; None: no bound.
        tags: how many tags of the repository.
        gold: how often they are right.
        recalled: share of these found among the candidates.
        first_5: share of these among the first five.
        emitted: how often they were emitted.
        precision: share of these that is right.
        f1: micro F1 of what was emitted.
        scored: how often they were a candidate.
        base_rate: share of these that is right.
        brier: over these.
        brier_skill: over these.
        ece: over the emitted.
        noise: of a perfectly calibrated model over the emitted.
    """

    least: int
    most: int | None
    tags: int
    gold: int
    recalled: float
    first_5: float
    emitted: int
    precision: float
    f1: float
    scored: int
    base_rate: float
    brier: float
    brier_skill: float
    ece: float
    noise: float

    @property
    def name(self) -> str:
        """How often its tags stand in the history, in words."""
        if self.most == 0:
            return "never seen"
        return f"{self.least}–{self.most} times" if self.most is not None else f"{self.least} times and more"


class Ablation(msgspec.Struct, frozen=True):
    """What is left when a part is taken away; ``loss`` as ``Ranking.behind``."""

    name: str
    right: float
    candidates: float
    precision_1: float
    ndcg_5: float
    tags_a_note: float
    precision: float
    micro_f1: float
    ece: float
    brier: float
    loss: Interval


class NewTags(msgspec.Struct, frozen=True):
    """Tags whose labels were taken out of the history, so that they are known by what is written of them alone.

    Attributes:
        described: whether definitions and synonyms were left, or the names alone.
        share: of the tags that were taken out.
        seed: of the draw.
        tags: how many were taken out.
        gold: how often they are right.
        notes: notes with at least one of them.
        recall_20: share of their right places found among 20 candidates.
        seen_recall_20: the same of the tags that stayed in the history.
        ratio: one over the other.
        recall_served: share of their right places found among all candidates that are served.
        seen_recall_served: the same of the tags that stayed in the history.
        emitted: how often they were emitted.
        precision: share of these that is right.
        emitted_recall: share of their right places that was emitted.
        precision_1: share of these notes whose first tag is right.
        precision_1_new: the same where only held-out candidates are ranked.
    """

    described: bool
    share: float
    seed: int
    tags: int
    gold: int
    notes: int
    recall_20: float
    seen_recall_20: float
    ratio: float
    recall_served: float
    seen_recall_served: float
    emitted: int
    precision: float
    emitted_recall: float
    precision_1: float
    precision_1_new: float


class OutOfScope(msgspec.Struct, frozen=True):
    """Tags taken out of repository and history; notes that belong to them should get no tag.

    Attributes:
        seed: of the draw.
        tags: the ids of the tags that were taken out.
        notes: notes that belong to these alone.
        untagged: share of them that got no tag.
        rest: the other notes.
        rest_untagged: share of them that got no tag.
        accuracy: share of the rest whose first emitted tag is right; no tag is wrong.
        accuracy_before: the same with all tags in the repository.
        first: share of the rest whose first candidate is right, emitted or not.
        first_before: the same with all tags in the repository.
    """

    seed: int
    tags: tuple[str, ...]
    notes: int
    untagged: float
    rest: int
    rest_untagged: float
    accuracy: float
    accuracy_before: float
    first: float
    first_before: float


class Report(msgspec.Struct, frozen=True):
    """All figures of one dataset.

    ``calibration`` names the calibration file whose map was used; empty: none. ``fitted_to`` is to how many labelled notes of the history the
    map was fitted for this report; 0: it was not. With neither it is the bundle's own. ``trained_on`` is whether the bundle says that its
    tagger, calibrator or encoder learned from this set: then the figures are in-domain. ``calibrated_on`` is whether its recall or its
    calibration map was fitted to the set; its models may never have seen it. ``ablations``, ``new_tags`` and ``out_of_scope`` are empty unless they were asked for.
    ``untested`` names the methods that belong into the comparison and are not in it, with what they lack ("they need …"). ``answers`` are of methods
    that were asked note by note, such as language models.
    """

    dataset: str
    split: str
    bundle: str
    trained_on: bool
    single_tag: bool
    notes: int
    tags: int
    history: int
    recall: tuple[Recall, ...]
    ranking: tuple[Ranking, ...]
    emission: tuple[Emission, ...]
    confidence: tuple[Confidence, ...]
    verdict: Verdict
    buckets: tuple[Bucket, ...]
    calibration: str = ""
    fitted_to: int = 0
    ablations: tuple[Ablation, ...] = ()
    new_tags: tuple[NewTags, ...] = ()
    out_of_scope: tuple[OutOfScope, ...] = ()
    untested: dict[str, str] = {}
    answers: tuple[Answers, ...] = ()
    calibrated_on: bool = False

    @property
    def answered(self) -> dict[str, str]:
        """Methods that were asked note by note → how many notes they answered, in words; empty: nobody was asked."""
        return {each.method: f"{each.answered:,} of {each.asked:,}" for each in self.answers}

    @property
    def lacking(self) -> dict[str, list[str]]:
        """What untested methods lack → the methods."""
        reasons = dict.fromkeys(self.untested.values())
        return {why: [name for name, each in self.untested.items() if each == why] for why in reasons}
