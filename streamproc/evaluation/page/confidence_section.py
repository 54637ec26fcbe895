"""The section on confidences: plots, figures, and which way to them is the better one."""

from html import escape

from streamproc.evaluation.page.markup import Markup, Row, ranged, section, table
from streamproc.evaluation.page.plots import Series, reliability_plot, risk_coverage_plot
from streamproc.evaluation.report import Confidence, Report

__all__ = ["confidence"]


def confidence(report: Report) -> str:
    """Plots and figures of the confidences."""
    styles = ["s0", "s1", "s2"]
    named = [(Series(row.method, style), row) for row, style in zip(report.confidence, styles, strict=False)]
    # Scaling by one temperature changes no order: both ways of the tagger have one curve.
    ordering = named[:2]
    plots = (
        (
            "Reliability of emitted tags",
            reliability_plot([(series, row.reliability) for series, row in named]),
            (
                "On the dashed line a confidence of 90 % means nine in ten. Each dot is a fifteenth of the emitted tags, with "
                "the range that chance alone explains."
            ),
        ),
        (
            "Risk and coverage, first tags",
            risk_coverage_plot(
                [(series, row.first_risk_coverage) for series, row in ordering], accepted="notes' first tags"
            ),
            "The surest first tags are accepted first. The ring is the threshold .5; lower is better.",
        ),
        (
            "Risk and coverage, all candidates",
            risk_coverage_plot(
                [(series, row.risk_coverage) for series, row in ordering], accepted="all scored candidates"
            ),
            "The same over every candidate that was scored; most of them are wrong, so it ends high.",
        ),
    )
    figures = "".join(
        f"<figure><h3>{escape(name)}</h3>{plot}<figcaption>{escape(caption)}</figcaption></figure>"
        for name, plot, caption in plots
    )
    legend = "".join(f'<li class="{series.style}"><i></i>{escape(series.name)}</li>' for series, _ in named)
    return section(
        "Can a confidence be relied on?",
        "The calibrator's confidences, beside what the tagger's own logits would give: as they are, and divided by "
        "one temperature that was fitted to the other half of these very notes.",
        f'<ul class="legend">{legend}</ul><div class="plots">{figures}</div>'
        + table(
            [
                "emitted",
                "right",
                "mean confidence",
                "ECE",
                "noise floor",
                "excess",
                "Brier",
                "Brier skill",
                "area, all",
                "area, first",
                "Coverage@1",
            ],
            (_confidence_row(row, ours=place == 0) for place, row in enumerate(report.confidence)),
        )
        + f"<p>{_verdict(report)}</p>",
    )


def _confidence_row(row: Confidence, *, ours: bool) -> Row:
    return Row(
        row.method,
        [
            f"{row.emitted:,}",
            f"{row.precision:.3f}",
            f"{row.mean_confidence:.3f}",
            ranged(row.ece, signed=False),
            f"{row.noise.mean:.3f}",
            f"{row.excess:+.3f}",
            f"{row.brier:.4f}",
            f"{row.brier_skill:.3f}",
            f"{row.area:.4f}",
            f"{row.first_area:.4f}",
            f"{row.coverage_1:.3f}",
        ],
        ours=ours,
    )


def _verdict(report: Report) -> Markup:
    each = report.verdict
    said = {
        "calibrator": '<b class="good">The calibrator is better</b> in both Brier score and area under risk–coverage',
        "temperature": '<b class="bad">The temperature alone is better</b> in both, and simpler: serve that',
        "neither": "<b>Neither is clearly better</b> in both Brier score and area under risk–coverage",
    }[each.better]
    return Markup(
        f"{said}: by {ranged(each.brier_gain, 4)} and {each.area_gain:+.4f}. The temperature was "
        f"{each.temperature:.2f}. Coverage@1 is {each.coverage_ratio:.2f} of the uncalibrated tagger's."
    )
