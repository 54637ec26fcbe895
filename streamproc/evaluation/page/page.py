"""The page: what was measured, section by section, each with a sentence that says what its figures mean."""

from html import escape
from importlib.resources import files

from streamproc.evaluation.page.ablation_section import ablations
from streamproc.evaluation.page.confidence_section import confidence
from streamproc.evaluation.page.markup import Card, cards
from streamproc.evaluation.page.ranking_sections import emission, ranking, recall
from streamproc.evaluation.page.tag_sections import buckets, new_tags, out_of_scope
from streamproc.evaluation.page.words import words
from streamproc.evaluation.report import Ranking, Report

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
        recall(report),
        ranking(report),
        emission(report),
        confidence(report),
        buckets(report),
        new_tags(report),
        out_of_scope(report),
        ablations(report),
        words(),
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
    mark, seen = "never seen", "The models never saw this set; its train serves as history alone."
    if report.trained_on:
        mark, seen = "seen in training", "The models were trained on this set: figures are in-domain."
    elif report.calibrated_on:
        mark = "seen in calibration"
        seen = "The models never saw this set, but the bundle's recall or confidences were fitted to it."
    if report.calibration:
        seen += f" Its confidences are those of the calibration file {report.calibration}."
    elif report.fitted_to:
        seen += f" Its confidences are fitted to {report.fitted_to:,} labelled notes of the history."
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
        f"<span class=tag>{mark}</span></p>"
        f'<p class="note">{escape(seen)}</p></header>'
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

    def figure(row: Ranking) -> float:
        return row.precision_1 if report.single_tag else row.ndcg_5

    best = max(rivals, key=figure, default=None)
    if best is None or not figure(best):
        return "how well the first tags are right"
    change = figure(ours) / figure(best) - 1
    return f"{abs(change):.1%} {'ahead of' if change >= 0 else 'behind'} the best rival, {best.method} ({figure(best):.3f})"
