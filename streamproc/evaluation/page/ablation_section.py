"""The section on what each part is worth."""

from streamproc.evaluation.page.markup import Row, ranged, section, table
from streamproc.evaluation.report import Report

__all__ = ["ablations"]


def ablations(report: Report) -> str:
    """What parts are worth; empty unless it was measured."""
    if not report.ablations:
        return ""
    rows = (
        Row(
            row.name,
            [
                f"{row.right:.3f}",
                f"{row.candidates:.1f}",
                f"{row.precision_1:.3f}",
                f"{row.ndcg_5:.3f}",
                f"{row.tags_a_note:.2f}",
                f"{row.precision:.3f}",
                f"{row.micro_f1:.3f}",
                f"{row.ece:.3f}",
                f"{row.brier:.4f}",
                ranged(row.loss) if place else "",
            ],
            ours=place == 0,
        )
        for place, row in enumerate(report.ablations)
    )
    return section(
        "What each part is worth",
        "The same notes with one part taken away; the models are not trained anew without it. The last column is what is "
        f"lost in {'P@1' if report.single_tag else 'nDCG@5'} on the same notes.",
        table(
            [
                "#Right at 20",
                "candidates",
                "P@1",
                "nDCG@5",
                "tags a note",
                "precision",
                "micro F1",
                "ECE",
                "Brier",
                "lost",
            ],
            rows,
        ),
    )
