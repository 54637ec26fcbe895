"""The limits of a bundle that its model card names, drawn from the figures of its reports."""

from collections.abc import Iterator, Sequence

from streamproc.evaluation.report import Report
from streamproc.inference.manifest import Manifest

__all__ = ["limits"]

_BUCKET_ROWS = 200
"""Scored candidates that a bucket needs before the card draws a limit from it."""

_MISSED = 0.1
"""Share of notes without any right candidate from which on recall is called a limit."""


def limits(manifest: Manifest, reports: Sequence[Report]) -> list[str]:
    """Sentences: what the bundle reads, where its confidences and its ranking fall short, what was not measured."""
    found = [
        f"It reads {', '.join(manifest.languages)} alone; images count by their captions and recognised text.",
        *_of_confidences(reports),
        (
            "Fitted confidences become too high as the stream drifts away from the history: fit them again "
            "(`streamproc calibrate confidence`) when new labelled notes have come in."
        ),
        *(limit for report in reports for limit in _of_ranking(report)),
        *(limit for report in reports for limit in _of_tags(report)),
    ]
    for why in dict.fromkeys(why for report in reports for why in report.lacking):
        untested = sorted({name for report in reports for name in report.lacking.get(why, ())})
        found.append(f"It was not compared with {', '.join(untested)}: {why}.")
    return found


def _of_confidences(reports: Sequence[Report]) -> Iterator[str]:
    for seen in (False, True):
        group = [report for report in reports if report.trained_on is seen]
        if group:
            worst = max(group, key=lambda report: report.confidence[0].excess)
            yield (
                f"On sets {'seen' if seen else 'never seen'} in training the calibration error stands up to "
                f"{worst.confidence[0].excess:.3f} above the noise floor ({worst.dataset}). Confidences follow the labels "
                "at hand: where labels are noisy, fit the map to them (`streamproc calibrate`)."
            )
        elif not seen:
            yield "It was measured only on sets whose train it had learned from: expect less elsewhere."


def _of_ranking(report: Report) -> Iterator[str]:
    figure = "P@1" if report.single_tag else "nDCG@5"
    for row in report.ranking:
        if row.behind is not None and row.behind.high < 0:
            yield f"On {report.dataset}, {row.method} ranks better by {-row.behind.mean:.3f} in {figure}."
    missed = 1 - report.recall[-1].hit_rate_1
    if missed > _MISSED:
        yield f"On {report.dataset} recall is the limit: {missed:.1%} of the notes have no right candidate."


def _of_tags(report: Report) -> Iterator[str]:
    for row in report.buckets:
        if row.scored >= _BUCKET_ROWS and row.brier_skill <= 0:
            yield (
                f"On {report.dataset} confidences in tags that stand in the history {row.name} are no better than their "
                f"base rate (Brier skill {row.brier_skill:+.3f})."
            )
    for new in report.new_tags:
        if new.described and new.seen_recall_served:
            yield (
                f"A tag without a history is found {new.recall_served / new.seen_recall_served:.2f} times as often as others on {report.dataset}: label "
                "some notes, or confirm it where it is suggested."
            )
    for scope in report.out_of_scope:
        yield f"On {report.dataset} {1 - scope.untagged:.1%} of the notes that belong to no tag get one all the same."
