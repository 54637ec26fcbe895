"""The page: what was measured, section by section, each with a sentence that says what its figures mean."""

from html import escape
from importlib.resources import files

from streamproc.evaluation.metrics import Interval
from streamproc.evaluation.page.markup import Card, Markup, Row, cards, ranged, table, terms
from streamproc.evaluation.page.plots import Series, reliability_plot, risk_coverage_plot
from streamproc.evaluation.report import Confidence, Report

__all__ = ["page"]


def page(report: Report) -> str:
    """One HTML document, complete in itself.

    Args:
        report: what was measured.
    """
    style = (files("streamproc.evaluation.page") / "style.css").read_text()
    title = f"{report.dataset} · {report.bundle}"
    sections = (
        _head(report),
        _recall(report),
        _ranking(report),
        _emission(report),
        _confidence(report),
        _buckets(report),
        _new_tags(report),
        _out_of_scope(report),
        _ablations(report),
        _words(),
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style}</style></head>\n<body>\n"
        + "\n".join(section for section in sections if section)
        + "\n</body></html>\n"
    )


def _head(report: Report) -> str:
    ours, told = report.confidence[0], report.emission[0]
    best = report.ranking[-1]
    seen = (
        "The models were trained on this set: figures are in-domain."
        if report.trained_on
        else "The models never saw this set; its train serves as history alone."
    )
    kind = "one tag a note" if report.single_tag else "several tags a note"
    headline = Card(
        "Accuracy (P@1)" if report.single_tag else "nDCG@5",
        f"{best.precision_1 if report.single_tag else best.ndcg_5:.3f}",
        _ahead(report),
    )
    return (
        f"<header><p class=quiet>Evaluation of <b>{escape(report.bundle)}</b></p><h1>{escape(report.dataset)}</h1>"
        f"<p>{report.notes:,} notes of {escape(report.split)}, {report.tags:,} tags, a history of "
        f"{report.history:,} labelled notes. <span class=tag>{kind}</span> "
        f"<span class=tag>{'seen in training' if report.trained_on else 'never seen'}</span></p>"
        f'<p class="note">{seen}</p></header>'
        + cards(
            (
                headline,
                Card(
                    "Right, of what is emitted",
                    f"{told.precision:.1%}",
                    f"{told.tags_a_note:.2f} tags a note at confidence .5 and above; they say of themselves {ours.mean_confidence:.1%}",
                ),
                Card(
                    "Calibration error above noise",
                    f"{ours.excess:+.3f}",
                    f"ECE {ours.ece.mean:.3f}; a perfectly calibrated model would show {ours.noise.mean:.3f}",
                ),
                Card(
                    "Notes with a tag",
                    f"{told.coverage[0]:.1%}",
                    "Coverage@1: notes with a tag of confidence .5 or more",
                ),
            )
        )
    )


def _ahead(report: Report) -> str:
    rivals = [row for row in report.ranking if row.behind is not None]
    ours = report.ranking[-1]

    def figure(row: object) -> float:
        return float(getattr(row, "precision_1" if report.single_tag else "ndcg_5"))

    best = max(rivals, key=figure, default=None)
    if best is None or not figure(best):
        return "how well the first tags are right"
    change = figure(ours) / figure(best) - 1
    return f"{abs(change):.1%} {'ahead of' if change >= 0 else 'behind'} the best rival, {best.method} ({figure(best):.3f})"


def _recall(report: Report) -> str:
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
    return _section(
        "Are the right tags among the candidates?",
        "Nothing that recall misses can be found later. #Right is how many right tags stand among 20 candidates of a note "
        "on average; HR#k the share of notes with at least k of them.",
        table(["#Right", "HR#1", "HR#2", "HR#3", "candidates"], rows),
    )


def _ranking(report: Report) -> str:
    column = "behind streamproc in " + ("P@1" if report.single_tag else "nDCG@5")
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
            ],
            ours=row.behind is None,
        )
        for row in report.ranking
    )
    return _section(
        "Do they stand in front?",
        "All methods rank tags for the same notes; confidence plays no part here. The last column is the difference on "
        "the same notes with its 95 % range: where the range is above 0, streamproc is ahead for sure.",
        table(["P@1", "P@3", "P@5", "nDCG@3", "nDCG@5", "nDCG@10", "F1@5", column], rows),
    )


def _emission(report: Report) -> str:
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
        single = "<p>As a single-tag task, a note's first tag counts if it is emitted:</p>" + table(
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
    return _section(
        "What does a consumer receive?",
        "Tags of confidence .5 and above. Acc@k is how many of a note's first k are right, over notes that got any; "
        "Coverage@k the share of notes that got k or more. The one rises and the other falls with the threshold.",
        whole + single,
    )


def _confidence(report: Report) -> str:
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
    return _section(
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
        "neither": "<b>Neither is better in both</b> Brier score and area under risk–coverage",
    }[each.better]
    return Markup(
        f"{said}: by {ranged(each.brier_gain, 4)} and {each.area_gain:+.4f}. The temperature was "
        f"{each.temperature:.2f}. Coverage@1 is {each.coverage_ratio:.2f} of the uncalibrated tagger's."
    )


def _buckets(report: Report) -> str:
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
    return _section(
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


def _new_tags(report: Report) -> str:
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
                f"{row.emitted:,}",
                f"{row.precision:.3f}",
                f"{row.emitted_recall:.3f}",
                f"{row.precision_1:.3f}",
                f"{row.precision_1_new:.3f}",
            ],
        )
        for row in report.new_tags
    )
    return _section(
        "Tags that nobody has used yet",
        f"{first.tags:,} tags drawn at random (seed {first.seed}) lost all their labels in the history; they are right in "
        f"{first.gold:,} places on {first.notes:,} notes. They are known by what is written of them alone. The last two "
        "columns take these notes only: whether the first tag is right, and the same where only new tags are ranked.",
        table(
            [
                "recall at 20",
                "of seen tags",
                "ratio",
                "emitted",
                "of these right",
                "of right emitted",
                "P@1",
                "P@1, new",
            ],
            rows,
        ),
    )


def _out_of_scope(report: Report) -> str:
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
    return _section(
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


def _ablations(report: Report) -> str:
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
                _loss(row.loss) if place else "",
            ],
            ours=place == 0,
        )
        for place, row in enumerate(report.ablations)
    )
    return _section(
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


def _loss(interval: Interval) -> Markup:
    return ranged(interval)


def _words() -> str:
    return _section(
        "The figures in words",
        "",
        terms(
            (
                ("P@k", "right tags among the first k, over k."),
                (
                    "nDCG@k",
                    "like P@k, but a right tag counts more the further in front it stands; 1 is the best order there is.",
                ),
                (
                    "F1@5",
                    "the harmonic mean of P@5 and of the share of a note's right tags among its first five.",
                ),
                (
                    "micro, macro F1",
                    "over all tags together, so that common ones weigh most; and the mean over tags, each alike.",
                ),
                (
                    "ECE",
                    (
                        "calibration error: how far confidence and share of right are apart on average, over 15 bins of equally many "
                        "emitted tags. Its range comes from drawing notes anew 1,000 times."
                    ),
                ),
                (
                    "Noise floor",
                    (
                        "the ECE that a perfectly calibrated model with the same confidences would show by chance: the mean of 1,000 "
                        "draws. Excess is what the ECE has above it."
                    ),
                ),
                (
                    "Brier score",
                    "the mean squared distance between confidence and truth, over all scored candidates; less is better.",
                ),
                (
                    "Brier skill",
                    "the share of the Brier score saved against always saying the base rate; 0 is no better than that.",
                ),
                (
                    "Area under risk–coverage",
                    "the mean share of wrong ones over all thresholds; it judges order alone. Less is better.",
                ),
                (
                    "Candidates",
                    "the tags that recall brings; a note's right tags beyond them count as missed everywhere.",
                ),
            )
        ),
    )


def _section(title: str, said: str, content: str) -> str:
    sentence = f"<p>{escape(said)}</p>" if said else ""
    return f"<section><h2>{escape(title)}</h2>{sentence}{content}</section>"
