"""Sections on what is found, in which order, and what of it is emitted."""

from streamproc.evaluation.page.markup import Row, ranged, section, table
from streamproc.evaluation.report import Report

__all__ = ["emission", "ranking", "recall"]


def recall(report: Report) -> str:
    """Recall of every method."""
    rows = (
        Row(
            row.method,
            [
                f"{row.right:.3f}",
                *(f"{value:.3f}" for value in (row.hit_rate_1, row.hit_rate_2, row.hit_rate_3)),
                f"{row.candidates:.1f}",
            ],
            ours=row is report.recall[-1],
        )
        for row in report.recall
    )
    return section(
        "Are the right tags among the candidates?",
        "Nothing that recall misses can be found later. #Right is how many right tags stand among 20 candidates of a note "
        "on average; HR#k the share of notes with at least k of them.",
        table(["#Right", "HR#1", "HR#2", "HR#3", "candidates"], rows),
    )


def ranking(report: Report) -> str:
    """Orders of every method."""
    answered = report.answered
    columns = ["P@1", "P@3", "P@5", "nDCG@3", "nDCG@5", "nDCG@10", "F1@5"]
    columns.append("behind streamproc in " + ("P@1" if report.single_tag else "nDCG@5"))
    if answered:
        columns.append("notes answered")
    rows = (
        Row(
            row.method,
            [
                *(
                    f"{value:.3f}"
                    for value in (
                        row.precision_1,
                        row.precision_3,
                        row.precision_5,
                        row.ndcg_3,
                        row.ndcg_5,
                        row.ndcg_10,
                        row.f1_5,
                    )
                ),
                ranged(row.behind) if row.behind else "",
                *([answered.get(row.method, "")] if answered else []),
            ],
            ours=row.behind is None,
        )
        for row in report.ranking
    )
    return section(
        "Do they stand in front?",
        "All methods rank tags for the same notes; confidence plays no part here. How far a method lies behind is the "
        "difference on the same notes with its 95 % range: where the range is above 0, streamproc is ahead beyond chance."
        + (
            " Notes that a language model did not answer count as untagged, here and below."
            if answered
            else ""
        )
        + "".join(f" Untested, for {why}: {', '.join(methods)}." for why, methods in report.lacking.items()),
        table(columns, rows),
    )


def emission(report: Report) -> str:
    """What is emitted."""
    rows = (
        Row(
            row.method,
            [
                f"{row.tags_a_note:.2f}",
                *(
                    f"{value:.3f}"
                    for value in (
                        row.precision,
                        row.recall,
                        row.micro_f1,
                        row.macro_f1,
                        *row.accuracy,
                        *row.coverage,
                    )
                ),
            ],
            ours=place == 0,
        )
        for place, row in enumerate(report.emission)
    )
    whole = table(
        ["tags a note", "precision", "recall", "micro F1", "macro F1"]
        + [f"Acc@{k}" for k in (1, 2, 3)]
        + [f"Coverage@{k}" for k in (1, 2, 3)],
        rows,
    )
    single = ""
    if report.single_tag:
        single = (
            "<p>As a single-tag task: accuracy is the share of notes whose first tag is right, emitted or not (P@1); precision, "
            "recall and F1 count a note's first tag where it is emitted; macro F1 is over all emitted tags, as above.</p>"
        ) + table(
            ["accuracy", "precision", "recall", "F1", "macro F1"],
            (
                Row(
                    row.method,
                    [
                        f"{value:.3f}"
                        for value in (
                            next(each.precision_1 for each in report.ranking if each.method == row.method),
                            row.first_precision,
                            row.first_recall,
                            row.first_f1,
                            row.macro_f1,
                        )
                    ],
                    ours=place == 0,
                )
                for place, row in enumerate(report.emission)
            ),
        )
    return section(
        "What does a consumer receive?",
        "Tags of confidence .5 and above. Acc@k is how many of a note's first k are right, over notes that got any; "
        "Coverage@k the share of notes that got k or more. The one rises and the other falls with the threshold.",
        whole + single,
    )
