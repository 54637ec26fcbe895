"""``streamproc eval`` and ``train``: figures of a bundle, and the training of its models."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from streamproc.cli.bundles import (
    BundleOption,
    Datasets,
    Output,
    open_bundle,
    prepare_datasets,
    say,
    write_bundle,
)
from streamproc.errors import UserError

if TYPE_CHECKING:  # heavy imports: a quick --help
    from streamproc.evaluation.protocol import Report

__all__ = ["evaluate", "train_app"]

train_app = typer.Typer(
    help='Train models of a bundle; the extra "train" must be installed.',
    no_args_is_help=True,
    rich_markup_mode=None,
)


def evaluate(
    dataset: Annotated[
        Path, typer.Argument(help="Directory with train.jsonl, valid.jsonl, test.jsonl and tags.jsonl.")
    ],
    report: Annotated[Path | None, typer.Option(help="Write all figures here as JSON.")] = None,
    bundle: BundleOption = None,
    split: Annotated[
        str, typer.Option(help="Which notes are scored: valid to choose, test to report.")
    ] = "test",
    *,
    baselines: Annotated[bool, typer.Option(help="Train Omikuji beside it (extra 'baselines').")] = True,
) -> None:
    """Measure recall, ranking and calibration on a dataset, beside the baselines.

    The repository is the dataset's tags, the history its train. ``category`` is shown to the models only
    where it is known not to give the gold tags away.
    """
    from streamproc.evaluation.baselines import Trees  # noqa: PLC0415 - a quick --help
    from streamproc.evaluation.dataset import Split  # noqa: PLC0415 - a quick --help
    from streamproc.evaluation.protocol import evaluate as measure  # noqa: PLC0415 - a quick --help
    from streamproc.graph.thresholds import Thresholds  # noqa: PLC0415 - a quick --help
    from streamproc.inference.onnx import load_models  # noqa: PLC0415 - a quick --help

    if split not in {Split.VALID.value, Split.TEST.value}:
        raise UserError(f"--split is {split!r}: use valid or test")
    loaded = open_bundle(bundle)
    (prepared,) = prepare_datasets([dataset], loaded)
    manifest = loaded.manifest
    figures = measure(
        prepared,
        load_models(loaded),
        Thresholds.of(manifest.recall),
        bundle=f"{manifest.name}-{manifest.version}",
        split=Split(split),
        trees=tuple(Trees) if baselines else (),
        progress=say,
    )
    _show(figures)
    if report is not None:
        report.write_bytes(msgspec.json.format(msgspec.json.encode(figures), indent=2) + b"\n")


@train_app.command("tagger")
def train_tagger(  # noqa: PLR0917 - the options of a command line
    datasets: Datasets,
    output: Output,
    bundle: BundleOption = None,
    version: Annotated[str, typer.Option(help="Recorded in every output.")] = "1",
    notes: Annotated[int, typer.Option(help="Labelled notes drawn from each train.", min=1)] = 4000,
    seed: Annotated[int, typer.Option(help="Of every draw.")] = 0,
) -> None:
    """Train the tagger and the calibrator on labelled history, each note recalled as if it were new."""
    from streamproc.graph.thresholds import Thresholds  # noqa: PLC0415 - a quick --help

    try:
        from streamproc.training.tagger import train_models  # noqa: PLC0415 - a quick --help
    except ImportError as error:
        raise UserError(
            f"training needs what is not installed ({error.name}): pip install 'streamproc[train]'"
        ) from None
    base = open_bundle(bundle)
    prepared = prepare_datasets(datasets, base)
    write_bundle(base, output, base.manifest)
    manifest = train_models(
        prepared,
        output,
        Thresholds.of(base.manifest.recall),
        version,
        notes_a_set=notes,
        seed=seed,
        progress=say,
    )
    typer.echo(f"{output}: {manifest.name}-{manifest.version}, models {version}")


def _show(report: "Report") -> None:
    console = Console()
    console.print(
        f"{report.dataset}, {report.split}: {report.notes:,} notes, {report.tags:,} tags, "
        f"history {report.history:,}; bundle {report.bundle}"
    )
    recall = _table("Recall at 20 candidates", "#Right", "HR#1", "HR#2", "HR#3", "candidates")
    for row in report.recall:
        recall.add_row(
            row.method,
            f"{row.right:.3f}",
            *(f"{rate:.3f}" for rate in (row.hit_rate_1, row.hit_rate_2, row.hit_rate_3)),
            f"{row.candidates:.1f}",
        )
    ranking = _table("Ranking", "P@1", "P@5", "nDCG@5")
    for each in report.ranking:
        ranking.add_row(
            each.method, f"{each.precision_1:.3f}", f"{each.precision_5:.3f}", f"{each.ndcg_5:.3f}"
        )
    found = report.calibration
    calibration = _table("Confidence", "@1", "@2", "@3")
    calibration.add_row("Acc", *(f"{value:.3f}" for value in found.accuracy))
    calibration.add_row("Coverage", *(f"{value:.3f}" for value in found.coverage))
    for table in (recall, ranking, calibration):
        console.print(table)
    console.print(
        f"ECE {found.ece:.3f}, Brier {found.brier:.3f} over all candidates; at confidence .5 and above: "
        f"{found.emitted_a_note:.2f} tags a note, {found.emitted_precision:.3f} of them right, "
        f"mean confidence {found.emitted_confidence:.3f}"
    )


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for column in columns:
        table.add_column(column, justify="right")
    return table
