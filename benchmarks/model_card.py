"""The model card of a bundle, from its manifest and the reports of ``streamproc eval``.

    for set in …; do streamproc eval DATASETS_DIR/$set --bundle BUNDLE --report reports/$set.json; done
    python -m benchmarks.model_card BUNDLE reports/*.json --rebuild 'COMMAND' -o BUNDLE/MODEL_CARD.md

Every figure of the card is read from a report, and what it says of limits is drawn from them, too: run it again
whenever the bundle changes. Reports of another bundle are refused. With ``-o`` the bundle's manifest gets the main figures.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from benchmarks.command import parser_of, run
from benchmarks.model_card_figures import figures, main_figures, table
from benchmarks.model_card_limits import limits
from streamproc.errors import UserError
from streamproc.evaluation.report import Report
from streamproc.evaluation.sources import SOURCES
from streamproc.inference.bundle import Bundle, write_manifest
from streamproc.inference.manifest import Manifest

__all__ = ["card", "main", "read_reports"]

_MEGABYTE = 1e6


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
        *figures(reports),
        "\n".join(("## Limits", "", *(f"- {each}" for each in limits(manifest, reports)))),
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
    reports = read_reports(given.reports, name)
    text = card(bundle, reports, given.rebuild)
    if given.output is None:
        print(text, end="")
    else:
        given.output.write_text(text)
        recorded = {each.dataset: main_figures(each) for each in reports}
        write_manifest(bundle.path, msgspec.structs.replace(bundle.manifest, figures=recorded))


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
            *table(("file", "size"), rows),
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
    known = [(name, SOURCES[name]) for name in named if name in SOURCES]
    own = [name for name in named if name not in SOURCES]
    lines = ["## Data and licences", "", "Tagger and calibrator learned from:", ""]
    lines += table(
        ("set", "what", "from", "licence"),
        ((name, each.what, each.source, each.licence) for name, each in known),
    )
    if own:
        lines += ["", f"and from {', '.join(own)}."]
    lines += ["", "None of their text is in the bundle. The bundle contains the work of others:", ""]
    lines += [
        f"- {each.work} ({each.source}), {each.licence}: {each.changes}" for each in manifest.attributions
    ]
    return "\n".join(lines)


def _rebuild(command: str, reports: Sequence[Report]) -> str:
    lines = []
    for report in reports:
        name, calibration = report.dataset, ""
        # Left to itself, eval fits a map to the history of a set that the models have not learned from.
        own = not (report.calibration or report.fitted_to or report.trained_on)
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
            f"{'STREAMPROC_FIT_CONFIDENCES=off ' if own else ''}streamproc eval DATASETS_DIR/{name} --bundle BUNDLE --split {report.split}{calibration}{new_tags}{outside}{ablations} "
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


if __name__ == "__main__":
    run(main)
