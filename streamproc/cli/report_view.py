"""The figures of ``streamproc eval`` on a terminal: short enough to be read at a glance."""

from rich.console import Console
from rich.table import Table

from streamproc.evaluation.metrics import Interval
from streamproc.evaluation.report import Report

__all__ = ["show_report"]


def show_report(report: Report, console: Console) -> None:
    """Print the figures that decide; the rest stands in the files."""
    console.print(
        f"[bold]{report.dataset}[/], {report.split}: {report.notes:,} notes, {report.tags:,} tags, history of "
        f"{report.history:,} notes, confidences {_confidences_of(report)}; bundle {report.bundle}"
        f"{_acquaintance(report)}"
    )
    for table in (_methods(report), _confidences(report), _buckets(report)):
        console.print()
        console.print(table)
    for why, methods in report.lacking.items():
        console.print(f"{', '.join(methods)}: untested, for {why}")
    ours, told, judged = report.confidence[0], report.emission[0], report.verdict
    console.print(
        f"\nECE {ours.ece.mean:.4f} (95 %: {ours.ece.low:.4f}–{ours.ece.high:.4f}); a perfectly calibrated model of this "
        f"size shows {ours.noise.mean:.4f}. Coverage@1 {ours.coverage_1:.3f}."
    )
    console.print(
        f"At confidence .5: {told.tags_a_note:.2f} tags a note, {told.precision:.1%} right at a mean confidence of "
        f"{ours.mean_confidence:.1%}; micro F1 {told.micro_f1:.3f}, macro F1 {told.macro_f1:.3f}; "
        f"Acc@1–3 {_joined(told.accuracy)}, Coverage@1–3 {_joined(told.coverage)}"
    )
    console.print(
        f"Calibrator against the tagger's logits at temperature {judged.temperature:.2f}: Brier score better by "
        f"{_signed(judged.brier_gain)}, area under risk–coverage by {judged.area_gain:+.4f}: {_VERDICTS[judged.better]}"
    )
    for each in report.new_tags:
        console.print(
            f"{each.tags} new tags, {'with definitions' if each.described else 'by name alone'}: recall at 20 "
            f"{each.recall_20:.3f}, {each.ratio:.2f} of that of seen tags ({each.seen_recall_20:.3f}); among all candidates "
            f"{each.recall_served:.3f} ({each.seen_recall_served:.3f}); "
            f"P@1 {each.precision_1:.3f}, among new tags {each.precision_1_new:.3f}"
        )
    for scope in report.out_of_scope:
        console.print(
            f"{len(scope.tags)} tags taken out: {scope.untagged:.1%} of their {scope.notes:,} notes untagged; accuracy on "
            f"the other {scope.rest:,} {scope.accuracy:.3f}, with all tags {scope.accuracy_before:.3f}"
        )
    if report.ablations:
        console.print()
        console.print(_ablations(report))


_VERDICTS = {
    "calibrator": "the calibrator is better",
    "temperature": "the temperature is better, and simpler",
    "neither": "neither is clearly better in both",
}


def _acquaintance(report: Report) -> str:
    if report.trained_on:
        return ", whose models were trained on this set"
    if report.calibrated_on:
        return ", whose models never saw this set; its recall or confidences were fitted to it"
    return ", which never saw this set"


def _confidences_of(report: Report) -> str:
    if report.calibration:
        return f"by {report.calibration}"
    return f"fitted to {report.fitted_to:,} notes of it" if report.fitted_to else "those of the bundle"


def _methods(report: Report) -> Table:
    recalls = {row.method: row for row in report.recall}
    answered = report.answered
    table = _table(
        *("#Right at 20", "P@1", "nDCG@5", "F1@5", f"behind in {'P@1' if report.single_tag else 'nDCG@5'}"),
        *(["answered"] if answered else []),
    )
    for row in report.ranking:
        found = recalls.get(row.method)
        table.add_row(
            row.method,
            f"{found.right:.3f}" if found else "",
            *(f"{value:.3f}" for value in (row.precision_1, row.ndcg_5, row.f1_5)),
            _signed(row.behind, 3) if row.behind else "",
            *([answered.get(row.method, "")] if answered else []),
            style="bold" if row.behind is None else "",
        )
    return table


def _confidences(report: Report) -> Table:
    table = _table("ECE", "noise", "excess", "Brier", "area", "Coverage@1")
    for place, row in enumerate(report.confidence):
        table.add_row(
            row.method,
            f"{row.ece.mean:.4f}",
            f"{row.noise.mean:.4f}",
            f"{row.excess:+.4f}",
            f"{row.brier:.4f}",
            f"{row.area:.4f}",
            f"{row.coverage_1:.3f}",
            style="" if place else "bold",
        )
    return table


def _buckets(report: Report) -> Table:
    table = _table("tags", "recalled", "emitted", "right", "F1", "ECE", "noise", "skill")
    for row in report.buckets:
        table.add_row(
            row.name,
            f"{row.tags:,}",
            f"{row.recalled:.3f}",
            f"{row.emitted:,}",
            *(f"{value:.3f}" for value in (row.precision, row.f1, row.ece, row.noise)),
            f"{row.brier_skill:+.2f}",
        )
    return table


def _ablations(report: Report) -> Table:
    table = _table("#Right", "P@1", "nDCG@5", "micro F1", "Brier", "lost")
    for row in report.ablations:
        table.add_row(
            row.name,
            *(f"{value:.3f}" for value in (row.right, row.precision_1, row.ndcg_5, row.micro_f1, row.brier)),
            f"{row.loss.mean:+.3f}",
        )
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column("", no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _signed(interval: Interval, digits: int = 4) -> str:
    return f"{interval.mean:+.{digits}f} ({interval.low:+.{digits}f}…{interval.high:+.{digits}f})"


def _joined(values: tuple[float, ...]) -> str:
    return " / ".join(f"{value:.3f}" for value in values)
