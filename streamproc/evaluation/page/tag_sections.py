"""Sections on common, rare, new and missing tags."""

from streamproc.evaluation.page.markup import Markup, Row, section, table
from streamproc.evaluation.report import Report

__all__ = ["buckets", "new_tags", "out_of_scope"]


def buckets(report: Report) -> str:
    """Figures by frequency of tags."""
    rows = (
        Row(
            row.name,
            [
                f"{row.tags:,}",
                f"{row.gold:,}",
                f"{row.recalled:.3f}",
                f"{row.first_5:.3f}",
                f"{row.emitted:,}",
                f"{row.precision:.3f}",
                f"{row.f1:.3f}",
                Markup(f'{row.ece:.3f} <span class="range">({row.noise:.3f})</span>'),
                f"{row.scored:,}",
                Markup(
                    f'<span class="{"good" if row.brier_skill > 0 else "bad"}">{row.brier_skill:+.3f}</span>'
                )
                if row.scored
                else "–",
            ],
        )
        for row in report.buckets
    )
    return section(
        "Common and rare tags",
        "By how often a tag stands in the history. A Brier skill above 0 beats always saying the bucket's own base rate.",
        table(
            [
                "tags",
                "right places",
                "recalled",
                "in first 5",
                "emitted",
                "of these right",
                "F1",
                "ECE (noise)",
                "scored",
                "Brier skill",
            ],
            rows,
        ),
    )


def new_tags(report: Report) -> str:
    """Tags without a history; empty unless it was measured."""
    if not report.new_tags:
        return ""
    first = report.new_tags[0]
    rows = (
        Row(
            "name, definition, synonyms" if row.described else "name alone",
            [
                f"{row.recall_20:.3f}",
                f"{row.seen_recall_20:.3f}",
                f"{row.ratio:.2f}",
                f"{row.recall_served:.3f} / {row.seen_recall_served:.3f}",
                f"{row.emitted:,}",
                f"{row.precision:.3f}",
                f"{row.emitted_recall:.3f}",
                f"{row.precision_1:.3f}",
                f"{row.precision_1_new:.3f}",
            ],
        )
        for row in report.new_tags
    )
    return section(
        "Tags that nobody has used yet",
        f"{first.tags:,} tags drawn at random (seed {first.seed}) lost all their labels in the history; they are right in "
        f"{first.gold:,} places on {first.notes:,} notes. They are known by what is written of them alone. The last two "
        "columns take these notes only: whether the first tag is right, and the same where only new tags are ranked.",
        table(
            [
                "recall at 20",
                "of seen tags",
                "ratio",
                "served / seen",
                "emitted",
                "of these right",
                "of right emitted",
                "P@1",
                "P@1, new",
            ],
            rows,
        ),
    )


def out_of_scope(report: Report) -> str:
    """Notes of tags that were taken out; empty unless it was measured."""
    if not report.out_of_scope:
        return ""
    rows = (
        Row(
            f"{len(row.tags)} tags out (seed {row.seed})",
            [
                f"{row.notes:,}",
                f"{row.untagged:.1%}",
                f"{row.rest:,}",
                f"{row.rest_untagged:.1%}",
                f"{row.accuracy:.3f}",
                f"{row.accuracy_before:.3f}",
                f"{row.accuracy - row.accuracy_before:+.3f}",
                f"{row.first:.3f}",
                f"{row.first_before:.3f}",
            ],
        )
        for row in report.out_of_scope
    )
    return section(
        "Notes that belong to no tag",
        "Some tags leave repository and history; their notes should get no tag, and the others should not suffer. "
        "Accuracy counts a note without a tag as wrong; the last two columns take the first candidate, emitted or not.",
        table(
            [
                "their notes",
                "untagged",
                "the rest",
                "untagged",
                "accuracy",
                "with all tags",
                "change",
                "first candidate",
                "with all tags",
            ],
            rows,
        ),
    )
