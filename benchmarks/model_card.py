"""The model card of a bundle, from its manifest and the reports of ``streamproc eval``.

    for set in …; do streamproc eval DATASETS_DIR/$set --bundle BUNDLE --report reports/$set.json; done
    python -m benchmarks.model_card BUNDLE reports/*.json --rebuild 'COMMAND' -o BUNDLE/MODEL_CARD.md

Every figure of the card is read from a report, and what it says of limits is drawn from them, too: run it again
whenever the bundle changes. Reports of another bundle are refused.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from benchmarks.command import parser_of, run
from streamproc.errors import UserError
from streamproc.evaluation.report import Ranking, Report
from streamproc.inference.bundle import Bundle
from streamproc.inference.manifest import Manifest

__all__ = ["card", "main", "read_reports"]

_MEGABYTE = 1e6

_BUCKET_ROWS = 200
"""Scored candidates that a bucket needs before the card draws a limit from it."""

_MISSED = 0.1
"""Share of notes without any right candidate from which on recall is called a limit."""


@dataclass(frozen=True, slots=True)
class _Source:
    """Where a training set comes from, and on what terms."""

    what: str
    licence: str


_SOURCES = {
    "biotools_edam": _Source("bio.tools records with EDAM terms (bio-tools/content)", "EDAM CC BY-SA 4.0"),
    "clinc150": _Source("CLINC150 intents (clinc/oos-eval)", "CC BY 3.0"),
    "hwu64": _Source("HWU64 intents (xliuhw/NLU-Evaluation-Data)", "CC BY 4.0"),
    "reddit_subs1000": _Source(
        "Reddit posts of 1,000 communities (umbrae/reddit-top-2.5-million)", "PDDL 1.0"
    ),
}


def read_reports(paths: Iterable[Path], bundle: str) -> list[Report]:
    """Read reports, those of sets that the models never saw first.

    Raises:
        UserError: a file is no report, is of another bundle, or there is none.
    """
    reports = []
    for path in paths:
        try:
            report = msgspec.json.decode(path.read_bytes(), type=Report)
        except (OSError, msgspec.MsgspecError) as error:
            raise UserError(f"{path} is no report of 'streamproc eval': {error}") from None
        if report.bundle != bundle:
            raise UserError(f"{path} was measured with {report.bundle}, not with {bundle}: measure it again")
        reports.append(report)
    if not reports:
        raise UserError("a card needs at least one report: streamproc eval DATASET --report FILE.json")
    return sorted(reports, key=lambda report: (report.trained_on, report.dataset))


def card(bundle: Bundle, reports: Sequence[Report], rebuild: str) -> str:
    """The card in Markdown.

    Args:
        bundle: that was measured.
        reports: of it.
        rebuild: the command that makes the bundle anew.
    """
    manifest = bundle.manifest
    sections = (
        _what(bundle),
        _data(manifest),
        _ranking(reports),
        _confidences(reports),
        _frequency(reports),
        _new_tags(reports),
        _out_of_scope(reports),
        _ablations(reports),
        _limits(manifest, reports),
        _rebuild(rebuild, reports),
    )
    return "\n\n".join(section for section in sections if section) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the card.

    Raises:
        UserError: something given cannot be used.
    """
    parser = parser_of(__doc__)
    parser.add_argument("bundle", type=Path, help="directory of the bundle")
    parser.add_argument("reports", type=Path, nargs="+", help="reports of streamproc eval on this bundle")
    parser.add_argument("--rebuild", required=True, help="the command that makes the bundle anew")
    parser.add_argument("-o", "--output", type=Path, help="file to write; standard output unless given")
    given = parser.parse_args(arguments)
    bundle = Bundle.load(given.bundle)
    name = f"{bundle.manifest.name}-{bundle.manifest.version}"
    text = card(bundle, read_reports(given.reports, name), given.rebuild)
    if given.output is None:
        print(text, end="")
    else:
        given.output.write_text(text)


def _what(bundle: Bundle) -> str:
    manifest = bundle.manifest
    rows = [
        (name, f"{bundle.file(name).stat().st_size / _MEGABYTE:.1f} MB") for name in sorted(manifest.files)
    ]
    total = sum(bundle.file(name).stat().st_size for name in manifest.files) / _MEGABYTE
    return "\n".join(
        (
            f"# Model card: {manifest.name}-{manifest.version}",
            "",
            (
                "Tags notes (posts, articles, ads, queries) with the tags of a repository that its user brings. An encoder turns "
                "notes and tags into vectors; recall finds candidate tags by them, by the votes of similar labelled notes and by "
                "words; a tagger scores each candidate on its own; a calibrator turns scores into confidences. It knows no tag by "
                "heart: which tags there are, and how people use them, comes from the repository and the labelled history."
            ),
            "",
            f"Languages: {', '.join(manifest.languages)}. Notes that name another one are not tagged.",
            "",
            *_table(("file", "size"), rows),
            f"\nTogether {total:.1f} MB.",
            "",
            (
                "Meant for suggesting and assigning topics, intents and keywords to content, with people who judge what it is "
                "unsure of. Not meant for decisions about persons, and not for tags that must never be missed."
            ),
        )
    )


def _data(manifest: Manifest) -> str:
    named = manifest.tagger.training_data if manifest.tagger else ()
    known = [(name, _SOURCES[name]) for name in named if name in _SOURCES]
    own = [name for name in named if name not in _SOURCES]
    lines = ["## Data and licences", "", "Tagger and calibrator learned from:", ""]
    lines += _table(("set", "what", "licence"), ((name, each.what, each.licence) for name, each in known))
    if own:
        lines += ["", f"and from {', '.join(own)}."]
    lines += ["", "None of their text is in the bundle. The bundle contains the work of others:", ""]
    lines += [
        f"- {each.work} ({each.source}), {each.licence}: {each.changes}" for each in manifest.attributions
    ]
    return "\n".join(lines)


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
            *_table(columns, rows),
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
                "(`streamproc calibrate confidence`). ECE over 15 bins of equal mass; the noise floor is what a perfectly calibrated model "
                "with these confidences would show. The last column compares the calibrator with the tagger's logits at one fitted "
                "temperature, by Brier score and area under risk–coverage."
            ),
            "",
            *_table(columns, rows),
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
    return "\n".join(("### Common and rare tags", "", *_table(columns, rows)))


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
            *_table(columns, rows),
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
    return "\n".join(("### Notes that belong to no tag", "", *_table(columns, rows)))


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
    return "\n".join(("### What each part is worth", "", *_table(columns, rows)))


def _limits(manifest: Manifest, reports: Sequence[Report]) -> str:
    limits = [
        f"It reads {', '.join(manifest.languages)} alone; images count by their captions and recognised text.",
        *_limits_of_confidences(reports),
        *(limit for report in reports for limit in _limits_of_ranking(report)),
        *(limit for report in reports for limit in _limits_of_tags(report)),
    ]
    untested = sorted({name for report in reports for name in report.untested})
    if untested:
        limits.append(
            f"It was not compared with language models ({', '.join(untested)}): no endpoint was at hand."
        )
    return "\n".join(("## Limits", "", *(f"- {limit}" for limit in limits)))


def _limits_of_confidences(reports: Sequence[Report]) -> Iterator[str]:
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


def _limits_of_ranking(report: Report) -> Iterator[str]:
    figure = "P@1" if report.single_tag else "nDCG@5"
    for row in report.ranking:
        if row.behind is not None and row.behind.high < 0:
            yield f"On {report.dataset}, {row.method} ranks better by {-row.behind.mean:.3f} in {figure}."
    missed = 1 - report.recall[-1].hit_rate_1
    if missed > _MISSED:
        yield f"On {report.dataset} recall is the limit: {missed:.1%} of the notes have no right candidate."


def _limits_of_tags(report: Report) -> Iterator[str]:
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


def _rebuild(command: str, reports: Sequence[Report]) -> str:
    lines = []
    for report in reports:
        name, calibration = report.dataset, ""
        new_tags = f" --hold-out-tags {report.new_tags[0].share:g}" if report.new_tags else ""
        # A map that had heard of the tags would not be one of a repository without them.
        outside = f" --hold-out-single {len(report.out_of_scope[0].tags)}" if report.out_of_scope else ""
        ablations = " --ablations" if report.ablations else ""
        if report.calibration:
            calibration = f" --calibration maps/{name}.json"
            lines.append(
                f"streamproc calibrate confidence DATASETS_DIR/{name} --bundle BUNDLE --leave-one-out{outside} -o maps/{name}.json"
            )
        lines.append(
            f"streamproc eval DATASETS_DIR/{name} --bundle BUNDLE --split {report.split}{calibration}{new_tags}{outside}{ablations} "
            f"--report reports/{name}.json"
        )
    return "\n".join(
        (
            "## Rebuilding it",
            "",
            "```",
            command,
            *lines,
            f"python -m benchmarks.model_card BUNDLE reports/*.json --rebuild '{command}' -o BUNDLE/MODEL_CARD.md",
            "```",
        )
    )


def _ours(report: Report) -> Ranking:
    return next(row for row in report.ranking if row.behind is None)


def _best_rival(report: Report) -> tuple[str, str]:
    def figure(row: Ranking) -> float:
        return row.precision_1 if report.single_tag else row.ndcg_5

    best = max((row for row in report.ranking if row.behind is not None), key=figure)
    return best.method, f"{figure(best):.3f}"


def _named(report: Report) -> str:
    marks = ["trained on"] * report.trained_on + ["calibrated"] * bool(report.calibration)
    return f"{report.dataset} ({', '.join(marks)})" if marks else report.dataset


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(columns)} |"
    yield f"|{'---|' * len(columns)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


if __name__ == "__main__":
    run(main)
