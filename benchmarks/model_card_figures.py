"""The figures of a model card: tables of what ``streamproc eval`` measured."""

from collections.abc import Iterable, Iterator, Sequence

from streamproc.evaluation.report import Ranking, Report

__all__ = ["figures", "main_figures", "table"]


def figures(reports: Sequence[Report]) -> tuple[str, ...]:
    """Sections in Markdown; one is empty where no report holds what it shows."""
    return (
        _ranking(reports),
        _confidences(reports),
        _frequency(reports),
        _new_tags(reports),
        _out_of_scope(reports),
        _ablations(reports),
    )


def main_figures(report: Report) -> dict[str, float]:
    """The figures of a set that a bundle's manifest names."""
    ours, confidence = _ours(report), report.confidence[0]
    return {
        "precision_1": round(ours.precision_1, 4),
        "ndcg_5": round(ours.ndcg_5, 4),
        "right_20": round(report.recall[-1].right, 4),
        "ece": round(confidence.ece.mean, 4),
        "ece_excess": round(confidence.excess, 4),
        "coverage_1": round(confidence.coverage_1, 4),
    }


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """The lines of a table in Markdown."""
    yield f"| {' | '.join(columns)} |"
    yield f"|{'---|' * len(columns)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _ranking(reports: Sequence[Report]) -> str:
    rows = (
        (
            _named(report),
            *_best_rival(report),
            f"**{ours.precision_1:.3f}**",
            f"{ours.precision_5:.3f}",
            f"**{ours.ndcg_5:.3f}**",
            f"{ours.f1_5:.3f}",
            f"{report.recall[-1].right:.2f}",
        )
        for report in reports
        for ours in (_ours(report),)
    )
    columns = ("set", "best rival", "its figure", "P@1", "P@5", "nDCG@5", "F1@5", "#Right at 20")
    return "\n".join(
        (
            "## Figures",
            "",
            (
                "Measured by `streamproc eval`: the set's train is the history, its test is scored. The rival's figure is P@1 on "
                "single-tag sets and nDCG@5 elsewhere; rivals are matching, votes of neighbours, the paper's constants and what else "
                "the reports hold (Omikuji trees trained on the set, language models)."
            ),
            "",
            *table(columns, rows),
        )
    )


def _confidences(reports: Sequence[Report]) -> str:
    rows = (
        (
            _named(report),
            f"{told.tags_a_note:.2f}",
            f"{told.precision:.3f}",
            f"{ours.mean_confidence:.3f}",
            f"{ours.ece.mean:.3f} ({ours.ece.low:.3f}–{ours.ece.high:.3f})",
            f"{ours.noise.mean:.3f}",
            f"{ours.excess:+.3f}",
            f"{told.coverage[0]:.3f}",
            f"{told.micro_f1:.3f}",
            report.verdict.better,
        )
        for report in reports
        for told, ours in ((report.emission[0], report.confidence[0]),)
    )
    columns = (
        "set",
        "tags a note",
        "right",
        "mean confidence",
        "ECE (95 %)",
        "noise floor",
        "excess",
        "Coverage@1",
        "micro F1",
        "better confidences",
    )
    return "\n".join(
        (
            "### Confidences of emitted tags",
            "",
            (
                "Tags of confidence .5 and above; the bundle's own map, or where it says calibrated one fitted to the set's history "
                "(`streamproc calibrate confidence`, or eval by itself). ECE over 15 bins of equal mass; the noise floor is what a perfectly calibrated model "
                "with these confidences would show. The last column compares the calibrator with the tagger's logits at one fitted "
                "temperature, by Brier score and area under risk–coverage."
            ),
            "",
            *table(columns, rows),
        )
    )


def _frequency(reports: Sequence[Report]) -> str:
    rows = (
        (
            _named(report),
            row.name,
            f"{row.tags:,}",
            f"{row.recalled:.3f}",
            f"{row.emitted:,}",
            f"{row.precision:.3f}" if row.emitted else "–",
            f"{row.f1:.3f}",
            f"{row.brier_skill:+.3f}" if row.scored else "–",
        )
        for report in reports
        for row in report.buckets
    )
    columns = ("set", "in the history", "tags", "recalled", "emitted", "right", "F1", "Brier skill")
    return "\n".join(("### Common and rare tags", "", *table(columns, rows)))


def _new_tags(reports: Sequence[Report]) -> str:
    rows = [
        (
            _named(report),
            "name, definition, synonyms" if row.described else "name alone",
            f"{row.tags:,}",
            f"{row.recall_20:.3f}",
            f"{row.seen_recall_20:.3f}",
            f"{row.ratio:.2f}",
            f"{row.recall_served:.3f} / {row.seen_recall_served:.3f}",
            f"{row.emitted_recall:.3f}",
            f"{row.precision_1:.3f}",
        )
        for report in reports
        for row in report.new_tags
    ]
    if not rows:
        return ""
    columns = (
        "set",
        "known of them",
        "tags",
        "recall at 20",
        "of seen tags",
        "ratio",
        "served / seen",
        "emitted",
        "P@1",
    )
    return "\n".join(
        (
            "### Tags without a history",
            "",
            "A random share of the tags lost its labels in the history.",
            "",
            *table(columns, rows),
        )
    )


def _out_of_scope(reports: Sequence[Report]) -> str:
    rows = [
        (
            _named(report),
            f"{len(row.tags)}",
            f"{row.untagged:.3f}",
            f"{row.accuracy:.3f}",
            f"{row.accuracy - row.accuracy_before:+.3f}",
        )
        for report in reports
        for row in report.out_of_scope
    ]
    if not rows:
        return ""
    columns = ("set", "tags taken out", "their notes untagged", "accuracy on the rest", "change")
    return "\n".join(("### Notes that belong to no tag", "", *table(columns, rows)))


def _ablations(reports: Sequence[Report]) -> str:
    rows = [
        (
            _named(report),
            row.name,
            f"{row.precision_1:.3f}",
            f"{row.ndcg_5:.3f}",
            f"{row.micro_f1:.3f}",
            f"{row.brier:.4f}",
        )
        for report in reports
        for row in report.ablations
    ]
    if not rows:
        return ""
    columns = ("set", "without", "P@1", "nDCG@5", "micro F1", "Brier")
    return "\n".join(("### What each part is worth", "", *table(columns, rows)))


def _ours(report: Report) -> Ranking:
    return next(row for row in report.ranking if row.behind is None)


def _best_rival(report: Report) -> tuple[str, str]:
    def figure(row: Ranking) -> float:
        return row.precision_1 if report.single_tag else row.ndcg_5

    best = max((row for row in report.ranking if row.behind is not None), key=figure)
    return best.method, f"{figure(best):.3f}"


def _named(report: Report) -> str:
    marks = ["trained on"] * report.trained_on + ["calibrated"] * bool(report.calibration or report.fitted_to)
    return f"{report.dataset} ({', '.join(marks)})" if marks else report.dataset
